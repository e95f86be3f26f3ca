// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Glibc
import PostgresClient
import TestSupport
import Testing

@testable import Shell

/// A server that lets everybody in, and answers the first question with `answer`.
@EventLoop
private func server(
    _ answer: @escaping @EventLoop (ScriptedServer.Connection) async throws -> Void
) throws -> ScriptedServer {
    try ScriptedServer { connection in
        _ = try await connection.read()
        // AuthenticationOk and ReadyForQuery.
        try await connection.write([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5A, 0, 0, 0, 5, 0x49])
        _ = try await connection.read()
        try await answer(connection)
    }
}

/// ParseComplete, BindComplete, and a RowDescription of one column of text.
private let oneColumn: [UInt8] =
    [0x31, 0, 0, 0, 4, 0x32, 0, 0, 0, 4, 0x54, 0, 0, 0, 26, 0, 1, 0x61, 0]
    + [0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]

/// Whoever listens at the address that Patroni's keys name may be anybody.
@Suite(.serialized)
struct HostilePostgresTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `a row that does not come to its end is given up at the limit`() async throws {
        var written = 0
        let server = try server { connection in
            // A DataRow of 1 GB.
            try await connection.write(oneColumn + [0x44, 0x40, 0, 0, 0, 0, 1, 0x3F, 0xFF, 0xFF, 0xF0])
            let piece = [UInt8](repeating: 0x61, count: 1 << 16)
            while written < 1 << 28 {
                try await connection.write(piece)
                written += piece.count
            }
        }
        let connection = try await PostgresConnection(
            "host=127.0.0.1 port=\(server.port) user=u dbname=d sslmode=disable", timeout: .seconds(30))
        let error = await #expect(throws: PostgresError.self) {
            try await connection.query("select 1", timeout: .seconds(20), byteLimit: 1 << 16)
        }
        #expect(error?.kind == .resultTooLarge && !connection.isUsable)
        // What the two sockets hold comes on top.
        #expect(written < 1 << 25)
    }

    @Test @EventLoop func `a row of almost the limit is read, however fast it comes`() async throws {
        let size = 4_000_000
        let server = try server { connection in
            let length = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: (size + 10) >> $0) }
            let value = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: size >> $0) }
            try await connection.write(
                oneColumn + [0x44] + length + [0, 1] + value + [UInt8](repeating: 0x61, count: size)
                    + [0x43, 0, 0, 0, 6, 0x53, 0, 0x5A, 0, 0, 0, 5, 0x49])
        }
        let connection = try await PostgresConnection(
            "host=127.0.0.1 port=\(server.port) user=u dbname=d sslmode=disable", timeout: .seconds(30))
        #expect(try await connection.query("select 1", timeout: .seconds(30)).first?.first??.utf8.count == size)
    }

    private static let ready: [UInt8] = [0x5A, 0, 0, 0, 5, 0x49]
    private static let complete: [UInt8] = [0x43, 0, 0, 0, 6, 0x53, 0]
    /// ErrorResponse without a field.
    private static let refused: [UInt8] = [0x45, 0, 0, 0, 5, 0]

    /// What answers two statements that were sent together, and cannot be.
    @Test(arguments: [
        // The end at once, after one, and after one and a half.
        ready, oneColumn + complete + ready, oneColumn + complete + oneColumn + ready,
        // One statement more than was asked, and an answer after a refusal.
        oneColumn + complete + oneColumn + complete + oneColumn + complete + ready,
        refused + oneColumn + complete + ready,
        // COPY, and what is no message at all.
        [0x31, 0, 0, 0, 4, 0x32, 0, 0, 0, 4, 0x48, 0, 0, 0, 7, 0, 0, 0], [UInt8](repeating: 0x52, count: 4096), [],
        refused,
    ])
    @EventLoop func `answers that do not fit what was sent together end the connection`(answer: [UInt8]) async throws {
        let server = try server { connection in
            try await connection.write(answer)
            connection.close()
        }
        let connection = try await PostgresConnection(
            "host=127.0.0.1 port=\(server.port) user=u dbname=d sslmode=disable", timeout: .seconds(30))
        let two = [PostgresStatement("select 1"), PostgresStatement("select 2")]
        let error = await #expect(throws: PostgresError.self) {
            try await connection.pipeline(two, timeout: .seconds(20), byteLimit: 1 << 10)
        }
        #expect(error?.kind == .connection && !connection.isUsable)
    }

    @Test @EventLoop func `rows without an end are given up at the limit, also of statements sent together`()
        async throws
    {
        var written = 0
        let server = try server { connection in
            try await connection.write(oneColumn)
            let row: [UInt8] = [0x44, 0, 0, 0, 11, 0, 1, 0, 0, 0, 1, 0x66]
            let piece = [[UInt8]](repeating: row, count: 1 << 12).flatMap { $0 }
            while written < 1 << 28 {
                try await connection.write(piece)
                written += piece.count
            }
        }
        let connection = try await PostgresConnection(
            "host=127.0.0.1 port=\(server.port) user=u dbname=d sslmode=disable", timeout: .seconds(30))
        let error = await #expect(throws: PostgresError.self) {
            try await connection.pipeline(
                [PostgresStatement("select 1")], timeout: .seconds(20), byteLimit: 1 << 16)
        }
        #expect(error?.kind == .resultTooLarge && !connection.isUsable)
        #expect(written < 1 << 25)
    }

    /// One row with one column, "f": no standby. CommandComplete, ReadyForQuery.
    @EventLoop private func primary() throws -> ScriptedServer {
        try server { connection in
            try await connection.write(
                oneColumn + [0x44, 0, 0, 0, 11, 0, 1, 0, 0, 0, 1, 0x66]
                    + [0x43, 0, 0, 0, 6, 0x53, 0, 0x5A, 0, 0, 0, 5, 0x49])
        }
    }

    @Test @EventLoop func `a name's next address is tried where the first is silent or refuses`() async throws {
        let server = try self.primary()
        // Its connections are made, and never served.
        let silent = try loopbackListener("127.0.0.2", port: server.port)
        defer { close(silent) }
        let resolver = HostResolver { _ in .addresses(["127.0.0.2", "127.0.0.3", "127.0.0.1"]) }
        let nodes = NodeConnections(
            conninfo: "user=u dbname=d sslmode=disable", database: nil, resolver: resolver)
        // Where the loop is late, a share of the second may pass before the server is heard: asked again, as the core does.
        #expect(
            try await eventually(within: .seconds(20)) {
                await nodes.ask(NodeEndpoint("db.example.org", server.port)) == .primary
            })
    }

    /// Each has a share of the second that connecting may take, whatever libpq would do.
    @Test(arguments: [
        "host=localhost port=PORT", "host=/nonexistent,localhost port=PORT", "host=db.example.org port=PORT",
        "host=127.0.0.2,db.example.org port=PORT", "hostaddr=127.0.0.2,127.0.0.1 port=PORT,PORT",
        "postgresql://127.0.0.2:PORT,localhost:PORT", "host=silent.example.org,a.localhost port=PORT",
    ])
    @EventLoop func `the local server is asked at one place after the other, by name too`(text: String) async throws {
        let server = try self.primary()
        let silent = try loopbackListener("127.0.0.2", port: server.port)
        defer { close(silent) }
        var asked: Set<String> = []
        let resolver = HostResolver { name in
            asked.insert(name)
            return name.hasPrefix("silent") ? .unanswered("nobody") : .addresses(["127.0.0.3", "127.0.0.1"])
        }
        let rest = text.contains("://") ? "/d?user=u&sslmode=disable" : " user=u dbname=d sslmode=disable"
        let conninfo = text.replacing("PORT", with: "\(server.port)") + rest
        let probe = PostgresProbe(
            conninfo: conninfo, resolver: resolver, patroni: { .unreachable(reason: "not asked") }, ended: {})
        #expect(try await eventually(within: .seconds(20)) { await probe.ask() == .primary })
        #expect(asked == Set(["db.example.org", "silent.example.org"].filter { text.contains($0) }))
    }

    /// What name servers say at present, and what was told of that.
    @EventLoop private final class Names {
        var answer = HostResolver.Answer.unanswered("the name servers are silent")
        var told: [[String]?] = []
    }

    @Test @EventLoop func `a name that cannot be looked up is the reason; what was found before is used on`()
        async throws
    {
        let server = try self.primary()
        let names = Names()
        let resolver = HostResolver(
            lifetime: .zero, lookUp: { _ in names.answer }, report: { names.told.append($0?.addresses) })
        let conninfo = "host=db.example.org port=\(server.port) user=u dbname=d sslmode=disable"
        @EventLoop func ask() async -> PostgresState {
            await PostgresProbe(
                conninfo: conninfo, resolver: resolver, patroni: { .unreachable(reason: "not asked") }, ended: {}
            ).ask()
        }
        let reason = "the name db.example.org could not be looked up: the name servers are silent"
        #expect(await ask() == .unreachable(reason: reason))
        names.answer = .addresses(["127.0.0.1"])
        #expect(await ask() == .primary)
        names.answer = .unanswered("the name servers are silent")
        for _ in 0..<2 { #expect(await ask() == .primary) }
        #expect(try await eventually(within: .seconds(10)) { resolver.staleNames.map(\.name) == ["db.example.org"] })
        #expect(names.told == [["127.0.0.1"]])
    }

    /// Whoever asks: names are the resolver's.
    @Test(arguments: [
        "host=localhost", "host=/run,db hostaddr=,10.0.0.1 port=1,2", "host='[::1]'", "host=a,b hostaddr=::1,",
    ])
    @EventLoop func `libpq is never given a name without its address`(text: String) async throws {
        let error = await #expect(throws: PostgresError.self) {
            try await PostgresConnection(text + " user=u", timeout: .seconds(5))
        }
        let isAllowed = text.hasPrefix("host=/run")
        #expect(error?.message.hasPrefix("the conninfo") == !isAllowed, "\(error?.message ?? "")")
    }

    private func loopbackListener(_ address: String, port: Int) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = in_port_t(port).bigEndian
        inet_pton(AF_INET, address, &name.sin_addr)
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(descriptor >= 0 && bound == 0 && listen(descriptor, 4) == 0)
        return descriptor
    }
}
