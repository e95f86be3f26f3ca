// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import Audit

/// Which single failures would be survived.
struct ReadinessTests {
    private func outcome(_ failure: Readiness.Failure, _ spoil: (inout AuditFacts) -> Void = { _ in }) throws
        -> Readiness.Outcome
    {
        var facts = AuditFacts.healthy
        spoil(&facts)
        let own = try #require(Readiness.all(facts).first { $0.group == 0 })
        return try #require(own.lines.first { $0.failure == failure }).outcome
    }

    /// Those that every group may meet.
    private static let own = Readiness.Failure.allCases.filter { $0 != .coordinator }

    @Test(arguments: Self.own) func `a healthy cluster survives each single failure`(
        failure: Readiness.Failure
    ) throws {
        #expect(try self.outcome(failure).word == "survived")
    }

    @Test(arguments: Self.own) func `nothing is promised of what nobody looked at`(
        failure: Readiness.Failure
    ) throws {
        #expect(try self.outcome(failure) { $0 = AuditFacts() }.word == "not_known")
    }

    @Test(arguments: [Readiness.Failure.leaderNode, .leaderPostgres, .leaderPatroni, .leaderNetwork])
    func `in maintenance mode nothing is taken over`(failure: Readiness.Failure) throws {
        #expect(try self.outcome(failure) { $0.set(["pause": .bool(true)]) }.word == "not_survived")
    }

    @Test func `without a candidate the leader's node is not survived, and why is said`() throws {
        let outcome = try self.outcome(.leaderNode) {
            $0.keys.change { keys in for index in 1...2 { keys.members[index].state = "stopped" } }
        }
        #expect(
            outcome
                == .notSurvived(
                    "nobody could take over: n2 (its PostgreSQL is stopped), n3 (its PostgreSQL is stopped)"))
    }

    @Test func `an etcd member on the leader's node goes with it`() throws {
        let outcome = try self.outcome(.leaderNode) {
            $0.etcd.change { $0.statuses["https://10.0.0.2:2379"] = .unlooked(why: "refused") }
        }
        #expect(
            outcome
                == .notSurvived("1 of 3 members of etcd would be left, too few for a majority: nobody could take over"))
    }

    @Test func `with etcd elsewhere one member of it that is down is survived`() throws {
        let outcome = try self.outcome(.leaderNode) { facts in
            facts.keys.change { $0.members[0].host = "10.0.9.1" }
            facts.etcd.change { $0.statuses["https://10.0.0.2:2379"] = .unlooked(why: "refused") }
        }
        #expect(outcome.word == "survived")
    }

    @Test func `where one goes by a name and the other by an address, etcd's member is found by its name`() throws {
        let outcome = try self.outcome(.leaderNode) { facts in
            facts.keys.change { $0.members[0].host = "db1.example" }
            facts.etcd.change { $0.statuses["https://10.0.0.2:2379"] = .unlooked(why: "refused") }
        }
        #expect(outcome.word == "not_survived")
    }

    @Test func `no address comes to a candidate without Pharos`() throws {
        let outcome = try self.outcome(.leaderNode) {
            $0.daemon.change { for index in 1...2 { $0.groups[0].members[index].hasDaemon = false } }
        }
        #expect(outcome == .notSurvived("no Pharos publishes on n2, n3: no address would come there"))
    }

    @Test func `with one candidate without Pharos it depends on who takes over`() throws {
        let outcome = try self.outcome(.leaderNode) { $0.daemon.change { $0.groups[0].members[2].hasDaemon = false } }
        #expect(outcome == .notKnown("if n3 takes over, no address comes there: no Pharos publishes on it"))
    }

    @Test func `a candidate whose Patroni is silent makes it doubtful`() throws {
        let outcome = try self.outcome(.leaderNode) {
            for name in ["n2", "n3"] { $0.rest[name] = .unlooked(why: "silent") }
        }
        #expect(outcome.word == "not_known")
    }

    @Test func `a frozen Patroni is not survived without a watchdog`() throws {
        #expect(try self.outcome(.leaderPatroni) { $0.file.change { $0.watchdogMode = "off" } }.word == "not_survived")
        #expect(
            try self.outcome(.leaderPatroni) { $0.node.hasWatchdog = .known(false, source: "test") }.word
                == "not_survived")
    }

    @Test func `another node's watchdog is not known here`() throws {
        let outcome = try self.outcome(.leaderPatroni) { facts in
            facts.keys.change { keys in
                keys.leader = "n2"
                keys.synchronous = ["n1", "n3"]
            }
        }
        #expect(outcome == .notKnown("whether n2 has a watchdog: pharos audit there"))
    }

    @Test func `etcd without a spare is not survived, but in failsafe mode the leader stays`() throws {
        let spoil = { (facts: inout AuditFacts) in
            facts.etcd.change { $0.statuses["https://10.0.0.2:2379"] = .unlooked(why: "refused") }
        }
        #expect(try self.outcome(.etcdMember, spoil).word == "survived")
        let off = try self.outcome(.etcdMember) {
            spoil(&$0)
            $0.set(["failsafe_mode": .bool(false)])
        }
        #expect(off == .notSurvived("1 of 3 would be left, 2 are needed: no key can be renewed, and nobody may write"))
    }

    @Test func `a strict mode without a second standby stops writes`() throws {
        let spoil = { (facts: inout AuditFacts) in
            facts.set(["synchronous_mode_strict": .bool(true)])
            facts.keys.change { $0.members[2].maySync = false }
        }
        #expect(try self.outcome(.standby, spoil).word == "not_survived")
        #expect(try self.outcome(.standby) { $0.set(["synchronous_mode": .bool(false)]) }.word == "survived")
    }

    @Test func `a daemon that nobody starts again takes the leader's addresses along`() throws {
        let spoil = { (facts: inout AuditFacts) -> Void in facts.node.units["pharos"]?.change { $0["Restart"] = "no" } }
        #expect(try self.outcome(.thisDaemon, spoil).word == "not_survived")
        let elsewhere = try self.outcome(.thisDaemon) {
            spoil(&$0)
            $0.keys.change { $0.leader = "n2" }
        }
        #expect(elsewhere == .survived("n1 does not lead: no address is here"))
    }

    @Test func `of another group only what the daemon knows is said`() throws {
        var facts = AuditFacts.healthy
        let other = try #require(Readiness.all(facts).first { $0.group == 1 })
        #expect(other.leader == "w1" && other.lines.map(\.failure) == [.leaderNode])
        #expect(other.lines[0].outcome.word == "survived")
        facts.daemon.change { for index in 1...2 { $0.groups[1].members[index].verdict = "node failed" } }
        let failed = try #require(Readiness.all(facts).first { $0.group == 1 })
        #expect(failed.lines[0].outcome == .notSurvived("no member beside w1 is well and may lead"))
    }
}
