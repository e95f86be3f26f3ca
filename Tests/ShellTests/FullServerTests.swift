// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import TestSupport
import Testing

@testable import Shell

/// This node's PostgreSQL while clients use all its connections.
@Suite(.serialized)
struct FullServerTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop private final class Patroni {
        var answer = PatroniAnswer.answered(isRunningPrimary: true, isFailsafeActive: false)
        var asked = 0
    }

    /// Turns everybody away, as PostgreSQL does with this SQLSTATE.
    @EventLoop private func server(_ state: String) throws -> ScriptedServer {
        try ScriptedServer { connection in
            _ = try await connection.read()
            let fields = ["SFATAL", "VFATAL", "C\(state)", "Msorry, too many clients already", "RProcArrayAdd"]
            var body: [UInt8] = []
            for field in fields { body += Array(field.utf8) + [0] }
            body.append(0)
            try await connection.write([0x45, 0, 0, 0, UInt8(body.count + 4)] + body)
            connection.close()
        }
    }

    @EventLoop private func probe(_ server: ScriptedServer, _ patroni: Patroni) -> PostgresProbe {
        PostgresProbe(
            conninfo: "host=127.0.0.1 port=\(server.port) user=u dbname=d sslmode=disable",
            resolver: HostResolver { _ in .unanswered("nobody") },
            patroni: {
                patroni.asked += 1
                return patroni.answer
            }, ended: {})
    }

    @Test @EventLoop func `that no connection is left is told first; then Patroni, which has one, is believed`()
        async throws
    {
        let (server, patroni) = (try self.server("53300"), Patroni())
        let probe = self.probe(server, patroni)
        guard case .unreachable(let reason) = await probe.ask() else {
            Issue.record("nothing is told of the first refusal")
            return
        }
        #expect(reason.contains("max_connections") && patroni.asked == 0)
        for _ in 0..<2 { #expect(await probe.ask() == .primary) }
        #expect(patroni.asked == 2, "each time anew")
        for answer in [
            PatroniAnswer.answered(isRunningPrimary: false, isFailsafeActive: false), .unreachable(reason: "refused"),
        ] {
            patroni.answer = answer
            guard case .unreachable = await probe.ask() else {
                Issue.record("\(answer) is taken for a primary")
                return
            }
        }
    }

    @Test(arguments: ["57P03", "28000", "53400"])
    @EventLoop func `no other refusal is Patroni's to judge`(state: String) async throws {
        let (server, patroni) = (try self.server(state), Patroni())
        let probe = self.probe(server, patroni)
        for _ in 0..<3 {
            guard case .unreachable = await probe.ask() else {
                Issue.record("a primary, by \(state)")
                return
            }
        }
        #expect(patroni.asked == 0)
    }
}
