// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal
import TestSupport
import Testing

@testable import Shell

/// Answers that no etcd gives: each leaves a record with its cause, and none ends the daemon.
@Suite(.serialized)
struct HostileEtcdTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test(arguments: [
        ("/version", LogKind.contactLost), ("/v3/kv/txn", .contactLost), ("/v3/lease/grant", .leaseRefused),
        ("/v3/watch", .watchInterrupted),
    ])
    @EventLoop func `garbage from the start says why nothing goes on`(path: String, kind: LogKind) async throws {
        let scene = try Scene()
        scene.etcd.tamper = { $0 == path ? "garbage" : $1 }
        _ = scene.start()
        try await scene.expect { scene.record(kind) != nil }
        let reason = try #require(scene.record(kind)?["REASON"])
        #expect(reason.contains("malformed"), "\(reason)")
        #expect(path == "/v3/watch" || scene.ip.held == nil)
        scene.etcd.tamper = { $1 }
        // It heals by itself.
        try await scene.expect { scene.ip.held == Scene.address }
        try await scene.stop()
    }

    @Test(arguments: [
        ("/v3/lease/keepalive", "renewing the lease of"), ("/v3/lease/revoke", "giving back the key of"),
        ("/v3/kv/txn", "acquiring the key of"),
    ])
    @EventLoop func `a request whose answer is garbage is named, once`(path: String, request: String) async throws {
        let scene = try Scene(leader: "n2", ttl: 6)
        _ = scene.start()
        try await scene.expect { scene.isReady }
        if path == "/v3/kv/txn" {
            // Transactions that write, not reads.
            scene.etcd.tamper = { $0 == path && $1.contains("response_put") ? #"{"header":{}}"# : $1 }
            scene.etcd.put("/service/demo/leader", "n1")
        } else {
            scene.etcd.put("/service/demo/leader", "n1")
            try await scene.expect { scene.record(.addressAssigned) != nil }
            scene.etcd.tamper = { $0 == path ? #"{"result":[]}"# : $1 }
        }
        if path == "/v3/lease/revoke" { scene.etcd.put("/service/demo/leader", "n2") }
        func failed() -> LogRecord? {
            scene.records(.requestFailed).first { $0["REQUEST"] == "\(request) \(Scene.address)" }
        }
        try await scene.expect { failed() != nil }
        let record = try #require(failed())
        #expect(record["ADDRESS"] == Scene.address)
        #expect(record["REASON"]?.contains("malformed") == true)
        if path == "/v3/lease/keepalive" {
            // The lease is not renewed: the address is off before it can end.
            try await scene.expect { scene.ip.held == nil }
            try await scene.expect { scene.record(.addressRemoved) ?? scene.record(.addressLapsed) != nil }
        }
        #expect(scene.records(.requestFailed).filter { $0["REQUEST"] == record["REQUEST"] }.count == 1)
        try await scene.stop()
    }

    @Test(arguments: ["9223372036854775807", "-1", "4611686018427387905"])
    @EventLoop func `revisions and TTLs beyond reason are refused`(number: String) async throws {
        let scene = try Scene()
        scene.etcd.tamper = { _, answer in
            answer.replacing(#""revision":"\#(scene.etcd.revision)""#, with: #""revision":"\#(number)""#)
        }
        _ = scene.start()
        try await scene.expect { scene.record(.contactLost) != nil }
        #expect(scene.record(.contactLost)?["REASON"]?.contains("revision") == true)
        scene.etcd.tamper = { _, answer in answer.replacing(#""TTL":"20""#, with: #""TTL":"\#(number)""#) }
        try await scene.expect { scene.record(.leaseRefused) != nil }
        #expect(scene.ip.held == nil)
        try await scene.stop()
    }

    @Test(arguments: ["/version", "/v3/kv/txn", "/v3/kv/range", "/v3/lease/grant", "/v3/lease/keepalive", "/v3/watch"])
    @EventLoop func `mutated answers crash nothing, and the address comes back`(path: String) async throws {
        let scene = try Scene(ttl: 6)
        var generator = SeededGenerator(UInt64(path.utf8.count))
        scene.etcd.tamper = {
            $0 == path ? String(decoding: mutated(Array($1.utf8), &generator), as: UTF8.self) : $1
        }
        _ = scene.start()
        for _ in 0..<150 {
            try await EventLoop.sleep(for: .milliseconds(10))
            // Something to tell, and to ask for.
            scene.etcd.put("/service/demo/leader", scene.etcd.revision.isMultiple(of: 3) ? "n2" : "n1")
            scene.etcd.put("/service/demo/config", #"{"ttl":30,"pause":false}"#)
        }
        scene.etcd.tamper = { $1 }
        scene.etcd.put("/pharos/demo/cluster", "7")
        scene.etcd.put("/service/demo/leader", "n1")
        try await scene.expect(within: .seconds(15)) {
            if let lease = scene.etcd.entries["/pharos/demo/quarantine"]?.lease { scene.etcd.end(lease) }
            return scene.ip.held == Scene.address && scene.shell?.core.hasContact == true
        }
        try await scene.stop()
    }

}

/// Answers that no Patroni and no `ip` gives.
@Suite(.serialized)
struct HostileNodeTests {
    init() { EventLoop.shared.executor.startThread() }

    // MARK: - Patroni

    @Test(arguments: [
        ("garbage", "not a JSON object"), (#"{"role":7,"state":"running"}"#, "role is a number"),
    ])
    @EventLoop func `a Patroni that cannot tell of its failsafe mode is named`(body: String, reason: String)
        async throws
    {
        let scene = try Scene(ttl: 6, patroni: { httpAnswer(200, body) })
        scene.etcd.put("/service/demo/config", #"{"ttl":30,"failsafe_mode":true}"#)
        _ = try await scene.startHolding()
        scene.etcd.tamper = { _, _ in nil }
        try await scene.expect { scene.record(.patroniUnanswered) != nil }
        #expect(scene.record(.patroniUnanswered)?["REASON"]?.contains(reason) == true)
        try await scene.expect { scene.ip.held == nil }
        #expect(scene.records(.patroniUnanswered).count == 1)
        try await scene.stop()
    }

    @Test @EventLoop func `a mutated Patroni crashes nothing, and keeps no address for ever`() async throws {
        let good = Array(#"{"state":"running","role":"primary","failsafe_mode_is_active":true,"timeline":3}"#.utf8)
        var generator = SeededGenerator(3)
        let scene = try Scene(
            ttl: 6,
            patroni: { httpAnswer(200, String(decoding: mutated(good, &generator), as: UTF8.self)) })
        scene.etcd.put("/service/demo/config", #"{"ttl":30,"failsafe_mode":true}"#)
        _ = try await scene.startHolding()
        scene.etcd.tamper = { _, _ in nil }
        try await scene.expect { scene.record(.contactLost) != nil }
        try await EventLoop.sleep(for: .seconds(3))
        #expect(scene.record(.patroniUnanswered) != nil)
        try await scene.stop()
    }

    // MARK: - ip

    @Test(arguments: ["garbage", ""])
    @EventLoop func `a listing that is none is reported once, and nothing is given back on it`(text: String)
        async throws
    {
        let scene = try Scene()
        try scene.ip.set("listing", text)
        _ = scene.start()
        try await scene.expect { scene.record(.inspectionFailed) != nil }
        try await scene.expect { scene.ip.calls(of: "-json") >= 3 }
        #expect(scene.records(.inspectionFailed).count == 1)
        #expect(!scene.isReady && scene.ip.held == nil)
        scene.ip.unset("listing")
        try await scene.expect { scene.ip.held == Scene.address }
        try await scene.stop()
    }

    @Test @EventLoop func `a listing that is not understood in full proves no absence`() async throws {
        let scene = try Scene(leader: "n2")
        // What a process before this one left: the key, and an address of which `ip` says what cannot be read.
        let lease = scene.etcd.grant(seconds: 20)
        scene.etcd.put(Scene.key, #"{"member":"n1","node":"boot-a","lease":"\#(lease)"}"#, lease: lease)
        try scene.ip.set("held", "\(Scene.address) 24 20")
        let entry = #"{"family":"inet","local":"10.99.99.3","prefixlen":99,"valid_life_time":20}"#
        try scene.ip.set(
            "listing", #"[{"ifindex":7,"ifname":"\#(FakeIP.interface)","flags":["UP"],"addr_info":[\#(entry)]}]"#)
        _ = scene.start()
        try await scene.expect { scene.ip.calls(of: "-json") >= 3 }
        let reason = scene.record(.inspectionFailed)?["REASON"]
        #expect(reason?.contains("1 entry") == true && reason?.contains("cannot be understood") == true)
        #expect(reason?.contains("(\(FakeIP.interface) 10.99.99.3: 'prefixlen' is 99)") == true, "which, and where")
        #expect(scene.records(.inspectionFailed).count == 1)
        #expect(scene.etcd.text(Scene.key) != nil, "nobody else may have it while it may be here")
        #expect(!scene.isReady)
        var heldAtRevocation: [String?] = []
        scene.etcd.beforeRevocation = { if $0.contains(Scene.key) { heldAtRevocation.append(scene.ip.held) } }
        scene.ip.unset("listing")
        try await scene.expect { scene.etcd.text(Scene.key) == nil }
        #expect(heldAtRevocation == [nil])
        try await scene.stop()
    }

    @Test @EventLoop func `an address that cannot be assigned says why`() async throws {
        let scene = try Scene()
        try scene.ip.set("refusing-replace", "RTNETLINK answers: Operation not permitted\n")
        _ = scene.start()
        try await scene.expect { scene.record(.assignFailed) != nil }
        #expect(scene.record(.assignFailed)?["REASON"]?.contains("CAP_NET_ADMIN") == true)
        scene.ip.unset("refusing-replace")
        try await scene.expect { scene.ip.held == Scene.address }
        try await scene.stop()
    }
}
