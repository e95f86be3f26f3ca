// SPDX-License-Identifier: Apache-2.0

/// Keeps the plans of one daemon: who asked for what, what was found, what was confirmed, and what came of it.
///
/// A plan is used once, within ``Plan/validity``, and only while what it rests on is what it was. One operation is under way at a
/// time. Whoever keeps a desk looks at the facts when it says so, and carries out what it says.
public struct OperationDesk: Sendable {
    public enum State: Hashable, Sendable {
        /// The facts are being looked at, for a plan.
        case looking(since: Instant)
        indirect case planned(Plan)
        /// It was confirmed, and the facts are being looked at again.
        indirect case confirming(Plan, Confirmation, since: Instant)
        indirect case underWay(Plan, Confirmation, since: Instant)
        /// `plan`: nil where none was made.
        indirect case ended(plan: Plan?, Confirmation?, OperationResult, at: Instant)
    }

    public struct Ticket: Hashable, Sendable {
        public let number: Int
        public let operation: Operation
        public let by: Requester
        public internal(set) var state: State

        public var plan: Plan? {
            switch self.state {
            case .looking: nil
            case .planned(let plan), .confirming(let plan, _, _), .underWay(let plan, _, _): plan
            case .ended(let plan, _, _, _): plan
            }
        }

        var isActive: Bool {
            switch self.state {
            case .looking, .confirming, .underWay: true
            case .planned, .ended: false
            }
        }

        var isBeingDone: Bool {
            switch self.state {
            case .confirming, .underWay: true
            case .looking, .planned, .ended: false
            }
        }
    }

    /// Plans and operations that are kept, those that have ended included.
    public static let limit = 8
    private var lastNumber = 0
    /// Oldest first.
    public private(set) var tickets: [Ticket] = []

    public init() {}

    public func ticket(_ number: Int) -> Ticket? { self.tickets.first { $0.number == number } }

    private mutating func change(_ number: Int, to state: State) {
        guard let index = self.tickets.firstIndex(where: { $0.number == number }) else { return }
        self.tickets[index].state = state
    }

    // MARK: - To plan

    /// Somebody wants a plan; answers the number under which the facts are to be looked at.
    public mutating func plan(_ operation: Operation, by: Requester, at now: Instant) throws(DeskRefusal) -> Int {
        guard by.role >= .operate else { throw DeskRefusal(.role(needed: .operate, has: by.role)) }
        if self.tickets.count >= Self.limit {
            // The oldest that nobody waits for.
            guard let index = self.tickets.firstIndex(where: { !$0.isActive }) else { throw DeskRefusal(.crowded) }
            self.tickets.remove(at: index)
        }
        self.lastNumber += 1
        self.tickets.append(
            Ticket(number: self.lastNumber, operation: operation, by: by, state: .looking(since: now)))
        return self.lastNumber
    }

    /// What follows from a look at the facts.
    public enum LookNews: Hashable, Sendable {
        /// There is a plan now.
        case planned
        /// What was confirmed is to be done.
        indirect case carryOut(Plan, Confirmation, PlannedAction)
        /// It is not done.
        indirect case ended(Plan, Confirmation, OperationResult)
        /// Nobody waits for it.
        case stale
    }

    /// The facts of a plan, or of one that was confirmed, have been looked at.
    public mutating func looked(
        _ number: Int, _ review: Review, at now: Instant, digest: (String) -> String
    ) -> LookNews {
        guard let ticket = self.ticket(number) else { return .stale }
        switch ticket.state {
        case .looking:
            self.change(
                number,
                to: .planned(Plan(number, ticket.operation, by: ticket.by, review, at: now, digest: digest)))
            return .planned
        case .confirming(let plan, let confirmation, _):
            if let result = Self.standing(against: plan, confirmation, review) {
                self.change(number, to: .ended(plan: plan, confirmation, result, at: now))
                return .ended(plan, confirmation, result)
            }
            guard let action = plan.review.action else { return .stale }
            self.change(number, to: .underWay(plan, confirmation, since: now))
            return .carryOut(plan, confirmation, action)
        case .planned, .underWay, .ended: return .stale
        }
    }

    /// What the second look stands against what was confirmed; nil: nothing.
    private static func standing(against plan: Plan, _ confirmation: Confirmation, _ now: Review) -> OperationResult? {
        if let hindrance = now.hindrances.first {
            return OperationResult(.refused, hindrance.text, advice: hindrance.advice)
        }
        let moved = BoundFact.moved(from: plan.review.bound, to: now.bound)
        guard moved.isEmpty else {
            return OperationResult(
                .void, "the facts have moved since the plan was made: \(moved.joined(separator: "; "))",
                advice: "make a new plan")
        }
        let open = now.objections.filter { !confirmation.overrides.contains($0.name) }
        guard open.isEmpty else {
            let list = open.map { "\($0.name) (\($0.evidence))" }.joined(separator: "; ")
            return OperationResult(
                .refused, "since the plan was made an objection has come up: \(list)",
                advice: "make a new plan, and look at it")
        }
        guard plan.review.action == now.action else {
            return OperationResult(.void, "what would be done is another thing by now", advice: "make a new plan")
        }
        return nil
    }

    // MARK: - To confirm

    /// Somebody confirms a plan; answers the number under which the facts are to be looked at again.
    public mutating func confirm(
        _ digest: String, _ confirmation: Confirmation, at now: Instant
    ) throws(DeskRefusal) -> Int {
        guard let ticket = self.tickets.first(where: { $0.plan?.digest == digest }) else {
            throw DeskRefusal(.unknown)
        }
        guard case .planned(let plan) = ticket.state else { throw DeskRefusal(.used) }
        guard !plan.isOver(at: now) else { throw DeskRefusal(.over(since: now - plan.madeAt)) }
        if let hindrance = plan.review.hindrances.first { throw DeskRefusal(.hindered(hindrance)) }
        let names = Set(plan.review.objections.map(\.name))
        if let other = confirmation.overrides.subtracting(names).min() { throw DeskRefusal(.noSuchObjection(other)) }
        let open = plan.review.objections.filter { !confirmation.overrides.contains($0.name) }
        guard open.isEmpty else { throw DeskRefusal(.notOverridden(open.map(\.name))) }
        if let name = plan.review.mustName, confirmation.named != name {
            throw DeskRefusal(.named(confirmation.named, expected: name))
        }
        let needed = plan.role(overriding: confirmation.overrides)
        guard confirmation.by.role >= needed else {
            throw DeskRefusal(.role(needed: needed, has: confirmation.by.role))
        }
        if let other = self.tickets.first(where: \.isBeingDone) {
            throw DeskRefusal(.busy(other.plan?.review.summary ?? other.operation.code))
        }
        self.change(ticket.number, to: .confirming(plan, confirmation, since: now))
        return ticket.number
    }

    /// What was to be done has come to this.
    public mutating func ended(_ number: Int, _ result: OperationResult, at now: Instant) {
        guard let ticket = self.ticket(number), case .underWay(let plan, let confirmation, _) = ticket.state else {
            return
        }
        self.change(number, to: .ended(plan: plan, confirmation, result, at: now))
    }
}
