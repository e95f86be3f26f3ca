// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import LenientJSON
import NetworkAddress
import StatusServer
import TestSupport
import Testing

@testable import Shell

/// The whole shell around the whole core, with nothing but the network's ends and `ip` replaced.
@Suite(.serialized)
struct ShellTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `the leader acquires the address, and gives it back when it stops`() async throws {
        let scene = try Scene()
        _ = try await scene.startHolding()
        let holder = try #require(JSON.parse(Array((scene.etcd.text(Scene.key) ?? "").utf8)))
        #expect(holder["member"]?.string == "n1" && holder["node"]?.string == "boot-a")
        #expect(scene.isReady)
        let kinds = scene.records.map(\.kind)
        #expect(kinds.first == .daemonStarted)
        let acquired = try #require(kinds.firstIndex(of: .addressAcquired))
        #expect(try #require(kinds.firstIndex(of: .addressAssigned)) > acquired)
        #expect(try scene.status["addresses"]?.array?.first?["is_here"]?.bool == true)
        #expect(scene.record(.memberUnknown) == nil)
        try await scene.expect { try scene.status["etcd"]?["is_watching"]?.bool == true }
        let endpoint = try #require(try scene.status["etcd"]?["endpoints"]?.array?.first)
        #expect(endpoint["url"]?.string == scene.etcd.url && endpoint["source"]?.string == "configuration")
        #expect(endpoint["is_in_use"]?.bool == true && endpoint["has_failed"]?.bool == false)
        try await scene.stop()
        // What the daemon has published of others ends by its own lease.
        let published = scene.etcd.entries["/pharos/demo/observations/n1"]?.lease
        #expect(scene.etcd.text(Scene.key) == nil && scene.etcd.leases.keys.allSatisfy { $0 == published })
        #expect(scene.records.last?.kind == .stopped)
    }

    @Test @EventLoop func `another leader: the address goes from the kernel before its key goes from etcd`()
        async throws
    {
        let scene = try Scene()
        var heldAtRevocation: [String?] = []
        scene.etcd.beforeRevocation = { if $0.contains(Scene.key) { heldAtRevocation.append(scene.ip.held) } }
        _ = try await scene.startHolding()
        try await scene.expect { try scene.status["etcd"]?["is_watching"]?.bool == true }
        let assigned = scene.ip.calls(of: "addr replace")
        scene.etcd.put("/service/demo/leader", "n2")
        try await scene.expect { scene.etcd.text(Scene.key) == nil && scene.record(.addressReleased) != nil }
        #expect(heldAtRevocation == [nil])
        #expect(scene.ip.held == nil && scene.ip.calls(of: "addr replace") == assigned)
        #expect(scene.record(.addressRemoved)?["REASON"] == "leader_is_another")
        #expect(scene.record(.leaderChanged)?["LEADER"] == "n2")
        try await scene.stop()
    }

    @Test @EventLoop func `a removal that fails keeps the key until it succeeds`() async throws {
        let scene = try Scene()
        _ = try await scene.startHolding()
        try scene.ip.set("refusing-flush", "Failed to send flush request: no luck\n")
        scene.etcd.put("/service/demo/leader", "n2")
        try await scene.expect {
            scene.ip.calls.count { $0.contains("flush") } >= 2 && scene.record(.removeFailed) != nil
        }
        #expect(scene.records(.removeFailed).count == 1, "what goes on is told once")
        #expect(scene.record(.removeFailed)?["REASON"]?.contains("no luck") == true)
        #expect(scene.etcd.text(Scene.key) != nil)
        scene.ip.unset("refusing-flush")
        try await scene.expect { scene.etcd.text(Scene.key) == nil }
        #expect(scene.ip.held == nil)
        try await scene.stop()
    }

    @Test @EventLoop func `an etcd that falls silent: the address is off before its lease can end`() async throws {
        let scene = try Scene(ttl: 6)
        _ = try await scene.startHolding()
        let begin = ContinuousClock.now
        scene.etcd.tamper = { _, _ in nil }
        try await scene.expect { scene.record(.contactLost) != nil }
        try await scene.expect { scene.ip.held == nil }
        // The last keep-alive that was answered was sent before the silence.
        #expect(ContinuousClock.now - begin < .seconds(6))
        try await scene.expect { scene.record(.addressRemoved) ?? scene.record(.addressLapsed) != nil }
        #expect(scene.records(.contactLost).count == 1)
        try await scene.stop()
    }

    @Test @EventLoop func `an address that the kernel let go of is reported as lapsed`() async throws {
        let scene = try Scene(ttl: 6)
        _ = try await scene.startHolding()
        scene.etcd.tamper = { _, _ in nil }
        try await scene.expect { scene.record(.contactLost) != nil }
        // As if its lifetime had ended a moment before the daemon's own removal.
        try scene.ip.set("gone", "")
        try await scene.expect { scene.record(.addressLapsed) != nil }
        #expect(scene.record(.addressRemoved) == nil)
        try await scene.stop()
    }

    @Test @EventLoop func `a garbage mark is overwritten, under quarantine`() async throws {
        let scene = try Scene()
        scene.etcd.put("/pharos/demo/cluster", "+7")
        _ = scene.start()
        try await scene.expect { scene.etcd.text("/pharos/demo/quarantine") != nil }
        #expect(scene.etcd.text("/pharos/demo/cluster") == "7")
        #expect(scene.etcd.text(Scene.key) == nil && scene.ip.held == nil)
        try await scene.expect { try scene.status["etcd"]?["is_quarantined"]?.bool == true }
        let lease = try #require(scene.etcd.entries["/pharos/demo/quarantine"]?.lease)
        #expect(scene.etcd.leases[lease] == 20)
        scene.etcd.end(lease)
        try await scene.expect { scene.ip.held == Scene.address }
        try await scene.stop()
    }

    @Test @EventLoop func `a garbage leader key is another leader`() async throws {
        let scene = try Scene()
        _ = try await scene.startHolding()
        scene.etcd.put("/service/demo/leader", [0xFF, 0x0A])
        try await scene.expect { scene.etcd.text(Scene.key) == nil && scene.ip.held == nil }
        #expect(scene.record(.leaderChanged)?["LEADER"] == "(unreadable)")
        try await scene.stop()
    }

    @Test @EventLoop func `a garbage configuration of Patroni changes nothing, and is reported once`() async throws {
        let scene = try Scene()
        _ = try await scene.startHolding()
        scene.etcd.put("/service/demo/config", #"{"ttl":30,"pause":true}"#)
        try await scene.expect { try scene.status["paused"]?.bool == true }
        scene.etcd.put("/service/demo/config", "garbage")
        try await scene.expect { scene.records(.patroniConfigOdd).count == 1 }
        #expect(scene.record(.patroniConfigOdd)?["PROBLEMS"] == "not JSON")
        scene.etcd.put("/service/demo/config", #"{"ttl":30,"pause":[]}"#)
        try await scene.expect { scene.records(.patroniConfigOdd).count == 2 }
        // Several reads of the same say nothing new.
        let reads = scene.etcd.count(of: "/v3/kv/txn")
        try await scene.expect(within: .seconds(20)) { scene.etcd.count(of: "/v3/kv/txn") >= reads + 2 }
        #expect(scene.records(.patroniConfigOdd).count == 2)
        #expect(try scene.status["paused"]?.bool == true)
        try await scene.stop()
    }

    @Test @EventLoop func `a member that Patroni does not know is told once`() async throws {
        let scene = try Scene(leader: "n2")
        scene.etcd.delete("/service/demo/members/n1")
        for number in 2...40 { scene.etcd.put("/service/demo/members/n\(number)", "{}") }
        scene.etcd.put("/service/demo/members/" + String(repeating: "x", count: 300), "{}")
        _ = scene.start()
        try await scene.expect { scene.record(.memberUnknown) != nil }
        let record = try #require(scene.record(.memberUnknown))
        #expect(record["MEMBER"] == "n1" && record["MEMBERS"]?.contains("n2") == true)
        #expect((record["MEMBERS"]?.utf8.count ?? .max) < 300, "a list of a bearable length")
        try await scene.stop()
        #expect(scene.records(.memberUnknown).count == 1)
    }

    @Test(arguments: ["3.4.23", "3.5.16"])
    @EventLoop func `an etcd that may end leases early is told once at the start, with its version`(version: String)
        async throws
    {
        let scene = try Scene(leader: "n2")
        scene.etcd.tamper = { $0 == "/version" ? $1.replacing("3.5.16", with: version) : $1 }
        _ = scene.start()
        try await scene.expect { scene.etcd.count(of: "/version") > 0 }
        if version == "3.4.23" {
            try await scene.expect { scene.record(.etcdOutdated) != nil }
            #expect(scene.record(.etcdOutdated)?.message.contains("3.4.23") == true)
        }
        try await scene.stop()
        #expect(scene.records(.etcdOutdated).count == (version == "3.4.23" ? 1 : 0))
    }

    // MARK: - The watch

    @Test @EventLoop func `a watch that is not allowed is reported once, and not asked for without a pause`()
        async throws
    {
        let scene = try Scene()
        scene.etcd.tamper = { path, answer in
            guard path.hasSuffix("/watch") else { return answer }
            return #"{"result":{"header":{"cluster_id":"7"},"canceled":true,"cancel_reason":"permission denied"}}"#
        }
        _ = try await scene.startHolding()
        try await scene.expect { scene.record(.watchInterrupted) != nil }
        let begin = scene.etcd.count(of: "/v3/watch")
        try await EventLoop.sleep(for: .seconds(3))
        // Two for each attempt of the addresses', and some of the groups'; attempts are 1.5 s apart by then.
        #expect(scene.etcd.count(of: "/v3/watch") - begin <= 32)
        let told = scene.records(.watchInterrupted).map(\.message)
        #expect(told.filter { $0.hasPrefix("the watch of etcd is") }.count == 1)
        #expect(told.filter { $0.hasPrefix("the watch of etcd for the members and groups is") }.count == 1)
        #expect(scene.record(.watchInterrupted)?["REASON"]?.contains("permission denied") == true)
        let etcd = try scene.status["etcd"]
        #expect(etcd?["is_watching"]?.bool == false)
        #expect(etcd?["watch_interruption"]?.string?.contains("permission denied") == true)
        #expect(try scene.status["has_contact"]?.bool == true)
        // Reads alone move the address.
        scene.etcd.put("/service/demo/leader", "n2")
        try await scene.expect { scene.ip.held == nil }
        scene.etcd.tamper = { $1 }
        try await scene.expect { try scene.status["etcd"]?["is_watching"]?.bool == true }
        #expect(try scene.status["etcd"]?["watch_interruption"] == nil)
        try await scene.stop()
    }

    @Test @EventLoop func `every key is watched once, and the address's watch does not depend on the groups'`()
        async throws
    {
        let scene = try Scene()
        scene.etcd.forbidden = .prefix("/service/demo/members/")
        _ = try await scene.startHolding()
        try await scene.expect { try scene.status["etcd"]?["is_watching"]?.bool == true }
        let failed = scene.records(.requestFailed).filter { $0["REASON"]?.contains("permission denied") == true }
        #expect(failed.contains { $0["REQUEST"] == "following the members and groups in etcd" })
        // Of Patroni's keys those that the address needs, and Pharos's own.
        #expect(scene.etcd.count(of: "/v3/watch") == 2)
        let reads = scene.etcd.count(of: "/v3/kv/txn")
        scene.etcd.put("/service/demo/leader", "n2")
        try await scene.expect { scene.ip.held == nil && scene.etcd.text(Scene.key) == nil }
        #expect(scene.etcd.count(of: "/v3/kv/txn") - reads <= 1, "the watch has told it")
        // Once they can be read they are followed, without a restart.
        scene.etcd.forbidden = nil
        try await scene.expect(within: .seconds(20)) { scene.etcd.watchCount(of: "/service/demo/members/n2") == 1 }
        for key in ["leader", "config", "members/n1", "status", "sync", "failover"] {
            #expect(scene.etcd.watchCount(of: "/service/demo/\(key)") == 1, "\(key)")
        }
        scene.etcd.put("/service/demo/members/n2", #"{"role":"primary","state":"running"}"#)
        try await scene.expect { (try scene.status["detector"]?["targets"]?.array ?? []).count == 2 }
        #expect(scene.records(.watchInterrupted).isEmpty)
        try await scene.stop()
    }

    @Test @EventLoop func `groups that are read slowly hold no watch up, and are followed once they are read`()
        async throws
    {
        // Where the machine is busy, everything is slow: nothing in here is to end by a time limit.
        let scene = try Scene(requestTimeout: .seconds(60))
        let keys = FakeEtcd.encoded("/service/demo/")
        var (isSlow, isAsked) = (true, false)
        scene.etcd.holdsBack = { path, body in
            guard isSlow, path == "/v3/kv/txn", body.contains("\"\(keys)\"") else { return false }
            isAsked = true
            return true
        }
        _ = try await scene.startHolding()
        // Patroni's keys that the address needs, and Pharos's own, are watched while the groups are still being read.
        try await scene.expect(within: .seconds(30)) {
            try isAsked && scene.status["etcd"]?["is_watching"]?.bool == true
        }
        #expect(scene.etcd.watchCount(of: "/service/demo/leader") == 1 && scene.etcd.watchCount(of: Scene.key) == 1)
        #expect(scene.etcd.watchCount(of: "/service/demo/members/n2") == 0)
        isSlow = false
        scene.etcd.put("/service/demo/members/n2", #"{"role":"primary","state":"running"}"#)
        try await scene.expect(within: .seconds(30)) { scene.etcd.watchCount(of: "/service/demo/members/n2") == 1 }
        try await scene.expect(within: .seconds(30)) {
            (try scene.status["detector"]?["targets"]?.array ?? []).count == 2
        }
        scene.etcd.put("/service/demo/members/n3", #"{"role":"replica","state":"running"}"#)
        try await scene.expect(within: .seconds(30)) {
            (try scene.status["detector"]?["targets"]?.array ?? []).count == 3
        }
        #expect(scene.records(.watchInterrupted).isEmpty && scene.records(.requestFailed).isEmpty)
        try await scene.stop()
    }

    @Test @EventLoop func `members that cannot be read hold no watch up, and are reported once`() async throws {
        let scene = try Scene()
        scene.etcd.tamper = { path, answer in path.hasSuffix("/range") ? "garbage" : answer }
        _ = try await scene.startHolding()
        try await scene.expect { scene.record(.requestFailed)?["REQUEST"] == "reading Patroni's members" }
        // A garbage answer discredits its endpoint, and the groups' watch there with it: once, not again and again.
        #expect(try scene.status["etcd"]?["is_watching"]?.bool == true)
        try await EventLoop.sleep(for: .milliseconds(500))
        #expect(try scene.status["etcd"]?["is_watching"]?.bool == true)
        let watches = scene.etcd.count(of: "/v3/watch")
        try await EventLoop.sleep(for: .milliseconds(500))
        #expect(scene.etcd.count(of: "/v3/watch") == watches && scene.etcd.count(of: "/v3/kv/range") == 1)
        #expect(scene.records(.requestFailed).count == 1)
        try await scene.stop()
    }
}
