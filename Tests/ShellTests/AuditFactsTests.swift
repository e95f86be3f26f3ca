// SPDX-License-Identifier: Apache-2.0
import Audit
import LenientJSON
import Testing

@testable import Shell

/// How answers and files become facts.
struct AuditFactsTests {
    @Test func `the daemon's view becomes facts`() throws {
        let text = #"""
            {"is_current":true,"groups":[{"group":1,"leader":"w1","members":[
            {"member":"w1","may_lead":true,"is_running":true,"verdict":"well","has_daemon":true,"version":"0.1.0"},
            {"member":"w2","may_lead":false,"is_running":true,"is_synchronous":true,"verdict":"node failed","lag_bytes":7,"has_daemon":false}]}]}
            """#
        let daemon = AuditFacts.Daemon(try #require(JSON.parse(Array(text.utf8))))
        let group = try #require(daemon.groups.first)
        #expect(
            daemon.isCurrent && group.number == 1 && group.leader == "w1" && group.members.map(\.name) == ["w1", "w2"])
        #expect(
            group.members[0].hasDaemon && group.members[0].version == "0.1.0" && group.members[0].isSynchronous == nil)
        #expect(!group.members[1].hasDaemon && !group.members[1].mayLead && group.members[1].verdict == "node failed")
        #expect(group.members[1].isSynchronous == true && group.members[1].lag == 7)
    }

    @Test(arguments: ["{}", #"{"groups":7}"#, #"{"groups":[{"members":[{}]}]}"#])
    func `an odd answer of the daemon's is no fact in anybody's favor`(text: String) throws {
        let daemon = AuditFacts.Daemon(try #require(JSON.parse(Array(text.utf8))))
        #expect(!daemon.isCurrent && daemon.groups.flatMap(\.members).allSatisfy { !$0.hasDaemon && !$0.isRunning })
    }

    @Test(arguments: [
        ("notAfter=2027-11-30 20:05:19Z\n", Int64(365 * 86_400)), ("notAfter=2026-11-29 20:05:19Z\n", -86_400),
    ]) func `a certificate's end is seconds from now`(text: String, left: Int64) {
        // 2026-11-30 20:05:19 UTC.
        #expect(LocalFacts.secondsLeft(text, at: 1_796_069_119) == left)
    }

    @Test(arguments: ["", "notAfter=Nov 30 20:05:19 2027 GMT", "notAfter=2027-11-30", "unable to load certificate"])
    func `what is no end is none`(text: String) { #expect(LocalFacts.secondsLeft(text, at: 0) == nil) }
}
