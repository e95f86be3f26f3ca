// SPDX-License-Identifier: Apache-2.0
import CYAML

/// What a file may hold before it is refused. The limits are met while parsing, so memory stays in proportion to them.
package struct YAMLLimits {
    /// Bytes of the whole file.
    package var bytes: Int
    /// Lists and mappings within each other.
    package var depth: Int
    /// Scalars, lists, mappings, aliases, and what merges copy, in all.
    package var nodes: Int

    package init(bytes: Int = 1 << 20, depth: Int = 32, nodes: Int = 20_000) {
        (self.bytes, self.depth, self.nodes) = (bytes, depth, nodes)
    }
}

/// Why a text is no YAML document, and where.
struct YAMLError: Error {
    var mark: YAMLDocument.Mark
    var message: String
}

/// Builds a ``YAMLDocument`` from libyaml's events: one document of UTF-8 text per file.
///
/// Events rather than `yaml_parser_load`, because that one builds the whole document before a limit can be looked at.
struct YAMLParser {
    private let limits: YAMLLimits
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private var document = YAMLDocument()
    /// The lists and mappings that are open, outermost first.
    private var open: [Frame] = []
    private var anchors: [String: Int] = [:]
    /// How many values there may still be.
    private var room: Int
    private var documents = 0

    private struct Frame {
        var node: Int
        /// The key that waits for its value.
        var key: Int?
    }

