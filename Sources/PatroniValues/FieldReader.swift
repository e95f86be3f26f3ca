// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// Reads the fields of one JSON object, and notes those of a wrong type or value instead of failing.
struct FieldReader {
    private let object: JSON
    private(set) var problems: [String] = []
    /// The names of the fields that were asked for and did not fit.
    private(set) var unreadable: Set<String> = []
    private(set) var isObject = true

    /// At most this many problems are kept.
    private static let problemLimit = 16

    init(_ object: JSON) {
        self.object = object
        self.isObject = object.object != nil
        if !self.isObject { self.note("not an object but \(object.kind)") }
    }

    /// The whole value, of at most 1 MB; one that is not JSON reads as an object without fields.
    init(_ text: some Collection<UInt8>) {
        let json = JSON.parse(text, limit: 1 << 20)
        self.init(json ?? .object([:]))
        if json == nil {
            self.isObject = false
            self.note("not JSON")
        }
    }

    mutating func note(_ problem: String) {
        if self.problems.count < Self.problemLimit { self.problems.append(problem) }
    }

    /// `read` answers nil for a value that does not fit.
    mutating func field<Value>(_ name: String, _ expected: String, _ read: (JSON) -> Value?) -> Value? {
        guard let value = self.object[name] else { return nil }
        guard let result = read(value) else {
            self.unreadable.insert(name)
            self.note("\(name) is \(value.kind) where \(expected) was expected")
            return nil
        }
        return result
    }

    mutating func text(_ name: String) -> String? { self.field(name, "a string") { $0.string } }

    mutating func number(_ name: String) -> Int64? { self.field(name, "a whole number") { $0.int64 } }

    /// A number that cannot be negative.
    mutating func count(_ name: String) -> Int64? {
        self.field(name, "a whole number of at least 0") { value in value.int64.flatMap { $0 >= 0 ? $0 : nil } }
    }

    /// What Patroni takes for true or false: also `on`, `yes`, `1` and their opposites.
    mutating func flag(_ name: String) -> Bool? { self.field(name, "a boolean", Self.flag) }

    static func flag(_ value: JSON) -> Bool? {
        switch value {
        case .bool(let flag): flag
        case .integer(let number): number == 1 ? true : number == 0 ? false : nil
        case .string(let text):
            switch text.lowercased() {
            case "on", "true", "yes", "1": true
            case "off", "false", "no", "0": false
            default: nil  // any other text
            }
        case .null, .unsigned, .fraction, .array, .object: nil
        }
    }

    mutating func object(_ name: String) -> [String: JSON]? { self.field(name, "an object") { $0.object } }
    mutating func list(_ name: String) -> [JSON]? { self.field(name, "a list") { $0.array } }
}
