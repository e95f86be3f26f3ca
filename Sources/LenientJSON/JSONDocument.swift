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
        var text = ""
        self.write(to: &text, depth: 1, lines, separator, colon)
        return text
    }

    private func write(to text: inout String, depth: Int, _ lines: Int, _ separator: String, _ colon: String) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += "\(value)"
        case .fraction(let value): text += value.isFinite ? "\(value)" : "null"
        case .string(let value): text += JSON.quoted(value)
        case .array(let elements):
            Self.write("[", elements, "]", to: &text, depth, lines, separator) { element, text in
                element.write(to: &text, depth: depth + 1, lines, separator, colon)
            }
        case .object(let members):
            Self.write("{", members, "}", to: &text, depth, lines, separator) { member, text in
                text += JSON.quoted(member.name) + colon
                member.value.write(to: &text, depth: depth + 1, lines, separator, colon)
            }
        }
    }

    private static func write<Element>(
        _ opening: String, _ elements: [Element], _ closing: String, to text: inout String, _ depth: Int, _ lines: Int,
        _ separator: String, _ write: (Element, inout String) -> Void
    ) {
        text += opening
        for (index, element) in elements.enumerated() {
            if index > 0 {
                text += depth <= lines ? "," : separator
                if depth <= lines { text += "\n" + String(repeating: "  ", count: depth) }
            }
            write(element, &text)
        }
        text += closing
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