    static func parse(_ bytes: [UInt8], limits: YAMLLimits = .init()) throws(YAMLError) -> YAMLDocument {
        guard bytes.count <= limits.bytes else {
            throw YAMLError(mark: .start, message: "the file is larger than \(limits.bytes) bytes")
        }
        // A byte order mark is no part of the text (YAML 1.2, 5.2); libyaml, told the encoding, takes it for one.
        let text = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes[...]
        // libyaml keeps a pointer to the parser inside the parser: it must not move.
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else { throw YAMLError(mark: .start, message: "out of memory") }
        defer { yaml_parser_delete(parser) }
        let result = text.withUnsafeBufferPointer { buffer -> Result<YAMLDocument, YAMLError> in
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
            do throws(YAMLError) {
                var builder = YAMLParser(limits: limits, parser: parser)
                try builder.build(bytes: buffer)
                return .success(builder.document)
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    private init(limits: YAMLLimits, parser: UnsafeMutablePointer<yaml_parser_t>) {
        self.limits = limits
        self.room = limits.nodes
        self.parser = parser
    }

    private mutating func build(bytes: UnsafeBufferPointer<UInt8>) throws(YAMLError) {
        var event = yaml_event_t()
        while true {
            guard yaml_parser_parse(self.parser, &event) == 1 else { throw self.syntaxError(bytes: bytes) }
            defer { yaml_event_delete(&event) }
            if event.type == YAML_STREAM_END_EVENT { return }
            try self.handle(event)
        }
    }

    private mutating func handle(_ event: yaml_event_t) throws(YAMLError) {
        let mark = YAMLDocument.Mark(event.start_mark)
        switch event.type {
        case YAML_DOCUMENT_START_EVENT:
            self.documents += 1
            guard self.documents == 1 else { throw YAMLError(mark: mark, message: "a second document in one file") }
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            guard !text.utf8.contains(0) else { throw YAMLError(mark: mark, message: "a NUL character in a text") }
            let tag = Self.tag(scalar.tag)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE && scalar.tag == nil
            if scalar.style != YAML_PLAIN_SCALAR_STYLE {
                self.document.opaque.append(Int(event.start_mark.index)..<Int(event.end_mark.index))
            }
            try self.add(.scalar(text, isPlain: isPlain), mark, tag: tag, anchor: scalar.anchor)
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            try self.enter(.sequence([]), mark, tag: Self.tag(start.tag), anchor: start.anchor)
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            try self.enter(.mapping([]), mark, tag: Self.tag(start.tag), anchor: start.anchor)
        case YAML_SEQUENCE_END_EVENT:
            self.open.removeLast()
        case YAML_MAPPING_END_EVENT:
            try self.document.resolveMerges(in: self.open.removeLast().node, room: &self.room, of: self.limits.nodes)
        case YAML_ALIAS_EVENT:
            let name = Self.string(event.data.alias.anchor) ?? ""
            guard let node = self.anchors[name] else {
                throw YAMLError(mark: mark, message: "alias \(quoted("*" + name)) refers to nothing before it")
            }
            guard !self.open.contains(where: { $0.node == node }) else {
                throw YAMLError(mark: mark, message: "alias \(quoted("*" + name)) refers to what it is a part of")
            }
            try self.attach(node, mark)
        default:  // libyaml's own enum: stream and document marks, which carry nothing for us
            break
        }
    }

    private mutating func enter(
        _ content: YAMLDocument.Content,
        _ mark: YAMLDocument.Mark,
        tag: String?,
        anchor: UnsafeMutablePointer<yaml_char_t>?
    ) throws(YAMLError) {
        guard self.open.count < self.limits.depth else {
            throw YAMLError(mark: mark, message: "nested more than \(self.limits.depth) levels deep")
        }
        let node = try self.add(content, mark, tag: tag, anchor: anchor)
        self.open.append(Frame(node: node))
    }

    @discardableResult
    private mutating func add(
        _ content: YAMLDocument.Content,
        _ mark: YAMLDocument.Mark,
        tag: String?,
        anchor: UnsafeMutablePointer<yaml_char_t>?
    ) throws(YAMLError) -> Int {
        let node = self.document.nodes.count
        self.document.nodes.append(.init(content: content, mark: mark, tag: tag))
        if let anchor = Self.string(anchor), self.anchors.updateValue(node, forKey: anchor) != nil,
            self.document.repeatedAnchor == nil
        {
            self.document.repeatedAnchor = (anchor, mark)
        }
        try self.attach(node, mark)
        return node
    }

    /// Makes `node` the root, or a part of the innermost open list or mapping.
    private mutating func attach(_ node: Int, _ mark: YAMLDocument.Mark) throws(YAMLError) {
        self.room -= 1
        guard self.room >= 0 else {
            throw YAMLError(mark: mark, message: "more than \(self.limits.nodes) values in one file")
        }
        guard let parent = self.open.last else {
            self.document.root = node
            return
        }
        switch self.document.nodes[parent.node].content {
        case .scalar:
            break
        case .sequence:
            self.document.nodes[parent.node].content.append(item: node)
        case .mapping:
            if let key = parent.key {
                self.document.nodes[parent.node].content.append(pair: .init(key: key, value: node))
                self.open[self.open.count - 1].key = nil
            } else {
                self.open[self.open.count - 1].key = node
            }
        }
    }

    private static func string(_ text: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        text.map { String(cString: $0) }
    }

    private static func tag(_ text: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        switch self.string(text) {
        case nil, "!", YAML_STR_TAG, YAML_SEQ_TAG, YAML_MAP_TAG: nil
        case let tag?: tag
        }
    }

    /// Whether a tab stands at the mark. Marks count characters, so the line is found first.
    private static func isTab(_ mark: yaml_mark_t, in bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let lines = bytes.split(
            separator: UInt8(ascii: "\n"),
            maxSplits: Int(mark.line),
            omittingEmptySubsequences: false
        )
        guard lines.count > Int(mark.line), let line = lines.last else { return false }
        return line.lazy.filter { $0 & 0xc0 != 0x80 }.dropFirst(Int(mark.column)).first == UInt8(ascii: "\t")
    }

    private func syntaxError(bytes: UnsafeBufferPointer<UInt8>) -> YAMLError {
        let parser = self.parser.pointee
        let problem = parser.problem.map { String(cString: $0) } ?? "not a YAML document"
        switch parser.error {
        case YAML_READER_ERROR:
            // The reader runs ahead of the scanner: it knows the byte's offset only.
            let mark = YAMLDocument.Mark(offset: parser.problem_offset, in: bytes)
            return YAMLError(mark: mark, message: "\(problem) (the file must be UTF-8 text)")
        case YAML_SCANNER_ERROR, YAML_PARSER_ERROR, YAML_COMPOSER_ERROR:
            var message = problem
            if let context = parser.context { message += ", " + String(cString: context) }
            if Self.isTab(parser.problem_mark, in: bytes) {
                message += "; a tab cannot indent, use blanks"
            }
            // Nothing shows it, and libyaml does not name it.
            if let offset = bytes.indices.first(where: { bytes[$0...].starts(with: [0xef, 0xbb, 0xbf]) }) {
                let mark = YAMLDocument.Mark(offset: offset, in: bytes)
                message += "; a byte order mark stands in line \(mark.line): write that line anew"
            }
            return YAMLError(mark: .init(parser.problem_mark), message: message)
        default:  // libyaml's own enum: memory
            return YAMLError(mark: .start, message: problem)
        }
    }
}

extension YAMLDocument.Mark {
    fileprivate init(_ mark: yaml_mark_t) {
        self.init(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }

    /// The line and column of a byte of text that may not be text.
    fileprivate init(offset: Int, in bytes: UnsafeBufferPointer<UInt8>) {
        self = .start
        for byte in bytes.prefix(max(0, offset)) {
            if byte == UInt8(ascii: "\n") {
                self.line += 1
                self.column = 1
            } else if byte & 0xc0 != 0x80 {
                self.column += 1
            }
        }
    }
}

extension YAMLDocument.Content {
    /// Appends in place: a copy per item would make long lists quadratic.
    fileprivate mutating func append(item: Int) {
        guard case .sequence(var items) = self else { return }
        self = .sequence([])
        items.append(item)
        self = .sequence(items)
    }

    fileprivate mutating func append(pair: YAMLDocument.Pair) {
        guard case .mapping(var pairs) = self else { return }
        self = .mapping([])
        pairs.append(pair)
        self = .mapping(pairs)
    }
}
