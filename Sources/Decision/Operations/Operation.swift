// SPDX-License-Identifier: Apache-2.0

/// What a person may ask Pharos to do.
public enum Operation: Hashable, Sendable {
    /// That another member lead a group; nil: the one that is fit best.
    case switchover(group: Int, to: String?)
    /// That what a member has failed before count no more.
    case acknowledge(MemberID)
    /// That Pharos ask for no switchover by itself for so many seconds.
    case pauseReactions(seconds: Int64, reason: String)
    case resumeReactions

    /// Seconds; nobody comes back to a pause of a week.
    public static let shortestPause: Int64 = 60
    public static let longestPause: Int64 = 24 * 3600
    /// Characters of a reason.
    public static let reasonLimit = 200

    /// What programs call it.
    public var code: String {
        switch self {
        case .switchover: "switchover"
        case .acknowledge: "acknowledge"
        case .pauseReactions: "pause_reactions"
        case .resumeReactions: "resume_reactions"
        }
    }
}

/// What somebody may do. Each role may all that the ones before it may.
public enum OperationRole: String, Sendable, Hashable, CaseIterable, Comparable {
    case look
    /// What can be undone, and what is planned.
    case operate
    /// What may cost data or availability.
    case endanger

    private var rank: Int {
        switch self {
        case .look: 0
        case .operate: 1
        case .endanger: 2
        }
    }

    public static func < (one: OperationRole, other: OperationRole) -> Bool { one.rank < other.rank }
}

/// Who asks, as the ledger names them.
public struct Requester: Hashable, Sendable {
    public let name: String
    public let role: OperationRole

    public init(_ name: String, _ role: OperationRole) { (self.name, self.role) = (name, role) }
}

/// What a look came to: a value and how long ago it was seen, or why there is none.
public enum Looked<Value: Hashable & Sendable>: Hashable, Sendable {
    case seen(Value, ago: Duration = .zero)
    case unseen(reason: String)

    public var value: Value? {
        switch self {
        case .seen(let value, _): value
        case .unseen: nil
        }
    }
}
