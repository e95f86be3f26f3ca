// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The rules of ``Stance/judge(_:)`` as a table, in their order.
struct StanceTests {
    /// One rule: the fact that triggers it, and the verdict.
    struct Rule: CustomTestStringConvertible, Sendable {
        let name: String
        let verdict: Stance
        let trigger: @Sendable (inout StanceFacts) -> Void
        var testDescription: String { self.name }
    }

    /// Facts to which no rule applies: the address is free, and belongs here.
    static let free = StanceFacts(
        isStopping: false, isBeingReconfigured: false, hasContact: true, leader: "n1", member: "n1", isPaused: false,
        isHeld: false, isCoveredByFailsafe: false, postgres: .primary, isPostgresAnswerFresh: true, policy: .writable,
        interface: "eth0", interfaceState: .usable, isMarked: true, isQuarantined: false, otherHolder: nil,
        isReturningLease: false, isHistoryTrusted: true)

    /// For a node that does not hold the address.
    static let rules: [Rule] = [
        Rule(name: "stopping", verdict: .leave(.stopping)) { $0.isStopping = true },
        Rule(name: "configured otherwise", verdict: .leave(.reconfigured)) { $0.isBeingReconfigured = true },
        Rule(name: "etcd was never read", verdict: .wait(.noContactYet)) { $0.hasContact = false },
        Rule(name: "nobody leads", verdict: .leave(.noLeader)) { $0.leader = nil },
        Rule(name: "another leads", verdict: .leave(.leaderIsAnother("n2"))) { $0.leader = "n2" },
        Rule(name: "in recovery", verdict: .wait(.inRecovery)) { $0.postgres = .standby },
        Rule(name: "interfaces not listed", verdict: .wait(.interfacesUnlisted)) { $0.interfaceState = .unlisted },
        Rule(name: "no interface", verdict: .wait(.interfaceMissing("eth0"))) { $0.interfaceState = .missing },
        Rule(name: "interface down", verdict: .wait(.interfaceDown("eth0"))) { $0.interfaceState = .down },
        Rule(name: "PostgreSQL does not answer", verdict: .wait(.postgresUnreachable("no socket"))) {
            $0.postgres = .unreachable(reason: "no socket")
        },
        Rule(name: "PostgreSQL was not asked", verdict: .wait(.postgresNotAsked)) { $0.postgres = nil },
        Rule(name: "PostgreSQL was asked before it led", verdict: .wait(.postgresNotAsked)) {
            $0.isPostgresAnswerFresh = false
        },
        Rule(name: "a new etcd", verdict: .wait(.clusterNotMarked)) { $0.isMarked = false },
        Rule(name: "a quarantined etcd", verdict: .wait(.quarantine)) { $0.isQuarantined = true },
        Rule(name: "an unknown history of etcd", verdict: .wait(.historyUnknown)) { $0.isHistoryTrusted = false },
        Rule(name: "an older lease on its way back", verdict: .wait(.leaseReturning)) { $0.isReturningLease = true },
        Rule(name: "held by another", verdict: .wait(.heldByAnother("n2"))) { $0.otherHolder = "n2" },
    ]

    @Test func `a leader that accepts writes holds a free address`() { #expect(Stance.judge(Self.free) == .hold) }

    @Test(arguments: rules) func `each rule decides alone`(_ rule: Rule) {
        var facts = Self.free
        rule.trigger(&facts)
        #expect(Stance.judge(facts) == rule.verdict)
    }

    @Test func `an earlier rule wins over every later one`() {
        for (index, earlier) in Self.rules.enumerated() {
            for later in Self.rules[(index + 1)...] {
                var facts = Self.free
                later.trigger(&facts)
                earlier.trigger(&facts)
                #expect(Stance.judge(facts) == earlier.verdict, "\(earlier.name), then \(later.name)")
            }
        }
    }

    @Test(arguments: rules) func `what is held stays, unless somebody else leads or it accepts no writes`(_ rule: Rule)
    {
        var facts = Self.free
        facts.isHeld = true
        rule.trigger(&facts)
        let expected: Stance =
            switch rule.verdict {
            case .leave, .wait(.noContactYet): rule.verdict
            case .wait(.inRecovery): .leave(.inRecovery)
            case .wait, .hold, .keep: .hold
            }
        #expect(Stance.judge(facts) == expected)
    }

    @Test func `the policy leader_key never looks at PostgreSQL`() {
        var facts = Self.free
        facts.policy = .leaderKey
        for state: PostgresState? in [nil, .standby, .unreachable(reason: "down")] {
            facts.postgres = state
            facts.isPostgresAnswerFresh = false
            #expect(Stance.judge(facts) == .hold)
            facts.isHeld = true
            #expect(Stance.judge(facts) == .hold)
            facts.isHeld = false
        }
    }

    @Test func `without a leader, failsafe mode keeps and maintenance keeps what is held`() {
        var facts = Self.free
        facts.leader = nil
        facts.isPaused = true
        #expect(Stance.judge(facts) == .leave(.noLeader))
        facts.isHeld = true
        #expect(Stance.judge(facts) == .keep(.maintenance))
        facts.postgres = nil
        #expect(Stance.judge(facts) == .keep(.maintenance))
        facts.postgres = .standby
        #expect(Stance.judge(facts) == .leave(.noLeader))
        facts.isCoveredByFailsafe = true
        #expect(Stance.judge(facts) == .keep(.failsafe))
        facts.leader = "n2"
        #expect(Stance.judge(facts) == .leave(.leaderIsAnother("n2")))
    }
}
