// SPDX-License-Identifier: Apache-2.0
import Audit
import EtcdClient
import EtcdValues
import EventLoop
import Journal
import LenientJSON
import PatroniValues
import TestSupport
import Testing

@testable import Decision
@testable import Shell

/// What the daemon makes of what it knows: facts, turns, records, and what is accepted.
@Suite(.serialized)
struct ContinuousAuditTests {
    init() { EventLoop.shared.executor.startThread() }

    private static func at(_ seconds: Int) -> Instant { Instant(sinceBoot: .seconds(seconds)) }

    // MARK: - Facts

    private static func copy() -> PatroniCopy {
        var copy = PatroniCopy()
        copy.take(
            [
                (kind: .config, value: Array(#"{"ttl":30,"failsafe_mode":true}"#.utf8)),
                (kind: .leader, value: Array("n1".utf8)),
                (kind: .member("n1"), value: Array(#"{"state":"running","role":"master","timeline":3}"#.utf8)),
                (kind: .sync, value: Array(#"{"leader":"n1","sync_standby":"n2"}"#.utf8)),
                (kind: .history, value: [UInt8](repeating: 32, count: 1 << 20)),
            ], at: 10, isAnew: true)
        return copy
    }

    @Test func `Patroni's keys become facts when somebody judges them`() throws {
        #expect(PatroniCopy().state.value == nil && PatroniCopy().configuration.value == nil, "nothing was read yet")
        let copy = Self.copy()
        let state = try #require(copy.state.value)
        #expect(state.leader == "n1" && state.members.map(\.name) == ["n1"] && state.synchronous == ["n2"])
        #expect(state.members[0].timeline == 3 && copy.configuration.value != nil)
    }

    @Test func `a watch is taken over in order, and an older read is passed over`() throws {
        var copy = Self.copy()
        copy.take(.member("n2"), Array("{}".utf8), at: 12)
        copy.take(.member("n2"), nil, at: 11)
        #expect(copy.state.value?.members.count == 2, "what is older counts no more")
        copy.take([(kind: .leader, value: Array("n9".utf8))], at: 11, isAnew: false)
        #expect(copy.state.value?.leader == "n1")
        copy.take(.member("n2"), nil, at: 13)
        #expect(copy.state.value?.members.count == 1)
        copy.take([(kind: .leader, value: Array("n3".utf8))], at: 2, isAnew: true)
        #expect(copy.state.value?.leader == "n3" && copy.configuration.value == nil, "of another etcd nothing stays")
    }

    @Test func `a changed configuration is a reason to judge, and what members write all the time is none`() {
        var copy = Self.copy()
        let before = copy.changes
        copy.take(.member("n1"), Array(#"{"state":"running","xlog_location":7}"#.utf8), at: 11)
        copy.take(.config, Array(#"{"ttl":30,"failsafe_mode":true}"#.utf8), at: 12)
        #expect(copy.changes == before)
        copy.take(.config, Array(#"{"ttl":30,"pause":true}"#.utf8), at: 13)
        #expect(copy.changes == before + 1)
    }

    @Test func `what is kept has limits`() {
        var copy = Self.copy()
        for number in 0..<200 { copy.take(.member("m\(number)"), Array("{}".utf8), at: 20) }
        #expect(copy.state.value.map { $0.members.count <= PatroniCopy.keyLimit } == true)
        copy.take(.config, [UInt8](repeating: 32, count: PatroniCopy.valueLimit + 1), at: 21)
        #expect(copy.configuration.value == nil)
    }

    private static func membership(_ urls: [[String]]) -> EtcdMembership {
        var membership = EtcdMembership()
        let members = urls.enumerated().map { number, urls in
            EtcdMemberList.Member(
                id: UInt64(number + 1), name: "e\(number + 1)", clientURLs: urls, isLearner: false)
        }
        membership.take([
            EtcdMemberList(
                header: Header(clusterID: 7, memberID: 1, revision: 1, raftTerm: 1), members: members,
                toldBy: "http://one:2379")
        ])
        return membership
    }

    private static func state(_ endpoint: String, _ answers: Bool?) -> EtcdEndpointState {
        EtcdEndpointState(endpoint: endpoint, answers: answers, reason: answers == false ? "refused" : nil, alarms: [])
    }

    @Test func `etcd's members answer by their own URL, or by the endpoint that leads to them`() throws {
        let membership = Self.membership([["http://10.0.0.1:2379"], ["http://10.0.0.2:2379"]])
        let fact = AuditFacts.Etcd.fact(
            membership, [Self.state("http://one:2379", true), Self.state("http://10.0.0.2:2379", false)])
        let etcd = try #require(fact.value)
        #expect(etcd.members.value?.count == 2)
        #expect(etcd.statuses["http://one:2379"]?.value?.memberID == 1)
        #expect(etcd.statuses["http://10.0.0.2:2379"]?.why == "refused")
    }

    @Test func `a member that no endpoint leads to is not taken for lost, nor for well`() {
        let membership = Self.membership([["http://10.0.0.1:2379"], ["http://10.0.0.2:2379"]])
        let fact = AuditFacts.Etcd.fact(
            membership, [Self.state("http://one:2379", true), Self.state("http://10.0.0.2:2379", nil)])
        #expect(fact.why == "no endpoint that is asked from here leads to etcd's member e2")
        #expect(AuditFacts.Etcd.fact(membership, []).why == "no endpoint of etcd has been asked yet")
    }

    // MARK: - Turns and records

    @Test @EventLoop func `it is judged once a minute, and soon after a change`() {
        let audit = ContinuousAudit(own: 0, at: Self.at(100))
        #expect(!audit.isDue(0, at: Self.at(109)) && audit.isDue(0, at: Self.at(110)))
        _ = audit.judge(AuditFacts(), day: AuditDate(secondsSince1970: 0), at: Self.at(110))
        #expect(!audit.isDue(0, at: Self.at(169)) && audit.isDue(0, at: Self.at(170)))
        _ = audit.judge(AuditFacts(), day: AuditDate(secondsSince1970: 0), at: Self.at(170))
        #expect(!audit.isDue(1, at: Self.at(172)), "not more often than every five seconds")
        #expect(audit.isDue(1, at: Self.at(175)))
        _ = audit.judge(AuditFacts(), day: AuditDate(secondsSince1970: 0), at: Self.at(175))
        #expect(!audit.isDue(2, at: Self.at(190)) && audit.isDue(2, at: Self.at(191)), "a second later")
    }

    private static var facts: AuditFacts {
        var facts = AuditFacts()
        (facts.scope, facts.member, facts.isOfDaemon) = ("demo", "n1", true)
        facts.config = .known(DynamicConfiguration(.object(["ttl": .integer(30)])), source: "test")
        var etcd = AuditFacts.Etcd()
        etcd.members = .known(
            (1...3).map { number in
                var member = AuditFacts.Etcd.Member()
                (member.name, member.id, member.clientURLs) = ("e\(number)", UInt64(number), ["http://e\(number):2379"])
                return member
            }, source: "test")
        for number in 1...3 {
            etcd.statuses["http://e\(number):2379"] =
                number == 3 ? .unlooked(why: "refused") : .known(.init(), source: "test")
        }
        facts.etcd = .known(etcd, source: "test")
        return facts
    }

    @Test @EventLoop func `a record says what would not be survived, why, what to type and where; and when it is over`()
        throws
    {
        let audit = ContinuousAudit(own: 0, at: Self.at(0))
        let day = AuditDate(secondsSince1970: 0)
        #expect(audit.judge(Self.facts, day: day, at: Self.at(10)).isEmpty)
        #expect(audit.isDue(0, at: Self.at(40)), "as soon as it has lasted")
        let told = audit.judge(Self.facts, day: day, at: Self.at(40))
        #expect(told.map(\.kind) == [.failureNotSurvived, .auditFinding])
        let lost = try #require(told.first)
        #expect(
            lost.message
                == "group 0: a single failure would not be survived now, if a member of etcd is lost: 1 of 3 would be left, 2 are needed: no key can be renewed, and nobody may write. On e3: systemctl status etcd; journalctl -u etcd -n 50"
        )
        #expect(lost.priority == .error && lost["GROUP"] == "0" && lost["CODE"] == "a member of etcd is lost")
        #expect(told.contains { $0["CODE"] == "etcd-member-down" && $0.priority == .warning })
        var well = Self.facts
        var etcd = try #require(well.etcd.value)
        etcd.statuses["http://e3:2379"] = .known(.init(), source: "test")
        well.etcd = .known(etcd, source: "test")
        #expect(audit.judge(well, day: day, at: Self.at(100)).isEmpty)
        let over = audit.judge(well, day: day, at: Self.at(130))
        #expect(over.map(\.kind).prefix(2) == [.failureSurvivedAgain, .auditFindingGone])
        #expect(over.first?.message == "group 0: would be survived again if a member of etcd is lost (after 90.0 s)")
    }

    @Test @EventLoop func `the status of the cluster has it, with what to type`() throws {
        let audit = ContinuousAudit(own: 0, at: Self.at(0))
        _ = audit.judge(Self.facts, day: AuditDate(secondsSince1970: 0), at: Self.at(10))
        let lines = try #require(JSON.parse(audit.readiness(of: 0, at: Self.at(15)).compact.utf8)?.array)
        let line = try #require(lines.first { $0["failure"]?.string == "etcdMember" })
        #expect(line["outcome"]?.string == "not_survived" && line["for_seconds"]?.int64 == 5)
        #expect(line["on"]?.string == "e3" && line["command"]?.string?.hasPrefix("systemctl status etcd") == true)
        #expect(JSON.parse(audit.readiness(of: 9, at: Self.at(15)).compact.utf8) == .null)
        let all = try #require(JSON.parse(audit.document(at: Self.at(15)).compact.utf8))
        #expect(all["judged_seconds_ago"]?.int64 == 5 && (all["counts"]?["red"]?.int64 ?? 0) > 0)
        #expect(all["red"]?.array?.contains { $0["code"]?.string == "etcd-member-down" } == true)
        let empty = ClusterStatus(
            groups: [], readAt: nil, isCurrent: true, isPaused: false, isCutOff: false, failover: nil,
            reactionPause: nil, problems: [.noStandby(group: 0, leader: "n1")])
        let problems = audit.complete(empty).problems
        #expect(problems.map { Wording.code($0) } == ["failure_not_survived", "no_standby"], "the worst first")
        #expect(Wording.advice(problems[0]).hasPrefix("on e3: systemctl status etcd"))
    }

    // MARK: - What is accepted

    @Test @EventLoop func `what is accepted is no problem and no record, and a file that is wrong changes nothing`()
        throws
    {
        let folder = try TemporaryDirectory("accepted")
        let configuration = folder.file("pharos.yml")
        let audit = ContinuousAudit(own: 0, at: Self.at(0))
        #expect(audit.readAccepted(beside: configuration) == nil, "there need be none")
        let codes = ["etcd-member-down", "etcd-open", "timeline-unchecked"]
        try folder.write(
            "pharos.accepted", codes.map { "- { code: \($0), reason: a move, until: 2027-01-31 }\n" }.joined())
        #expect(audit.readAccepted(beside: configuration) == nil)
        try folder.write("pharos.accepted", "- { code: nonsense, reason: x, until: 2027-01-31 }\n")
        let refused = try #require(audit.readAccepted(beside: configuration))
        #expect(refused.kind == .configurationRefused && refused.message.contains("nonsense"))
        let day = try #require(AuditDate("2027-01-31"))
        for second in [10, 40, 70] {
            let told = audit.judge(Self.facts, day: day, at: Self.at(second))
            #expect(!told.contains { $0.kind == .failureNotSurvived || $0["CODE"] == "etcd-member-down" })
        }
        let line = JSON.parse(audit.readiness(of: 0, at: Self.at(70)).compact.utf8)?.array?.first {
            $0["failure"]?.string == "etcdMember"
        }
        #expect(line?["outcome"]?.string == "not_survived" && line?["accepted_until"]?.string == "2027-01-31")
        let later = try #require(AuditDate("2027-02-01"))
        _ = audit.judge(Self.facts, day: later, at: Self.at(100))
        #expect(audit.judge(Self.facts, day: later, at: Self.at(130)).first?.kind == .failureNotSurvived)
    }
}
