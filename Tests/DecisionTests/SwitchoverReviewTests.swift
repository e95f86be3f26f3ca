// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What speaks against a switchover that somebody asks for: n1 leads, n2 and n3 stand by.
struct SwitchoverReviewTests {
    static func facts(_ change: (inout SwitchoverFacts) -> Void = { _ in }) -> SwitchoverFacts {
        var keys = SwitchoverFacts.Keys(revisions: PatroniRevisions(config: 5, failover: 0, sync: 0))
        keys.leader = ("n1", 9)
        for (name, position) in [("n1", Int64(1000)), ("n2", 1000), ("n3", 900)] {
            keys.members[name] = SwitchoverFacts.Member(timeline: 3, position: position)
        }
        var sight = SwitchoverSight(ownGroup: 0, addresses: ["10.0.0.9"])
        for name in ["n1", "n2", "n3"] { sight.members[name] = SwitchoverSight.Member(verdict: .well) }
        var server = SwitchoverFacts.Server()
        (server.longTransactions, server.backups) = (0, 0)
        var facts = SwitchoverFacts(
            keys: .seen(keys), sight: sight, etcd: .seen(.init(count: 3, lost: 0)), leader: .seen(server),
            candidate: .seen(server))
        change(&facts)
        return facts
    }

    private static func keys(_ change: @escaping (inout SwitchoverFacts.Keys) -> Void) -> SwitchoverFacts {
        self.facts { facts in
            guard var keys = facts.keys.value else { return }
            change(&keys)
            facts.keys = .seen(keys)
        }
    }

    private static func server(_ change: (inout SwitchoverFacts.Server) -> Void) -> Looked<SwitchoverFacts.Server> {
        var server = SwitchoverFacts.Server()
        (server.longTransactions, server.backups) = (0, 0)
        change(&server)
        return .seen(server)
    }

    private static func review(_ facts: SwitchoverFacts, to wanted: String? = "n2", group: Int = 0) -> Review {
        SwitchoverReview(group: group, to: wanted, facts).review
    }

    @Test func `where all is well nothing speaks against it, and the plan says what would be done`() {
        let review = Self.review(Self.facts())
        #expect(review.objections.isEmpty && review.hindrances.isEmpty)
        #expect(review.mustName == "n1" && review.summary == "switch group 0 over from n1 to n2")
        let order = SwitchoverOrder(leader: MemberID(0, "n1"), since: 9, candidate: MemberID(0, "n2"))
        #expect(review.action == .switchOver(order, PatroniRevisions(config: 5, failover: 0, sync: 0)))
        #expect(review.steps.count == 3 && review.effects.contains { $0.hasPrefix("10.0.0.9 moves to n2") })
        #expect(review.bound.map(\.what).contains("the leader") && review.bound.count == 5)
    }

    /// Facts in which one rule alone holds.
    private static func faulty(_ rule: ObjectionRule) -> SwitchoverFacts {
        switch rule {
        case .nofailover: Self.keys { $0.members["n2"]?.mayLead = false }
        case .notRunning: Self.keys { $0.members["n2"]?.isRunning = false }
        case .health: Self.facts { $0.sight.members["n2"]?.verdict = .postgresFailed }
        case .synchronous:
            Self.keys {
                $0.isSynchronousMode = true
                $0.synchronous = ["n3"]
            }
        case .lag: Self.facts { $0.sight.members["n2"]?.lag = 2 << 20 }
        case .timeline: Self.keys { $0.members["n2"]?.timeline = 2 }
        case .suppressed: Self.facts { $0.sight.members["n1"]?.isSuppressed = true }
        case .etcdSpare: Self.facts { $0.etcd = .seen(.init(count: 3, lost: 1)) }
        case .restartPending: Self.keys { $0.members["n1"]?.isRestartPending = true }
        case .patroniPaused: Self.keys { $0.isPaused = true }
        case .longTransactions: Self.facts { $0.leader = Self.server { $0.longTransactions = 2 } }
        case .preparedTransactions: Self.facts { $0.leader = Self.server { $0.preparedTransactions = 1 } }
        case .backup: Self.facts { $0.candidate = Self.server { $0.backups = 1 } }
        case .logicalSlots: Self.facts { $0.leader = Self.server { $0.logicalSlots = ["sub"] } }
        case .citus: Self.facts { $0.sight.citus = .seen(["app: row-not-leader"]) }
        }
    }

    @Test(arguments: ObjectionRule.allCases) func `each rule alone objects, by its name`(rule: ObjectionRule) {
        let review = Self.review(Self.faulty(rule))
        #expect(review.objections.map(\.name) == [rule.rawValue], "\(review.objections)")
        #expect(review.action != nil && review.hindrances.isEmpty, "it can be overridden")
        #expect(review.objections.allSatisfy { !$0.evidence.isEmpty && !$0.text.isEmpty })
    }

