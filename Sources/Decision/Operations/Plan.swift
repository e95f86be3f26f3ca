// SPDX-License-Identifier: Apache-2.0

/// A fact that a plan rests on: if it is another one when the plan is confirmed, the plan is void.
public struct BoundFact: Hashable, Sendable {
    /// For people, such as "the leader".
    public let what: String
    public let value: String

    public init(_ what: String, _ value: String) { (self.what, self.value) = (what, value) }

    /// What differs, for people.
    static func moved(from before: [BoundFact], to after: [BoundFact]) -> [String] {
        before.filter { !after.contains($0) }.map { fact in
            let now = after.first { $0.what == fact.what }?.value ?? "not known"
            return "\(fact.what): \(fact.value) when the plan was made, now \(now)"
        }
    }
}

/// What is to be done once a plan is confirmed.
public enum PlannedAction: Hashable, Sendable {
    /// `revisions`: of Patroni's keys, which must still be what they were in the moment of the claim.
    indirect case switchOver(SwitchoverOrder, PatroniRevisions)
    case acknowledge(MemberID)
    /// `isPause`: or else its end.
    case pauseReactions(seconds: Int64, reason: String)
    case resumeReactions
}

/// The revisions at which Patroni's keys were written last; 0: the key is absent.
public struct PatroniRevisions: Hashable, Sendable {
    public let config: Int64
    public let failover: Int64
    public let sync: Int64

    public init(config: Int64, failover: Int64, sync: Int64) {
        (self.config, self.failover, self.sync) = (config, failover, sync)
    }
}

/// What a look at the facts came to: all of a plan but who asked, when, and its digest.
public struct Review: Hashable, Sendable {
    /// One line.
    public let summary: String
    /// What whoever confirms must name; nil: nothing.
    public let mustName: String?
    public let steps: [String]
    public let effects: [String]
    public let objections: [Objection]
    public let hindrances: [Hindrance]
    public let bound: [BoundFact]
    /// Nil where a hindrance stands before it.
    public let action: PlannedAction?

    public init(
        summary: String, mustName: String? = nil, steps: [String] = [], effects: [String] = [],
        objections: [Objection] = [], hindrances: [Hindrance] = [], bound: [BoundFact] = [], action: PlannedAction?
    ) {
        (self.summary, self.mustName, self.steps, self.effects) = (summary, mustName, steps, effects)
        (self.objections, self.hindrances, self.bound, self.action) = (objections, hindrances, bound, action)
    }
}

/// What would be done, what would follow, and what speaks against it: to be confirmed once, within ``validity``.
public struct Plan: Hashable, Sendable {
    public let number: Int
    public let operation: Operation
    public let by: Requester
    public let madeAt: Instant
    public let review: Review
    /// Names it, and binds the operation, the facts and the objections.
    public let digest: String

    public static let validity: Duration = .seconds(300)

    init(
        _ number: Int, _ operation: Operation, by: Requester, _ review: Review, at now: Instant,
        digest: (String) -> String
    ) {
        (self.number, self.operation, self.by, self.madeAt, self.review) = (number, operation, by, now, review)
        let facts = review.bound.map { "\($0.what)=\($0.value)" }
        let names = review.objections.map(\.name) + review.hindrances.map(\.code)
        // Two plans of the same are two: each may be used once.
        let parts =
            ["\(number)", "\(now.sinceBoot.attoseconds)", "\(operation)", "\(review.action.map { "\($0)" } ?? "none")"]
            + facts + names
        // Lengths keep what a text contains from passing for the end of it.
        self.digest = digest(parts.map { "\($0.utf8.count):\($0)" }.joined())
    }

    public func isOver(at now: Instant) -> Bool { now - self.madeAt >= Self.validity }

    /// What it takes to confirm it, with these objections overridden.
    public func role(overriding names: Set<String>) -> OperationRole {
        self.review.objections.contains { $0.rule.isGrave && names.contains($0.name) } ? .endanger : .operate
    }
}

/// What somebody says to a plan.
public struct Confirmation: Hashable, Sendable {
    public let by: Requester
    /// What it says yes to.
    public let named: String?
    /// The names of the objections that it overrides.
    public let overrides: Set<String>

    public init(by: Requester, named: String?, overrides: Set<String> = []) {
        (self.by, self.named, self.overrides) = (by, named, overrides)
    }
}

/// What came of an operation.
public struct OperationResult: Hashable, Sendable {
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        case done
        /// Not done: who was asked, or what was seen, stood against it. Nothing was changed.
        case refused
        /// The facts have moved since the plan was made. Nothing was changed.
        case void
        /// It was begun, and has come to nothing.
        case failed
        /// It was begun, and what becomes of it is not known.
        case unanswered
    }
    public let outcome: Outcome
    public let text: String
    /// What to do now, and where; nil: nothing.
    public let advice: String?

    public init(_ outcome: Outcome, _ text: String, advice: String? = nil) {
        (self.outcome, self.text, self.advice) = (outcome, text, advice)
    }
}
