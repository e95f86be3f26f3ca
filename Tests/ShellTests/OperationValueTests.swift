// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdValues
import LeaseKeys
import StatusServer
import Testing

@testable import Shell

/// What belongs to operations and needs no daemon: who asks, what stands in etcd, what PostgreSQL says.
struct OperationValueTests {
    @Test func `who asks is who the kernel says, and pharos-api alone is believed about others`() {
        let users = LocalUsers(
            "root:x:0:0:root:/root:/bin/bash\npharos-api:x:990:990::/:/x\nann:x:1000:1000::/:/x\nodd")
        func name(_ user: UInt32?, for person: String? = nil, _ role: String? = nil) -> Requester? {
            users.requester(of: .init("/plan", user: user, onBehalf: person, role: role), ownUser: 991)
        }
        #expect(name(0) == Requester("root", .endanger) && name(991) == Requester("uid 991", .endanger))
        #expect(name(0, for: "ann") == Requester("root, for ann", .endanger))
        #expect(
            name(0, for: "ann", "operate") == Requester("root, for ann", .operate) && name(0, for: "ann", "x") == nil)
        #expect(name(990, for: "dba", "operate") == Requester("dba, by the API", .operate))
        for role in [nil, "", "root"] { #expect(name(990, for: "dba", role) == nil) }
        for person in [nil, "", "a\nb", String(repeating: "x", count: 200)] {
            #expect(name(990, for: person, "operate") == nil)
        }
        #expect(name(1000, for: "root", "endanger") == nil && name(nil) == nil)
    }

    @Test func `a pause is read as it was written, and ends within a day whatever it says`() throws {
        let now = WallClock.milliseconds
        let value = ReactionPause.value(by: "ann", reason: "work", since: now, until: now + 3_600_000)
        let pause = try #require(ReactionPause(value: value))
        #expect(pause.by == "ann" && pause.reason == "work" && pause.endsAt == now + 3_600_000)
        #expect(abs((pause.until - .now) / .seconds(1) - 3600) < 60)
        let long = ReactionPause.value(by: "ann", reason: "work", since: now, until: now + 400 * 86_400_000)
        #expect(ReactionPause(value: long)?.endsAt == now + 86_400_000)
        let over = ReactionPause.value(by: "ann", reason: "work", since: now - 7_200_000, until: now - 1)
        let future = ReactionPause.value(
            by: "ann", reason: "x", since: now + 2 * 86_400_000, until: now + 3 * 86_400_000)
        for value in [over, future, Array("{}".utf8), Array("x".utf8), []] {
            #expect(ReactionPause(value: value) == nil)
        }
    }

    @Test func `what stands in etcd of operations is followed or not, in each layout`() {
        let plain = DetectorKeys(root: "/pharos/", namespace: "/service/", scope: "demo", .scopes([0: "demo"]))
        #expect(plain.reactionKeys == ["/pharos/demo/reactions"] && plain.acts == "/pharos/demo/acts/")
        let citus = DetectorKeys(root: "/pharos/", namespace: "/service/", scope: "demo", .citusMode)
        #expect(citus.reactionKeys == ["/pharos/demo/0/reactions"] && citus.acts == "/pharos/demo/acts/")
        let many = DetectorKeys(root: "/pharos/", namespace: "/service/", scope: "demo", .scopes([0: "a", 3: "b"]))
        #expect(many.reactionKeys == ["/pharos/a/reactions", "/pharos/b/reactions"] && many.acts == "/pharos/a/acts/")
        for keys in [plain, citus, many] {
            for key in keys.reactionKeys {
                let bytes = Array(key.utf8)
                #expect(keys.ranges.contains { $0.contains(bytes) } && keys.watched.contains { $0.contains(bytes) })
                guard case .reactions? = keys.kind(of: key) else {
                    Issue.record("\(key)")
                    continue
                }
            }
            let act = Array((keys.acts + "1").utf8)
            #expect(!(keys.ranges + keys.watched + keys.holders).contains { $0.contains(act) })
            let lease = PharosKeys(root: "/pharos/", namespace: "/service/", scope: "demo", group: nil)
            for case .range(let range, _) in lease.reads(of: ["10.0.0.9"]) {
                #expect(!range.contains(act), "what the leases hang on is read without it")
            }
        }
    }

    @Test func `PostgreSQL's row says what it says, and what the role may not see is not nothing`() {
        let row = ["t", "2", "90", "1", "1", "a,b"]
        let server = SwitchoverLook.server(row)
        #expect(server?.longTransactions == 2 && server?.oldestTransaction == .seconds(90) && server?.backups == 1)
        #expect(server?.preparedTransactions == 1 && server?.logicalSlots == ["a", "b"])
        let blind = SwitchoverLook.server(["f", "0", "0", "0", "0", ""])
        #expect(blind != nil && blind?.longTransactions == nil && blind?.backups == nil)
        #expect(blind?.logicalSlots.isEmpty == true)
        for row in [[], ["t"], ["t", nil, "0", "0", "0", ""], ["t", "x", "0", "0", "0", ""]] {
            #expect(SwitchoverLook.server(row) == nil)
        }
    }

    @Test func `what came of it says what to do where it is not done`() {
        let order = SwitchoverOrder(leader: MemberID(0, "n1"), since: 3, candidate: MemberID(0, "n2"))
        func result(_ outcome: SwitchoverOutcome, _ leader: String?) -> OperationResult {
            OperationsLink.result(of: outcome, order, leader)
        }
        #expect(result(.done("ok"), "n2").outcome == .done && result(.done("ok"), "n2").advice == nil)
        for (outcome, leader, expected) in [
            (SwitchoverOutcome.done("ok"), "n3", OperationResult.Outcome.failed), (.done("ok"), nil, .unanswered),
            (.refused("no"), nil, .failed), (.unanswered("?"), nil, .unanswered), (.forestalled("x"), nil, .refused),
        ] {
            let said = result(outcome, leader)
            #expect(said.outcome == expected && said.advice?.isEmpty == false, "\(said)")
        }
    }
}
