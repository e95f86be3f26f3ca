// SPDX-License-Identifier: Apache-2.0

/// What PyYAML, which reads the file for Patroni, refuses and libyaml does not: with such a file Patroni does not start.
enum PatroniDialect {
    /// The tags that its safe loader has a meaning for.
    private static let tags: Set<String> = Set(
        ["null", "bool", "int", "float", "binary", "timestamp", "omap", "pairs", "set", "merge"]
            .map { "tag:yaml.org,2002:" + $0 })

    static func check(_ document: YAMLDocument, of bytes: [UInt8]) throws(YAMLError) {
        func refuse(_ mark: YAMLDocument.Mark, _ message: String) -> YAMLError {
            YAMLError(mark: mark, message: message + ": Patroni itself cannot read this file")
        }
        if let repeated = document.repeatedAnchor {
            throw refuse(repeated.mark, "the anchor \(quoted("&" + repeated.name)) is given twice")
        }
        // Marks count from behind a byte order mark.
        let bytes = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? Array(bytes.dropFirst(3)) : bytes
        if let (mark, isTab) = self.stranger(in: bytes, outside: document.opaque) {
            // As in a file that was put together of several; libyaml passes over it at the beginning of a line.
            guard isTab else {
                throw refuse(mark, "a byte order mark within the file, which shows nothing; write this line anew")
            }
            throw refuse(mark, "a tab between words or at a line's end or start; use blanks")
        }
        for (index, node) in document.nodes.enumerated() {
            if let tag = node.tag, !self.tags.contains(tag) { throw refuse(node.mark, "the tag \(quoted(tag))") }
            if case .mapping(let pairs) = node.content {
                for pair in pairs {
                    guard case .scalar = document[pair.key].content else {
                        throw refuse(document[pair.key].mark, "a key that is a list or a mapping")
                    }
                }
            }
            guard case .scalar(let text, let isPlain) = node.content else { continue }
            if isPlain, text == "=" { throw refuse(node.mark, "'=' without quotes") }
            if case .other("a date that does not exist") = document.scalar(index) {
                throw refuse(node.mark, "a date that does not exist")
            }
            if node.tag?.hasSuffix(":int") == true {
                guard case .integer = YAMLScalar(plain: text) else { throw refuse(node.mark, "'!!int' and no number") }
            }
        }
    }

    /// What PyYAML's versions read differently.
    static func warn(_ document: YAMLDocument, file: String, _ problems: inout DiagnosticList) {
        guard let disputed = document.disputedMerge else { return }
        problems.warning(
            Position(file: file, mark: disputed.mark),
            "two mappings that '<<' merges say \(quoted(disputed.key)): in a list the first one counts, but for Patroni the last one "
                + "as of PyYAML 6.0.4; say it once, or outside of '<<'")
    }

    /// The first tab, or byte order mark, that is neither in quotes, nor in a block of text, nor in a comment. `opaque`: where quotes and
    /// blocks are, in characters, in the order of the text.
    private static func stranger(
        in bytes: [UInt8], outside opaque: [Range<Int>]
    ) -> (mark: YAMLDocument.Mark, isTab: Bool)? {
        guard bytes.contains(UInt8(ascii: "\t")) || bytes.contains(0xef) else { return nil }
        var (character, line, column) = (0, 1, 1)
        var (isComment, before) = (false, UInt8(ascii: "\n"))
        var rest = opaque[...]
        for (index, byte) in bytes.enumerated() where byte & 0xc0 != 0x80 {
            while let first = rest.first, first.upperBound <= character { rest = rest.dropFirst() }
            let isOpaque = rest.first?.contains(character) ?? false
            if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                isComment = false
            } else if !isOpaque, !isComment {
                if byte == UInt8(ascii: "\t") { return (.init(line: line, column: column), true) }
                if byte == 0xef, bytes[index...].starts(with: [0xef, 0xbb, 0xbf]) {
                    return (.init(line: line, column: column), false)
                }
                isComment = byte == UInt8(ascii: "#") && [0x0a, 0x0d, 0x20].contains(before)
            }
            character += 1
            column += 1
            if byte == UInt8(ascii: "\n") { (line, column) = (line + 1, 1) }
            before = byte
        }
        return nil
    }
}
