// SPDX-License-Identifier: Apache-2.0

/// What a scalar is for PyYAML, which reads the file for Patroni, by the rules of YAML 1.1: `0777` is the number 511, `on` is
/// true, `1:30` is 90. Patroni does not start with a number where it needs a text, or sends what it has made of it.
enum YAMLScalar: Equatable {
    case text(String)
    case null
    case boolean(Bool)
    /// In decimal digits: any size.
    case integer(String)
    case float(Double)
    /// A calendar day, as it is written.
    case date(String)
    /// What this reader has no use for, by its name: a time, `!!binary`, a number of absurd size.
    case other(String)

    /// For a message: what it is.
    var kind: String {
        switch self {
        case .text: "a text"
        case .null: "nothing"
        case .boolean(let value): "\(value) (YAML 1.1's yes, no, on and off mean that)"
        case .integer(let digits): "the number \(digits)"
        case .float(let value): "the number \(value)"
        case .date: "a date"
        case .other(let name): name
        }
    }

    /// What Python's `str()` makes of it; nil for what has no text that could be told.
    var pythonText: String? {
        switch self {
        case .text(let text), .integer(let text), .date(let text): text
        case .null: "None"
        case .boolean(let value): value ? "True" : "False"
        case .float(let value): "\(value)"
        case .other: nil
        }
    }

    /// Whether Python takes it for false.
    var isFalsy: Bool {
        switch self {
        case .null, .boolean(false), .text(""), .integer("0"), .float(0): true
        case .text, .boolean, .integer, .float, .date, .other: false
        }
    }

    /// What a scalar without quotes and without a tag is.
    init(plain text: String) {
        switch text {
        case "", "~", "null", "Null", "NULL": self = .null
        case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": self = .boolean(true)
        case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": self = .boolean(false)
        case "=": self = .other("'=', which has a meaning of its own in YAML 1.1")
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": self = .float(.infinity)
        case "-.inf", "-.Inf", "-.INF": self = .float(-.infinity)
        case ".nan", ".NaN", ".NAN": self = .float(.nan)
        default:  // text, not cases of ours
            self = Self.number(text) ?? Self.day(text) ?? .text(text)
        }
    }

