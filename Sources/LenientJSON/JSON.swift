// SPDX-License-Identifier: Apache-2.0
/// A JSON value of any shape, for answers whose every field may be missing or of another type than documented.
///
/// Integers keep 64 bits; a fraction without fractional part, such as 1.0, is an integer.
public enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// An integer above `Int64.max`.
    case unsigned(UInt64)
    case fraction(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    /// Parses one whole JSON text; nil if it is malformed or longer than `limit` bytes.
    public static func parse(_ text: some Collection<UInt8>, limit: Int = 16 << 20) -> JSON? {
        guard text.count <= limit else { return nil }
        var parser = JSONParser(Array(text))
        do throws(JSONParser.Malformed) {
            return try parser.parse()
        } catch {
            return nil
        }
    }

    /// The member `name` of an object; nil where it is absent, null, or this is no object.
    public subscript(name: String) -> JSON? {
        guard case .object(let members) = self, let value = members[name], value != .null else { return nil }
        return value
    }

    public var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    public var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }

    public var array: [JSON]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    public var object: [String: JSON]? {
        guard case .object(let members) = self else { return nil }
        return members
    }

    /// A whole number that fits, written as a number or as a string of digits.
    public var int64: Int64? {
        switch self {
        case .integer(let value): value
        case .fraction(let value): Int64(exactly: value)
        case .string(let text): text.utf8.count <= 20 ? Int64(text) : nil
        case .null, .bool, .unsigned, .array, .object: nil
        }
    }

    /// A whole number that fits, written as a number or as a string of digits.
    public var uint64: UInt64? {
        switch self {
        case .integer(let value): UInt64(exactly: value)
        case .unsigned(let value): value
        case .fraction(let value): UInt64(exactly: value)
        case .string(let text): text.utf8.count <= 20 ? UInt64(text) : nil
        case .null, .bool, .array, .object: nil
        }
    }

    /// What kind of value this is, for messages.
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .unsigned, .fraction: "a number"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }
}

extension JSON {
    /// `text` as a JSON string literal, quotes included.
    public static func quoted(_ text: String) -> String {
        var literal: [UInt8] = []
        self.append(quoted: text, to: &literal)
        return String(decoding: literal, as: UTF8.self)
    }

    /// The same, behind what is there: what needs no escape is copied in one piece.
    static func append(quoted text: String, to output: inout [UInt8]) {
        let (quote, backslash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"))
        output.append(quote)
        var text = text
        text.withUTF8 { bytes in
            var copied = 0
            for (index, byte) in bytes.enumerated() where byte < 0x20 || byte == quote || byte == backslash {
                output.append(contentsOf: bytes[copied..<index])
                copied = index + 1
                if byte >= 0x20 {
                    output += [backslash, byte]
                } else {
                    output += "\\u00\(byte < 0x10 ? "0" : "")\(String(byte, radix: 16))".utf8
                }
            }
            output.append(contentsOf: bytes[copied...])
        }
        output.append(quote)
    }
}
