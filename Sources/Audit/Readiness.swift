// SPDX-License-Identifier: Apache-2.0

/// Which single failures a group would survive now: one judgement, for `pharos audit` and for the daemon. What they do not both look at is
/// not known to the one that does not.
public struct Readiness: Sendable {
    public enum Failure: String, Sendable, CaseIterable {
        case leaderNode = "the leader's node is lost"
        case leaderPostgres = "the leader's PostgreSQL crashes"
        case leaderPatroni = "the leader's Patroni dies or freezes"
        case leaderNetwork = "the leader's network is lost"
        /// Of each standby there is a line of its own.
        case standby = "a standby's node is lost"
        case etcdMember = "a member of etcd is lost"
        case thisDaemon = "this node's Pharos is lost"
        /// Of groups other than the coordinator's own.
        case coordinator = "the coordinator's leader is lost"
    }

    public enum Outcome: Sendable, Equatable {
        case survived(String)
        case notSurvived(String)
        case notKnown(String)

        /// In one word, for machines.
        public var word: String {
            switch self {
            case .survived: "survived"
            case .notSurvived: "not_survived"
            case .notKnown: "not_known"
            }
        }

        /// In one line.
        public var reason: String {
            switch self {
            case .survived(let reason), .notSurvived(let reason), .notKnown(let reason): reason
            }
        }
    }

    public struct Line: Sendable {
        public let failure: Failure
        /// Whom it befalls, where it may befall several: a standby.
        public let member: String?
        public let outcome: Outcome
        /// What to type where it is not survived, or to know it.
        public let step: AuditStep?
        /// The rule that finds the same cause, by whose code it is accepted; nil: none does.
        public let code: String?

        /// What befalls whom.
        public var text: String { self.member.map { "the standby \($0) is lost" } ?? self.failure.rawValue }
    }

    public let group: Int
    public let leader: String?
    public let lines: [Line]

    /// Of this node's group, and, as far as its daemon knows them, of the others; sorted.
    public static func all(_ facts: AuditFacts) -> [Readiness] {
        let own = facts.groupNumber
        var lines: [Line] = []
        for failure in Failure.allCases {
            switch failure {
            case .standby: lines += facts.standbyLines()
            case .coordinator:
                guard own != 0, facts.citus != nil else { continue }
                lines.append(facts.line(failure) { facts throws(Unlooked) in try facts.withoutCoordinator() })
            case .leaderNode, .leaderPostgres, .leaderPatroni, .leaderNetwork, .etcdMember, .thisDaemon:
                lines.append(facts.line(failure) { facts throws(Unlooked) in try facts.answer(to: failure) })
            }
        }
        let others = (facts.daemon.value?.groups ?? []).filter { $0.number != own }.map { group in
            Readiness(
                group: group.number, leader: group.leader,
                lines: [
                    facts.line(.leaderNode) { facts throws(Unlooked) in facts.withoutLeader(of: group) }
                ])
        }
        let first = Readiness(group: own, leader: facts.keys.value?.leader, lines: lines)
        return ([first] + others).sorted { $0.group < $1.group }
    }

    /// An outcome, with what to type and the rule that finds the same.
    struct Answer {
        let outcome: Outcome
        var step: AuditStep?
        var code: String?

        static func survived(_ reason: String) -> Answer { Answer(outcome: .survived(reason)) }

        static func lost(_ reason: String, _ step: AuditStep, code: String? = nil) -> Answer {
            Answer(outcome: .notSurvived(reason), step: step, code: code)
        }

        static func unknown(_ reason: String, _ step: AuditStep? = nil) -> Answer {
            Answer(outcome: .notKnown(reason), step: step)
        }
    }
}

extension AuditFacts {
    /// The number of this node's group: 0 without Citus.
    var groupNumber: Int { self.number ?? self.group ?? 0 }

    fileprivate func line(
        _ failure: Readiness.Failure, _ member: String? = nil,
        _ judge: (AuditFacts) throws(Unlooked) -> Readiness.Answer
    ) -> Readiness.Line {
        var answer: Readiness.Answer
        do throws(Unlooked) { answer = try judge(self) } catch { answer = .unknown(error.why) }
        if case .notKnown = answer.outcome, answer.step == nil, self.isOfDaemon {
            answer.step = AuditStep(self.member, "pharos audit")
        }
        return Readiness.Line(
            failure: failure, member: member, outcome: answer.outcome, step: answer.step?.completed(self),
            code: answer.code)
    }

    fileprivate func standbyLines() -> [Readiness.Line] {
        switch self.keys {
        case .unlooked(let why):
            [self.line(.standby) { _ throws(Unlooked) in throw Unlooked(why) }]
        case .known(let keys, _):
            keys.others.map { member in
                self.line(.standby, member.name) { facts throws(Unlooked) in try facts.without(standby: member) }
            }
        }
    }
}
