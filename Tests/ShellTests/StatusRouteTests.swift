// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Journal
import LenientJSON
import StatusServer
import TestSupport
import Testing

@testable import Decision
@testable import Shell

/// What the daemon answers to whoever hands it on: pharos-api.
@Suite(.serialized)
struct StatusRouteTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop
    private func json(_ shell: Shell, _ path: String) throws -> JSON {
        try #require(JSON.parse(Array(shell.answer(path).body.utf8)))
    }

    @Test @EventLoop func `events have numbers that go on, and a stream that is this process's`() async throws {
        let scene = try Scene()
        let shell = try await scene.startHolding()
        let said = try self.json(shell, "/events")
        let events = try #require(said["events"]?.array)
        #expect(said["first"]?.int64 == 1 && said["last"]?.int64 == Int64(events.count))
        #expect(events.map { $0["number"]?.int64 } == (1...events.count).map { Int64($0) })
        #expect(events.first?["kind"]?.string == "daemonStarted" && events.first?["priority"]?.int64 == 5)
        #expect(events.contains { $0["message"]?.string?.contains("is ours") == true })
        for number in 0..<RecentRecords.limit { shell.log(LogRecord(.stopping, "hidden \(number)")) }
        let later = try self.json(shell, "/events")
        #expect(later["stream"] == said["stream"] && later["stream"]?.string?.hasPrefix("boot-a-") == true)
        #expect(later["last"]?.int64 == Int64(events.count + RecentRecords.limit))
        #expect(later["first"]?.int64 == Int64(events.count + 1))
        #expect(later["events"]?.array?.count == RecentRecords.limit)
        #expect(!shell.answer("/events").body.contains("hidden"), "as all that leaves the process")
        #expect(try scene.status["events"]?.array?.count == RecentRecords.statusLimit)
        try await scene.stop()
    }

    @Test @EventLoop func `the primary is one while it leads, and says how long that lasts`() async throws {
        // PostgreSQL cannot be asked here: the claim refuses for that alone.
        let scene = try Scene()
        let shell = try await scene.startHolding()
        let refused = shell.answer("/primary")
        let said = try self.json(shell, "/primary")
        #expect(refused.status == 503 && said["is_primary"]?.bool == false)
        #expect(said.object?["lasts_milliseconds"] == .null)
        #expect(["postgres_unreachable", "postgres_not_asked"].contains(said["code"]?.string))
        #expect(said["reason"]?.string?.contains("PostgreSQL here") == true)
        let now = Instant.now
        let claim = PrimaryClaim.lasts(until: now + .milliseconds(2345))
        let document = try #require(
            JSON.parse(claim.document(scope: "demo", member: "n1", at: now).compact.utf8))
        #expect(document["is_primary"]?.bool == true && document["lasts_milliseconds"]?.int64 == 2345)
        #expect(document["scope"]?.string == "demo" && document["member"]?.string == "n1")
        #expect(document.object?["reason"] == .null)
        let held = PrimaryClaim.refused(.heldByAnother("n2"), address: "10.0.0.3")
        let why = try #require(JSON.parse(held.document(scope: "demo", member: "n1", at: now).compact.utf8))
        #expect(why["code"]?.string == "held_by_another")
        #expect(why["reason"]?.string == "10.0.0.3 is not held here: n2 still holds it")
        let none = try #require(
            JSON.parse(PrimaryClaim.noAddress.document(scope: "demo", member: "n1", at: now).compact.utf8))
        #expect(none["code"]?.string == "no_address" && none["is_primary"]?.bool == false)
        try await scene.stop()
    }

    @Test @EventLoop func `the ledger is read because somebody asks, once in ten seconds, and told with its age`()
        async throws
    {
        let scene = try Scene()
        let keys = DetectorKeys(scene.settings)
        for revision in Int64(30)..<33 {
            let record = FailoverRecord(
                revision: revision, group: 0, from: "n-hidden", to: "n1",
                phases: [.keyGained: Instant(sinceBoot: .seconds(5))])
            let entry = LedgerEntry.own(record)
            scene.etcd.put(
                try #require(keys.history(entry)), entry.json(at: Instant(sinceBoot: .zero), 1_700_000_000_000))
        }
        let shell = try await scene.startHolding()
        let before = scene.etcd.count(of: "/v3/kv/range")
        let first = try self.json(shell, "/failovers")
        #expect(first.object?["failovers"] == .null && first["reason"]?.string?.hasPrefix("not read yet") == true)
        #expect(first.object?["read_seconds_ago"] == .null)
        try await scene.expect { try self.json(shell, "/failovers")["failovers"] != nil }
        let said = try self.json(shell, "/failovers")
        #expect(said["failovers"]?.array?.map { $0["id"]?.int64 } == [30, 31, 32])
        #expect(said["failovers"]?.array?.first?["phases"]?["new leader key"]?.int64 == 1_700_000_005_000)
        #expect(said["is_whole"]?.bool == true && said["read_seconds_ago"]?.int64 != nil)
        #expect(said.object?["reason"] == .null)
        #expect(!shell.answer("/failovers").body.contains("hidden"))
        #expect(scene.etcd.count(of: "/v3/kv/range") <= before + 2, "what is asked in between is answered of the copy")
        try await scene.stop()
    }

    @Test @EventLoop func `an etcd that cannot be read is told beside what was read before`() async throws {
        let scene = try Scene()
        let shell = try await scene.startHolding()
        scene.etcd.tamper = { path, answer in path == "/v3/kv/range" ? #"{"error":"no luck","code":9}"# : answer }
        _ = shell.answer("/failovers")
        try await scene.expect { try self.json(shell, "/failovers")["reason"]?.string?.hasPrefix("etcd could") == true }
        #expect(try self.json(shell, "/failovers").object?["failovers"] == .null)
        try await scene.stop()
    }

    @Test func `findings are the gravest first, and what nobody here can know is null with the reason`() throws {
        let now = Instant(sinceBoot: .seconds(100))
        func said(_ list: FindingList) throws -> JSON { try #require(JSON.parse(list.document(at: now).compact.utf8)) }
        let nothing = try said(FindingList(cluster: nil, citus: nil))
        #expect(nothing.object?["problems"] == .null && nothing["problems_reason"]?.string != nil)
        #expect(nothing.object?["verification"] == .null)
        #expect(nothing["verification_reason"]?.string == "no Citus is followed here")
        func citus(_ isWriter: Bool, _ verification: ClusterVerification?) -> CitusStatus {
            CitusStatus(
                mode: .own, isWriter: isWriter, groups: [], databases: [], readAt: nil, rivals: [],
                verification: verification)
        }
        let other = try said(FindingList(cluster: nil, citus: citus(false, nil)))
        #expect(other["verification_reason"]?.string?.hasPrefix("another daemon verifies") == true)
        let fresh = try said(FindingList(cluster: nil, citus: citus(true, nil)))
        #expect(fresh["verification_reason"]?.string?.contains("has not verified yet") == true)
        let findings =
            [Finding(.cleanupPending, .note, "two", .init("wait"))]
            + (0..<300).map { (group: Int) in
                Finding(
                    .nodesDiffer, .warning, group: group, "\(group)",
                    .init("look", sql: ["SELECT 1"], on: .server(NodeEndpoint("10.0.0.1", 5432))))
            }
            + [Finding(.shardMissing, .critical, "it is not there", .init("restore it", commands: ["pharos verify"]))]
        let verified = try said(
            FindingList(
                cluster: nil,
                citus: citus(
                    true,
                    ClusterVerification(
                        at: Instant(sinceBoot: .seconds(10)), databases: [DatabaseVerification("app", findings)],
                        failure: "late"))))
        #expect(verified.object?["verification_reason"] == .null)
        let verification = try #require(verified["verification"])
        #expect(verification["seconds_ago"]?.int64 == 90 && verification["failure"]?.string == "late")
        let database = try #require(verification["databases"]?.array?.first)
        let told = try #require(database["findings"]?.array)
        #expect(told.count == FindingList.limit && database["omitted"]?.int64 == 302 - Int64(FindingList.limit))
        #expect(told.first?["code"]?.string == "shard-missing" && told.first?["severity"]?.string == "critical")
        #expect(told.first?["commands"]?.array?.map { $0.string } == ["pharos verify"])
        #expect(told[1]["evidence"]?.string == "0" && told[1]["sql"]?.array?.map { $0.string } == ["SELECT 1"])
    }

    @Test @EventLoop func `what there is to ask for is named where something else was asked for`() async throws {
        let scene = try Scene()
        let shell = try await scene.startHolding()
        let answer = shell.answer("/nothing")
        #expect(answer.status == 404)
        for path in ["/status", "/cluster", "/primary", "/events", "/failovers", "/findings", "/health"] {
            #expect(answer.body.contains(path))
            #expect(shell.answer(path).status != 404)
        }
        #expect(try self.json(shell, "/findings")["problems"]?.array != nil)
        try await scene.stop()
    }
}
