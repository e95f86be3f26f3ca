// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import Audit

/// Standbys, the coordinator, other groups, and what is said beside an outcome.
struct SingleFailureTests {
    private func lines(_ spoil: (inout AuditFacts) -> Void = { _ in }, group: Int = 0) throws -> [Readiness.Line] {
        var facts = AuditFacts.healthy
        spoil(&facts)
        return try #require(Readiness.all(facts).first { $0.group == group }).lines
    }

    private func line(
        _ failure: Readiness.Failure, of member: String? = nil, _ spoil: (inout AuditFacts) -> Void = { _ in }
    ) throws -> Readiness.Line {
        try #require(try self.lines(spoil).first { $0.failure == failure && $0.member == member })
    }

    private static func silence(_ number: Int) -> (inout AuditFacts) -> Void {
        { $0.etcd.change { $0.statuses["https://10.0.0.\(number):2379"] = .unlooked(why: "refused") } }
    }

    @Test func `each standby has a line, and who could still take over is named`() throws {
        let standbys = try self.lines().filter { $0.failure == .standby }
        #expect(standbys.map(\.member) == ["n2", "n3"])
        #expect(standbys.map(\.text) == ["the standby n2 is lost", "the standby n3 is lost"])
        #expect(
            standbys[0].outcome.word == "survived" && standbys[0].outcome.reason.hasSuffix("n3 could still take over"))
    }

    @Test func `a standby's node takes its member of etcd along`() throws {
        let spoil = { (facts: inout AuditFacts) in
            Self.silence(3)(&facts)
            facts.set(["failsafe_mode": .bool(false)])
        }
        let line = try self.line(.standby, of: "n2", spoil)
        #expect(
            line.outcome
                == .notSurvived(
                    "1 of 3 members of etcd would be left, 2 are needed: no key can be renewed, and nobody may write"))
        #expect(line.code == "etcd-member-down" && line.step?.place == "n3")
        // Its own member is the silent one: nothing more is lost with it.
        #expect(try self.line(.standby, of: "n3", spoil).outcome.word == "survived")
        let failsafe = try self.line(.standby, of: "n2", Self.silence(3))
        #expect(
            failsafe.outcome.reason.hasPrefix("1 of 3 members of etcd would be left: failsafe mode keeps the leader"))
        #expect(failsafe.outcome.reason.hasSuffix("nobody could take over then"))
    }

    @Test func `the last candidate's loss is survived, and what follows is said`() throws {
        let line = try self.line(.standby, of: "n2") { $0.keys.change { $0.members[2].mayLead = false } }
        #expect(line.outcome.word == "survived" && line.outcome.reason.hasSuffix("nobody could take over from n1 then"))
        let doubtful = try self.line(.standby, of: "n2") { $0.rest["n3"] = .unlooked(why: "silent") }
        #expect(doubtful.outcome.reason.hasSuffix("whether anybody could take over then: n3 (its Patroni: silent)"))
    }

    @Test func `an asynchronous standby holds up no commit`() throws {
        let line = try self.line(.standby, of: "n3") { facts in
            facts.set(["synchronous_mode_strict": .bool(true)])
            facts.keys.change { $0.synchronous = ["n2"] }
        }
        #expect(line.outcome == .survived("n2 could still take over"))
    }

    @Test func `a standby whose etcd nobody looked at is not known`() throws {
        let line = try self.line(.standby, of: "n2") { $0.etcd = .unlooked(why: "nobody has told its members") }
        #expect(line.outcome == .notKnown("nobody has told its members"))
    }

    @Test(arguments: [
        (1, "etcd-members-few", "etcdctl member add"), (2, "etcd-members-few", "etcdctl member add"),
    ]) func `an etcd that is too small is told with its rule, and what to type`(
        members: Int, code: String, command: String
    ) throws {
        let line = try self.line(.etcdMember) { facts in
            facts.set(["failsafe_mode": .bool(false)])
            facts.etcd.change { etcd in etcd.members.change { $0.removeLast(3 - members) } }
        }
        #expect(line.outcome.word == "not_survived" && line.code == code)
        #expect(line.step?.command.hasPrefix(command) == true)
    }

    @Test func `two members of etcd on the leader's host are told as that`() throws {
        let line = try self.line(.leaderNode) { facts in
            facts.etcd.change { etcd in etcd.members.change { $0[1].clientURLs = ["https://10.0.0.1:2479"] } }
        }
        #expect(line.outcome.word == "not_survived" && line.code == "etcd-members-on-one-host")
    }

    @Test func `what to type names Patroni's file and the group`() throws {
        let line = try self.line(.leaderNode) { facts in
            facts.patroniConfig = "/etc/patroni/config.yml"
            facts.set(["pause": .bool(true)])
        }
        #expect(line.step?.command == "patronictl -c /etc/patroni/config.yml resume --group 0 demo")
        #expect(line.code == "paused")
    }

    @Test func `a worker's group depends on the coordinator's`() throws {
        var facts = AuditFacts.healthy
        facts.number = 1
        func coordinator() throws -> Readiness.Line? {
            try #require(Readiness.all(facts).first { $0.group == 1 }).lines.first { $0.failure == .coordinator }
        }
        #expect(try coordinator()?.outcome.word == "survived")
        facts.daemon.change { for index in 1...2 { $0.groups[0].members[index].mayLead = false } }
        #expect(try coordinator()?.outcome == .notSurvived("no member beside n1 is well and may lead"))
        facts.daemon = .unlooked(why: "silent")
        #expect(try coordinator()?.outcome == .notKnown("silent"))
        facts.citus = nil
        #expect(try coordinator() == nil)
    }

    @Test func `rows that wait for a person are lost with the leader, of each group`() throws {
        let spoil = { (facts: inout AuditFacts) -> Void in
            facts.citus?.refusals = .known([0: "app: no row of it is a primary", 1: "app: two rows"], source: "test")
        }
        let own = try self.line(.leaderNode, spoil)
        #expect(own.outcome.reason.hasPrefix("its rows in pg_dist_node wait for a person (app: no row"))
        #expect(own.step?.command == "pharos verify")
        #expect(try self.lines(spoil, group: 1).first?.outcome.word == "not_survived")
        // Who does not keep them does not know them: no word of them.
        #expect(
            try self.line(.leaderNode) { $0.citus?.refusals = .unlooked(why: "elsewhere") }.outcome.word == "survived")
    }

    @Test func `another group's leader takes its member of etcd along, too`() throws {
        let spoil = { (facts: inout AuditFacts) in
            Self.silence(3)(&facts)
            facts.daemon.change { $0.groups[1].members[0].host = "10.0.0.2" }
        }
        let line = try #require(try self.lines(spoil, group: 1).first)
        #expect(line.outcome.word == "not_survived" && line.code == "etcd-member-down")
        let unknown = try self.lines({ $0.etcd = .unlooked(why: "not told") }, group: 1).first?.outcome
        #expect(unknown?.word == "not_known" && unknown?.reason.hasSuffix("not told") == true)
    }

    @Test func `what the daemon does not look at, it does not call survived, and names the command that does`() throws {
        let lines = try self.lines { facts in
            facts.isOfDaemon = true
            facts.file = .unlooked(why: "Patroni's file: \(AuditFacts.notByDaemon)")
            facts.node = .init()
            facts.servers = [:]
        }
        let unknown = lines.filter { $0.outcome.word == "not_known" }
        #expect(unknown.map(\.failure) == [.leaderPatroni, .thisDaemon])
        #expect(unknown.allSatisfy { $0.step?.command == "pharos audit" && $0.step?.place == "n1" })
        #expect(lines.filter { $0.outcome.word == "survived" }.count == lines.count - 2)
    }
}
