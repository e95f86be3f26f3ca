// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import HTTPClient
import Journal
import LenientJSON
import StatusServer
import TestSupport
import Testing

@testable import Shell

/// The status API over its Unix socket: what it answers, and what it bears.
@Suite(.serialized)
struct StatusServerTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop
    private func get(_ socket: String, _ path: String, _ method: HTTPRequest.Method = .get, body: [UInt8] = [])
        async throws -> HTTPResponse
    {
        let http = HTTPClient()
        defer { http.close() }
        var request = HTTPRequest(method, "http://localhost" + path)
        request.unixSocket = socket
        request.body = body
        return try await http.send(request)
    }

    @Test @EventLoop func `what the kernel does not answer shows in the status and in health, and ends the pings`()
        async throws
    {
        let scene = try Scene()
        let shell = try await scene.startHolding()
        let before = shell.core
        // Another leads, so the address is to be taken off, and that is never answered. The core is ahead of the clock here.
        var (actions, now): ([Action], Instant) = ([], .now)
        let revision = before.believedSnapshot?.revision ?? 0
        shell.core.handle(
            .watched(clusterID: 7, revision: revision + 1, changes: [.leader("n2")]), at: now, into: &actions)
        #expect(actions.contains { if case .remove = $0 { true } else { false } })
        #expect(shell.answer("/health").status == 200)
        for _ in 0..<60 {
            now = now + .milliseconds(500)
            shell.core.handle(.tick, at: now, into: &actions)
        }
        let unanswered = try #require(try scene.status["unanswered"]?.array)
        #expect(unanswered.contains { $0["request"]?.string == "taking \(Scene.address) off the interface" })
        #expect(unanswered.allSatisfy { $0["seconds"]?.int64 != nil })
        #expect(shell.answer("/health").status == 503)
        // A command that the kernel still has may act: only where there is none does nothing but the end of the process help.
        #expect(shell.core.isStuck(commandsUnderWay: 0) && !shell.core.isStuck(commandsUnderWay: 1))
        shell.core = before
        #expect(!shell.core.isStuck(commandsUnderWay: 0) && shell.answer("/health").status == 200)
        try await scene.stop()
    }

    @Test @EventLoop func `a daemon tells its status, its health, and what it cannot answer`() async throws {
        let folder = try TemporaryDirectory("status")
        let socket = folder.file("socket")
        let scene = try Scene(status: "{ socket: \(socket), listen: \"192.0.2.7:8009\" }")
        _ = try await scene.startHolding()
        #expect(scene.record(.statusUnavailable)?["REASON"]?.contains("192.0.2.7") == true)
        for path in ["/", "/status"] {
            let answer = try await self.get(socket, path)
            let status = try #require(JSON.parse(answer.body))
            #expect(answer.status == 200 && status["scope"]?.string == "demo" && status["member"]?.string == "n1")
            #expect(status["addresses"]?.array?.first?["holder"]?.string == "n1")
            #expect(status["events"]?.array?.contains { $0["message"]?.string?.contains("is ours") == true } == true)
        }
        scene.etcd.put("/service/demo/leader", "n-hidden-2")
        try await scene.expect { scene.record(.leaderChanged) != nil }
        let redacted = try await self.get(socket, "/status")
        #expect(JSON.parse(redacted.body)?["leader"]?.string == "n-…-2")
        #expect(!String(decoding: redacted.body, as: UTF8.self).contains("hidden"))
        let health = try await self.get(socket, "/health")
        #expect(health.status == 200 && health.body == Array("ok\n".utf8))
        #expect(try await self.get(socket, "/nothing").status == 404)
        #expect(try await self.get(socket, "/status", .put, body: Array("x".utf8)).status == 405)
        for path in ["/status", "/acknowledge", "/acknowledge/x/n1", "/acknowledge/0/n9", "/acknowledge/0/n1/x"] {
            #expect(try await self.get(socket, path, .post).status == 404, "\(path)")
        }
        let told = scene.records.count
        scene.etcd.tamper = { _, _ in nil }
        try await scene.expect { scene.records.dropFirst(told).contains { $0.kind == .contactLost } }
        #expect(try await self.get(socket, "/health").status == 503)
        try await scene.stop()
    }

    @Test @EventLoop func `names from etcd cannot break out of the status`() async throws {
        let scene = try Scene(leader: "n\"2\\\u{7FF}\u{2028}")
        _ = scene.start()
        try await scene.expect { scene.isReady }
        #expect(try scene.status["leader"]?.string == "n\"2\\\u{7FF}\u{2028}")
        try await scene.stop()
    }

    @Test @EventLoop func `the last two hundred events are kept, and each has its number for ever`() {
        var recent = RecentRecords()
        #expect(recent.first == 1 && recent.total == 0)
        for number in 1...320 { recent.append(LogRecord(.stopping, "\(number)")) }
        #expect(recent.entries.map(\.message) == (121...320).map { "\($0)" })
        #expect(recent.first == 121 && recent.total == 320)
        recent.append(LogRecord(.stopping, String(repeating: "x", count: 100_000)))
        #expect(recent.entries.last?.message.count == RecentRecords.messageLimit)
    }
}