    @Test func `what is the other way round is no objection`() {
        for facts in [
            Self.keys {
                $0.isSynchronousMode = true
                $0.synchronous = ["n2", "n3"]
            },
            Self.keys { $0.synchronous = ["n3"] },
            Self.facts { $0.sight.members["n3"]?.isSuppressed = true },
            Self.facts { $0.sight.members["n2"]?.lag = 1 << 20 },
            Self.facts { $0.etcd = .seen(.init(count: 5, lost: 1)) },
            Self.facts { facts in
                facts.leader = Self.server { $0.logicalSlots = ["sub"] }
                facts.candidate = Self.server { $0.logicalSlots = ["sub", "more"] }
            },
            Self.facts { $0.sight.citus = .seen([]) },
        ] { #expect(Self.review(facts).objections.isEmpty, "\(Self.review(facts).objections)") }
        #expect(SwitchoverFacts.EtcdMembers(count: 3, lost: 0).hasSpare)
        #expect(!SwitchoverFacts.EtcdMembers(count: 1, lost: 0).hasSpare)
    }

    @Test func `what could not be looked at is an objection of another name, never fine`() {
        func names(_ change: (inout SwitchoverFacts) -> Void) -> [String] {
            Self.review(Self.facts(change)).objections.map(\.name)
        }
        #expect(
            names { $0.leader = .unseen(reason: "timeout") } == [
                "long-transactions-unseen", "prepared-transactions-unseen", "backup-running-unseen",
                "logical-slots-unseen",
            ])
        #expect(names { $0.candidate = .unseen(reason: "timeout") } == ["backup-running-unseen"])
        #expect(names { $0.etcd = .unseen(reason: "no endpoint") } == ["etcd-no-spare-unseen"])
        #expect(names { $0.sight.members["n2"] = nil } == ["candidate-health-unseen"])
        #expect(names { $0.sight.citus = .unseen(reason: "another daemon") } == ["citus-in-trouble-unseen"])
        // A role that may not see others' sessions has not seen that there are none.
        #expect(
            names { $0.leader = .seen(SwitchoverFacts.Server()) } == [
                "long-transactions-unseen", "backup-running-unseen",
            ])
        let silent = Self.review(
            Self.keys {
                $0.members["n2"]?.timeline = nil
                $0.members["n2"]?.position = nil
            })
        #expect(silent.objections.map(\.name) == ["lag-unseen", "timeline-unseen"])
        #expect(Objection.names.count == 2 * ObjectionRule.allCases.count)
    }

    @Test func `a backup that was found counts before one that could not be looked for`() {
        let review = Self.review(
            Self.facts { facts in
                facts.leader = .unseen(reason: "timeout")
                facts.candidate = Self.server { $0.backups = 1 }
            })
        #expect(review.objections.filter { $0.rule == .backup }.map(\.name) == ["backup-running"])
    }

    @Test func `the best candidate is the one against which least speaks, then the one that is furthest`() {
        func candidate(_ facts: SwitchoverFacts) -> String? {
            guard case .switchOver(let order, _)? = Self.review(facts, to: nil).action else { return nil }
            return order.candidate.name
        }
        #expect(candidate(Self.facts()) == "n2")
        #expect(candidate(Self.keys { $0.members["n2"]?.mayLead = false }) == "n3")
        #expect(candidate(Self.keys { $0.members["n3"]?.position = 1001 }) == "n2", "not behind is not behind")
        #expect(candidate(Self.keys { $0.members["n2"]?.position = 100 }) == "n3")
        // One grave objection is worse than one that is not.
        #expect(
            candidate(
                Self.keys {
                    $0.members["n2"]?.isRestartPending = true
                    $0.members["n3"]?.timeline = 1
                }) == "n2")
    }

    @Test func `what no override helps against is a hindrance, with what to do`() {
        func code(_ facts: SwitchoverFacts, to wanted: String? = "n2", group: Int = 0) -> String? {
            let review = Self.review(facts, to: wanted, group: group)
            #expect(review.action == nil && review.hindrances.count == 1 && review.objections.isEmpty)
            #expect(review.hindrances.allSatisfy { !$0.advice.isEmpty })
            return review.hindrances.first?.code
        }
        #expect(code(Self.keys { $0.leader = nil }) == "no_leader")
        #expect(code(Self.facts { $0.keys = .unseen(reason: "timeout") }) == "etcd_unreadable")
        #expect(code(Self.keys { $0.claimant = "n3" }) == "under_way")
        #expect(code(Self.keys { $0.isRequested = true }) == "requested")
        #expect(code(Self.facts(), to: "n1") == "leads_already")
        #expect(code(Self.facts(), to: "n9") == "unknown_member")
        #expect(code(Self.keys { $0.members = ["n1": .init()] }, to: nil) == "no_candidate")
        #expect(code(Self.facts { $0.sight.strangers = ["w1"] }, group: 3) == "other_group")
    }
}
