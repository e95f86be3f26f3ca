// SPDX-License-Identifier: Apache-2.0

/// Reads one JSON text (RFC 8259) from its first byte to its last.
///
/// Written here because these texts are read while an address moves: it takes microseconds where a decoder for typed
/// values, asked for every type in turn, takes hundreds, and it keeps 2 MB less of code in memory. Limits: 128 levels of
/// nesting; the text's own size bounds everything else. Of several members of one name the last counts.
package struct JSONParser {
    /// The text is not JSON; where does not matter to anybody.
    struct Malformed: Error {}

    package static let depthLimit = 128

    private let text: [UInt8]
    private var index = 0

    init(_ text: [UInt8]) { self.text = text }

    mutating func parse() throws(Malformed) -> JSON {
        let value = try self.value(depth: 0)
        self.skipSpace()
        guard self.index == self.text.count else { throw Malformed() }
        return value
    }

    // MARK: - Values

    private mutating func value(depth: Int) throws(Malformed) -> JSON {
        guard depth <= Self.depthLimit else { throw Malformed() }
        self.skipSpace()
        switch try self.peek() {
        case UInt8(ascii: "{"): return try self.object(depth: depth)
        case UInt8(ascii: "["): return try self.array(depth: depth)
        case UInt8(ascii: "\""): return .string(try self.string())
        case UInt8(ascii: "t"): return try self.word("true", .bool(true))
        case UInt8(ascii: "f"): return try self.word("false", .bool(false))
        case UInt8(ascii: "n"): return try self.word("null", .null)
        default: return try self.number()  // A byte.
        }
    }

    private mutating func object(depth: Int) throws(Malformed) -> JSON {
        self.index += 1
        var members: [String: JSON] = [:]
        if try self.skips(UInt8(ascii: "}")) { return .object(members) }
        while true {
            self.skipSpace()
            guard try self.peek() == UInt8(ascii: "\"") else { throw Malformed() }
            let name = try self.string()
            guard try self.skips(UInt8(ascii: ":")) else { throw Malformed() }
            members[name] = try self.value(depth: depth + 1)
            if try self.skips(UInt8(ascii: "}")) { return .object(members) }
            guard try self.skips(UInt8(ascii: ",")) else { throw Malformed() }
        }
    }

    private mutating func array(depth: Int) throws(Malformed) -> JSON {
        self.index += 1
        var elements: [JSON] = []
        if try self.skips(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try self.value(depth: depth + 1))
            if try self.skips(UInt8(ascii: "]")) { return .array(elements) }
            guard try self.skips(UInt8(ascii: ",")) else { throw Malformed() }
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(Malformed) -> JSON {
        let end = self.index + word.utf8CodeUnitCount
        guard end <= self.text.count else { throw Malformed() }
        let isEqual = word.withUTF8Buffer { $0.elementsEqual(self.text[self.index..<end]) }
        guard isEqual else { throw Malformed() }
        self.index = end
        return value
    }

    // MARK: - Numbers

    private mutating func number() throws(Malformed) -> JSON {
        let start = self.index
        if try self.peek() == UInt8(ascii: "-") { self.index += 1 }
        if try self.peek() == UInt8(ascii: "0") { self.index += 1 } else { try self.digits() }
        var isWhole = true
        if self.isNext(UInt8(ascii: ".")) {
            isWhole = false
            self.index += 1
            try self.digits()
        }
        if self.isNext(UInt8(ascii: "e")) || self.isNext(UInt8(ascii: "E")) {
            isWhole = false
            self.index += 1
            if self.isNext(UInt8(ascii: "+")) || self.isNext(UInt8(ascii: "-")) { self.index += 1 }
            try self.digits()
        }
        let digits = String(decoding: self.text[start..<self.index], as: UTF8.self)
        if isWhole, let value = Int64(digits) { return .integer(value) }
        if isWhole, let value = UInt64(digits) { return .unsigned(value) }
        guard let value = Double(digits), value.isFinite else { throw Malformed() }
        return Int64(exactly: value).map { .integer($0) } ?? .fraction(value)
    }

    /// At least one digit.
    private mutating func digits() throws(Malformed) {
        let start = self.index
        while self.index < self.text.count, self.text[self.index] &- UInt8(ascii: "0") <= 9 { self.index += 1 }
        guard self.index > start else { throw Malformed() }
    }

    // MARK: - Strings

    private mutating func string() throws(Malformed) -> String {
        self.index += 1
        let start = self.index
        while true {
            switch try self.peek() {
            case UInt8(ascii: "\""):
                let text = try Self.text(self.text[start..<self.index])
                self.index += 1
                return text
            case UInt8(ascii: "\\"): return try self.escapedString(from: start)
            case 0..<0x20: throw Malformed()
            default: self.index += 1  // A byte.
            }
        }
    }

    /// A string from `start`, of which the first escape stands at the index.
    private mutating func escapedString(from start: Int) throws(Malformed) -> String {
        var bytes = Array(self.text[start..<self.index])
        while true {
            let byte = try self.peek()
            self.index += 1
            switch byte {
            case UInt8(ascii: "\""): return try Self.text(bytes[...])
            case UInt8(ascii: "\\"): bytes += try self.escape()
            case 0..<0x20: throw Malformed()
            default: bytes.append(byte)  // A byte.
            }
        }
    }

    /// What stands behind a backslash, as UTF-8.
    private mutating func escape() throws(Malformed) -> [UInt8] {
        let byte = try self.peek()
        self.index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return Array(String(Character(try self.scalar())).utf8)
        default: throw Malformed()  // A byte.
        }
    }

    /// The scalar of one `\u` escape, or of a pair of surrogates.
    private mutating func scalar() throws(Malformed) -> Unicode.Scalar {
        let first = try self.hexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard 0xD800..<0xDC00 ~= first, self.isNext(UInt8(ascii: "\\")) else { throw Malformed() }
        self.index += 1
        guard self.isNext(UInt8(ascii: "u")) else { throw Malformed() }
        self.index += 1
        let second = try self.hexadecimal()
        guard 0xDC00..<0xE000 ~= second,
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw Malformed() }
        return scalar
    }

    /// Four hexadecimal digits.
    private mutating func hexadecimal() throws(Malformed) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(try self.peek())).hexDigitValue else { throw Malformed() }
            value = value << 4 | UInt32(digit)
            self.index += 1
        }
        return value
    }

    private static func text(_ bytes: ArraySlice<UInt8>) throws(Malformed) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Malformed() }
        return text
    }

    // MARK: - Bytes

    /// The byte at the index; the text's end is malformed wherever a byte is asked for.
    private func peek() throws(Malformed) -> UInt8 {
        guard self.index < self.text.count else { throw Malformed() }
        return self.text[self.index]
    }

    private func isNext(_ byte: UInt8) -> Bool { self.index < self.text.count && self.text[self.index] == byte }

    /// Skips white space, and `byte` behind it if it stands there; answers whether it did.
    private mutating func skips(_ byte: UInt8) throws(Malformed) -> Bool {
        self.skipSpace()
        guard try self.peek() == byte else { return false }
        self.index += 1
        return true
    }

    private mutating func skipSpace() {
        while self.index < self.text.count {
            switch self.text[self.index] {
            case 0x20, 0x0A, 0x0D, 0x09: self.index += 1
            default: return  // A byte.
            }
        }
    }
}