    private static func number(_ text: String) -> YAMLScalar? {
        guard let first = text.utf8.first, text.utf8.count <= 400,
            Self.isDigit(first) || [UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains(first)
        else { return nil }
        return self.integer(text) ?? self.float(text)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// The sign, and what follows it.
    private static func unsigned(_ text: String) -> (isNegative: Bool, rest: Substring) {
        text.hasPrefix("-") || text.hasPrefix("+") ? (text.hasPrefix("-"), text.dropFirst()) : (false, text[...])
    }

    private static func integer(_ text: String) -> YAMLScalar? {
        let (isNegative, rest) = self.unsigned(text)
        guard let first = rest.utf8.first, self.isDigit(first) else { return nil }
        func signed(_ digits: String) -> YAMLScalar { .integer(isNegative && digits != "0" ? "-" + digits : digits) }
        for (prefix, radix) in [("0b", 2), ("0x", 16), ("0", 8)] where rest.hasPrefix(prefix) && rest != "0" {
            let body = rest.dropFirst(prefix.count)
            guard !body.isEmpty, body.allSatisfy({ $0 == "_" || $0.isASCII && Int(String($0), radix: radix) != nil })
            else {
                if prefix == "0" { return nil }
                continue
            }
            let digits = body.filter { $0 != "_" }
            return Int(digits, radix: radix).map { signed(String($0)) } ?? .other("a number that is too large")
        }
        let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
        guard parts[0].allSatisfy({ $0 == "_" || $0.isASCII && $0.isNumber }) else { return nil }
        guard parts.count > 1 else { return signed(rest.filter { $0 != "_" }) }
        return first == UInt8(ascii: "0") ? nil : self.sexagesimal(parts).map(signed)
    }

    /// `1:30:00`: each part but the first from 0 to 59.
    private static func sexagesimal(_ parts: [Substring]) -> String? {
        guard parts.count <= 8, var sum = Int(parts[0].filter { $0 != "_" }) else { return nil }
        for part in parts.dropFirst() {
            guard (1...2).contains(part.utf8.count), part.utf8.allSatisfy(self.isDigit), let number = Int(part),
                number < 60
            else { return nil }
            let (product, isTooLarge) = sum.multipliedReportingOverflow(by: 60)
            guard !isTooLarge, product < Int.max - 60 else { return nil }
            sum = product + number
        }
        return String(sum)
    }

    private static func float(_ text: String) -> YAMLScalar? {
        let rest = self.unsigned(text).rest
        guard let point = rest.firstIndex(of: ".") else { return nil }
        let whole = rest[..<point]
        // Without a digit before the point PyYAML knows no sign.
        guard whole.isEmpty ? rest.count == text.count : whole.utf8.first.map(self.isDigit) == true,
            whole.utf8.allSatisfy({ self.isDigit($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ":") })
        else { return nil }
        if whole.contains(":") {
            let isNumber = self.sexagesimal(whole.split(separator: ":", omittingEmptySubsequences: false)) != nil
            return isNumber ? .other("a number in base 60") : nil
        }
        var fraction = rest[rest.index(after: point)...]
        if let mark = fraction.firstIndex(where: { $0 == "e" || $0 == "E" }) {
            let exponent = fraction[mark...].dropFirst()
            guard exponent.hasPrefix("+") || exponent.hasPrefix("-"), exponent.utf8.count > 1,
                exponent.dropFirst().utf8.allSatisfy(self.isDigit)
            else { return nil }
            fraction = fraction[..<mark]
        }
        guard fraction.utf8.allSatisfy({ self.isDigit($0) || $0 == UInt8(ascii: "_") }),
            !whole.isEmpty || fraction.utf8.first.map(self.isDigit) == true
        else { return nil }
        var digits = text.filter { $0 != "_" }
        if fraction.isEmpty, let point = digits.firstIndex(of: ".") {
            digits.insert("0", at: digits.index(after: point))
        }
        return Double(digits).map { .float($0) } ?? .other("a number")
    }

    /// `2024-01-31`, or a time of such a day.
    private static func day(_ text: String) -> YAMLScalar? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 8, bytes.count <= 64, bytes[..<4].allSatisfy(self.isDigit), bytes[4] == UInt8(ascii: "-")
        else {
            return nil
        }
        let parts = text.split(separator: "-", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[1].utf8.allSatisfy(self.isDigit), (1...2).contains(parts[1].utf8.count) else {
            return nil
        }
        let day = parts[2].prefix { $0.isASCII && $0.isNumber }
        let rest = parts[2].dropFirst(day.count)
        guard (1...2).contains(day.utf8.count) else { return nil }
        guard rest.isEmpty else {
            let clock = rest.drop { $0 == " " || $0 == "\t" || $0 == "T" || $0 == "t" }
            let hasTime = clock.count < rest.count && clock.split(separator: ":").count >= 3
            return hasTime && clock.utf8.first.map(self.isDigit) == true ? .other("a time") : nil
        }
        guard parts[1].utf8.count == 2, day.utf8.count == 2 else { return nil }
        guard let month = Int(parts[1]), let number = Int(day), (1...12).contains(month), (1...31).contains(number)
        else {
            return .other("a date that does not exist")
        }
        return .date(text)
    }
}

extension YAMLDocument {
    private static let prefix = "tag:yaml.org,2002:"

    /// What PyYAML makes of a node; nil for a list or a mapping.
    func scalar(_ index: Int) -> YAMLScalar? {
        guard case .scalar(let text, let isPlain) = self[index].content else { return nil }
        guard let tag = self[index].tag else { return isPlain ? YAMLScalar(plain: text) : .text(text) }
        switch tag {
        case Self.prefix + "int", Self.prefix + "float", Self.prefix + "bool", Self.prefix + "null":
            return YAMLScalar(plain: text)
        default:  // text, not cases of ours
            return .other("a value with the tag \(quoted(tag))")
        }
    }
}
