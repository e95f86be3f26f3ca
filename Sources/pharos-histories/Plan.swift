// SPDX-License-Identifier: Apache-2.0

/// What happens in one round, drawn from its number and the seed.
struct Plan: Hashable, Sendable {
    struct Step: Hashable, Sendable {
        /// Milliseconds after the round's beginning.
        let at: Int
        /// Not before such a request of this node passes, or 3 s are over.
        let trigger: Trigger?
        let fault: Fault
        /// Milliseconds.
        let span: Int
        /// The fault befalls the node that has the address when it begins, not the one that it names.
        var isOfHolder = false
    }
    struct Trigger: Hashable, Sendable {
        let node: Int
        let request: Relay.Request
    }
    struct History: Hashable, Sendable {
        let at: Int
        let change: HistoryChange
        /// What others write before a daemon can read.
        let writes: Int
        /// Whom Patroni names before a daemon can read.
        let leader: Int
    }

    /// What this run may do.
    struct Limits: Sendable {
        /// Milliseconds for which a member of etcd may be frozen or cut off, where etcd's version is known to lie afterwards
        /// (issue 15247): one such fault a round, and shorter than a lease. Nil: no limit.
        var memberFault: Int?
        /// Whether etcd may go on with other histories.
        var changesHistory = true
        /// Whether daemons of an older version run beside.
        var mixesVersions = false
    }

    private(set) var steps: [Step] = []
    private(set) var history: History?
    let savesSnapshot: Bool
    /// Who leads at the end, if nobody does.
    let finalLeader: Int

    init(seed: UInt64, round: Int, _ limits: Limits) {
        var random = Randomness(seed: seed, round: round)
        self.savesSnapshot = round == 0 || random.chance(25)
        self.finalLeader = Self.node(&random)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let fault = Self.fault(limits, &random)
            var span = random.span(100...12_000)
            if fault.isOfMember, let limit = limits.memberFault {
                guard !self.steps.contains(where: \.fault.isOfMember) else { continue }
                span = min(span, limit)
            }
            self.steps.append(
                Step(at: random.span(0...6000), trigger: Self.trigger(&random), fault: fault, span: span))
        }
        // Most faults matter only where the address moves meanwhile.
        for _ in 0..<(random.chance(80) ? random.chance(30) ? 2 : 1 : 0) {
            let leader = random.chance(12) ? nil : Self.node(&random)
            self.steps.append(Step(at: random.span(0...9000), trigger: nil, fault: .lead(leader), span: 0))
        }
        if limits.changesHistory, random.chance(45) { self.addHistory(&random) }
    }

    /// Most changes of history matter only to a node that does not see them.
    private mutating func addHistory(_ random: inout Randomness) {
        let at = random.span(1000...8000)
        self.history = History(
            at: at, change: Self.change(&random),
            writes: random.chance(70) ? Int.random(in: 0...400, using: &random) : 0,
            leader: Self.node(&random))
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            let node = Self.node(&random)
            let fault: Fault =
                random.chance(60)
                ? .freezeDaemon(node, withChildren: true) : .holdBack(node, requests: true, answers: true)
            self.steps.append(
                Step(
                    at: max(0, at - random.span(0...1500)), trigger: nil, fault: fault,
                    span: 4000 + random.span(0...9000),
                    isOfHolder: random.chance(50)))
        }
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            let fault = Fault.crashDaemon(Self.node(&random), forgets: false, thenOlder: false)
            self.steps.append(Step(at: max(0, at - random.span(0...500)), trigger: nil, fault: fault, span: 800))
        }
    }

    private static func node(_ random: inout Randomness) -> Int {
        Int.random(in: 0..<HistoryBed.nodeCount, using: &random)
    }

    private static func trigger(_ random: inout Randomness) -> Trigger? {
        guard random.chance(50) else { return nil }
        return Trigger(node: self.node(&random), request: random.chance(60) ? .keepAlive : .acquire)
    }

    private static func fault(_ limits: Limits, _ random: inout Randomness) -> Fault {
        let node = self.node(&random)
        let member = random.chance(60) ? Fault.Member.leader : .number(Int.random(in: 0..<3, using: &random))
        let request: Relay.Request = random.chance(50) ? .keepAlive : random.chance(50) ? .acquire : .read
        let isOlder = limits.mixesVersions && random.chance(50)
        switch Int.random(in: 0..<(limits.mixesVersions ? 130 : 100), using: &random) {
        case 0..<18: return .freezeDaemon(node, withChildren: random.chance(60))
        case 18..<26: return .crashDaemon(node, forgets: random.chance(15), thenOlder: isOlder)
        case 26..<30: return .stopDaemon(node, thenOlder: isOlder)
        case 30..<40:
            let direction = Int.random(in: 0..<3, using: &random)
            return .holdBack(node, requests: direction != 1, answers: direction != 0)
        case 40..<46: return .holdWay(node, member: Int.random(in: 0..<3, using: &random))
        case 46..<54: return .holdAnswers(node, to: request)
        case 54..<60: return .loseAnswers(node, to: request)
        case 60..<64: return .refuseConnections(node)
        case 64..<71: return .detach(node)
        case 71..<82: return .freezeMember(member)
        case 82..<87: return .crashMember(member)
        case 87..<94:
            let direction = Int.random(in: 0..<3, using: &random)
            return .cutMember(member, says: direction != 1, hears: direction != 0)
        case 94..<100: return .disturbKernel(node)
        default: return .stopDaemon(node, thenOlder: isOlder)
        }
    }

    private static func change(_ random: inout Randomness) -> HistoryChange {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<2: .empty(sameToken: random.chance(60))
        case 2..<5: .back
        default: .snapshot(Int.random(in: 0..<3, using: &random), sameToken: random.chance(80))
        }
    }
}
