// SPDX-License-Identifier: Apache-2.0

/// JSON that is to be written: members of objects keep their order. Nothing else puts quotes around what the daemon writes.
public enum JSONDocument: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// What is no number is written as null.
    case fraction(Double)
    case string(String)
    case array([JSONDocument])
    case object([Member])

    public struct Member: Sendable {
        public let name: String
        public let value: JSONDocument

        public init(_ name: String, _ value: JSONDocument) {
            self.name = name
            self.value = value
        }
    }

    /// Nil: null.
    public static func text(_ value: String?) -> JSONDocument { value.map { .string($0) } ?? .null }

    /// Nil: null. What 64 bits do not hold is written as the nearest that they do.
    public static func number(_ value: (some BinaryInteger)?) -> JSONDocument {
        value.map { .integer(Int64(clamping: $0)) } ?? .null
    }

    /// An object of those members that there are.
    public static func members(_ members: Member?...) -> JSONDocument { .object(members.compactMap(\.self)) }

    public static func list(_ elements: some Sequence<JSONDocument>) -> JSONDocument { .array(Array(elements)) }

    /// Without spaces, as programs read it.
    public var compact: String { self.text(lines: 0, separator: ",", colon: ":") }

    /// With spaces, and with a line for each member and element down to the depth `lines`.
    public func readable(lines: Int = 0) -> String { self.text(lines: lines, separator: ", ", colon: ": ") }

    private func text(lines: Int, separator: String, colon: String) -> String {
        // Bytes: to append to a string costs several times as much, and the status of 1,000 members is a megabyte and a half.
        var bytes: [UInt8] = []
        self.write(
            to: &bytes, depth: 1, Style(lines: lines, separator: Array(separator.utf8), colon: Array(colon.utf8)))
        return String(decoding: bytes, as: UTF8.self)
    }

    private struct Style {
        let lines: Int
        let separator: [UInt8]
        let colon: [UInt8]
    }

    private func write(to output: inout [UInt8], depth: Int, _ style: Style) {
        switch self {
        case .null: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .integer(let value): output += value.description.utf8
        case .fraction(let value): output += (value.isFinite ? value.description : "null").utf8
        case .string(let value): JSON.append(quoted: value, to: &output)
        case .array(let elements):
            Self.write("[", elements, "]", to: &output, depth, style) { element, output in
                element.write(to: &output, depth: depth + 1, style)
            }
        case .object(let members):
            Self.write("{", members, "}", to: &output, depth, style) { member, output in
                JSON.append(quoted: member.name, to: &output)
                output += style.colon
                member.value.write(to: &output, depth: depth + 1, style)
            }
        }
    }

    private static func write<Element>(
        _ opening: Unicode.Scalar, _ elements: [Element], _ closing: Unicode.Scalar, to output: inout [UInt8],
        _ depth: Int, _ style: Style, _ write: (Element, inout [UInt8]) -> Void
    ) {
        output.append(UInt8(ascii: opening))
        for (index, element) in elements.enumerated() {
            if index > 0 {
                if depth <= style.lines {
                    output += ",\n".utf8
                    output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * depth))
                } else {
                    output += style.separator
                }
            }
            write(element, &output)
        }
        output.append(UInt8(ascii: closing))
    }
}

extension JSONDocument: ExpressibleByStringInterpolation, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(nilLiteral: ()) { self = .null }
    public init(arrayLiteral elements: JSONDocument...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONDocument)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
}

extension JSON {
    /// As it is written again, members sorted by name.
    public var document: JSONDocument {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .integer(let value): .integer(value)
        case .unsigned(let value): .number(value)
        case .fraction(let value): .fraction(value)
        case .string(let value): .string(value)
        case .array(let elements): .list(elements.map(\.document))
        case .object(let members):
            .object(members.sorted { $0.key < $1.key }.map { JSONDocument.Member($0.key, $0.value.document) })
        }
    }
}
