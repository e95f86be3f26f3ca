// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTPClient
import PatroniClient
import PatroniValues
import TestSupport
import Testing

/// The body of an answer of a real Patroni 4.1.5, without the recorder's notes.
func recordedBody(_ name: String) throws -> [UInt8] {
    let bytes = try fixture(name + ".http")
    let start = try #require(bytes.firstRange(of: Array("\r\n\r\n".utf8))).upperBound
    let end = bytes[start...].firstRange(of: Array("\n# t=".utf8))?.lowerBound ?? bytes.endIndex
    return Array(bytes[start..<end])
}

/// Answers every request with a recorded one, byte for byte, and closes the connection as Patroni does.
@EventLoop
private func patroni(_ name: String) throws -> ScriptedServer {
    var bytes = try fixture(name + ".http")
    if let note = bytes.firstRange(of: Array("\n# t=".utf8)) { bytes.removeSubrange(note.lowerBound...) }
    let answer = bytes
    return try ScriptedServer { connection in
        _ = try await connection.readRequest()
        try await connection.write(answer)
    }
}

@Suite(.serialized)
struct PatroniClientTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `a recorded primary`() async throws {
        let http = HTTPClient()
        let server = try patroni("01-patroni")
        let status = try await PatroniClient(server.url + "/patroni", http: http).status()
        #expect(status.isRunningPrimary && status.timeline == 1 && status.name == "pg2" && status.scope == "demo")
        #expect(status.version == "4.1.5" && status.serverVersion == 150020 && status.dcsLastSeen == 1_795_223_967)
        #expect(!status.isPaused && !status.failsafeModeIsActive && !status.isClusterUnlocked)
        #expect(status.systemIdentifier == "7710428007452706229" && status.problems.isEmpty)
        #expect(server.requests == ["GET /patroni HTTP/1.1"])
        http.close()
    }

    @Test @EventLoop func `failsafe mode and maintenance are seen`() async throws {
        let http = HTTPClient()
        let (down, paused) = (try patroni("10-patroni"), try patroni("07-paused-patroni"))
        let failsafe = try await PatroniClient(down.url, http: http).status()
        #expect(failsafe.failsafeModeIsActive && failsafe.isClusterUnlocked && failsafe.isRunningPrimary)
        #expect(try await PatroniClient(paused.url, http: http).status().isPaused)
        http.close()
    }

    @Test @EventLoop func `recorded members of a cluster`() async throws {
        let http = HTTPClient()
        let (server, paused) = (try patroni("01-cluster"), try patroni("07-paused-cluster"))
        let cluster = try await PatroniClient(server.url, http: http).cluster()
        #expect(cluster.members.map(\.name) == ["pg1", "pg2", "pg3"])
        #expect(cluster.members.map(\.role) == [.replica, .primary, .replica])
        #expect(cluster.members[0].lag == 0 && cluster.members[1].lag == nil && cluster.members[1].port == 5432)
        #expect(cluster.problems.isEmpty && !cluster.isPaused)
        #expect(try await PatroniClient(paused.url, http: http).cluster().isPaused)
        http.close()
    }

    @Test(arguments: [
        (200, "Successfully switched over to \"n3\"", SwitchoverAnswer.done("Successfully switched over to \"n3\"")),
        (503, "Switchover failed", .refused("Switchover failed")),
        (412, "leader name does not match", .refused("leader name does not match")),
        (503, "Switchover status unknown", .open("Switchover status unknown")),
    ]) @EventLoop
    func `a switchover is asked for once, and what lasts longer than an answer is no refusal`(
        status: Int, body: String, expected: SwitchoverAnswer
    ) async throws {
        let http = HTTPClient()
        let server = try ScriptedServer { connection in
            _ = try await connection.readRequest()
            try await connection.write(httpAnswer(status, body))
        }
        let answer = try await PatroniClient(server.url, http: http).switchOver(
            from: "n1", to: "n3", timeout: .seconds(10))
        #expect(answer == expected)
        #expect(server.requests == ["POST /switchover HTTP/1.1"])
        http.close()
    }

    @Test @EventLoop func `503 with a body is an answer, other failures are errors`() async throws {
        let http = HTTPClient()
        let starting = #"{"state": "starting", "role": "replica", "patroni": {"name": "n1"}}"#
        let server = try ScriptedServer { connection in
            guard let line = try await connection.readRequest() else { return }
            try await connection.write(httpAnswer(503, line.contains("/cluster") ? "{}" : starting))
        }
        let client = PatroniClient(server.url, http: http)
        let status = try await client.status()
        #expect(status.state == "starting" && !status.isRunningPrimary)
        let error = await #expect(throws: PatroniError.self) { _ = try await client.cluster() }
        #expect(error?.kind == .status(503))
        for (body, kind) in [
            ("", PatroniError.Kind.malformed), ("[]", .malformed), ("{", .malformed),
            (String(repeating: "x", count: 2 << 20), .malformed),
        ] {
            let odd = try ScriptedServer(answering: { _ in httpAnswer(200, body) })
            let error = await #expect(throws: PatroniError.self) {
                _ = try await PatroniClient(odd.url, http: http).status()
            }
            #expect(error?.kind == kind)
        }
        let silent = try ScriptedServer { connection in while try await connection.readRequest() != nil {} }
        let late = await #expect(throws: PatroniError.self) {
            _ = try await PatroniClient(silent.url, http: http).status(timeout: .milliseconds(50))
        }
        #expect(late?.kind == .timeout)
        let nobody = PatroniClient("127.0.0.1:\(try freePorts(1)[0])", http: http)
        let refused = await #expect(throws: PatroniError.self) { _ = try await nobody.status() }
        #expect(refused?.kind == .unreachable)
        http.close()
    }
}
