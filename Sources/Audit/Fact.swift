// SPDX-License-Identifier: Apache-2.0

/// Something that was looked at, or could not be. What could not be looked at is never taken for fine.
public enum Fact<Value: Sendable>: Sendable {
    /// `source`: who said it, for people: `/config of n1`.
    case known(Value, source: String)
    /// `why`: for people, with what would let it be looked at.
    case unlooked(why: String)

    /// Nil where it could not be looked at.
    public var value: Value? {
        switch self {
        case .known(let value, _): value
        case .unlooked: nil
        }
    }

    /// Why it could not be looked at; nil where it was.
    public var why: String? {
        switch self {
        case .known: nil
        case .unlooked(let why): why
        }
    }

    /// The value, for a rule that can say nothing without it.
    func get() throws(Unlooked) -> Value {
        switch self {
        case .known(let value, _): return value
        case .unlooked(let why): throw Unlooked(why)
        }
    }
}

/// A rule could not look at what it judges.
struct Unlooked: Error {
    let why: String
    init(_ why: String) { self.why = why }
}
