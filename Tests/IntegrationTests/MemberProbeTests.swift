// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import HTTPClient
import Journal
import PostgresClient
import TestSupport
import Testing

@testable import Shell

/// The failure detector's questions, asked of real PostgreSQL servers.
@Suite(.serialized)
struct MemberProbeTests {
    private static let id = MemberID(0, "n2")

    init() { EventLoop.shared.executor.startThread() }

    private static func probe(
        _ conninfo: String = "user=postgres", _ report: @escaping @EventLoop (LogRecord) -> Void = { _ in }
    ) async -> MemberProbe {
        await MemberProbe(
            http: HTTPClient(), tls: nil,
            nodes: NodeConnections(conninfo: conninfo, database: "postgres", resolver: HostResolver()),
            report: report)
    }

    private static func ask(_ probe: MemberProbe, _ port: Int, _ timeout: Duration = .seconds(20)) async
        -> ProbeFindings
    {
        await probe.ask(Self.id, api: nil, endpoint: NodeEndpoint("127.0.0.1", port), timeout: timeout)
            ?? ProbeFindings(patroni: .failed("not asked"), postgres: .failed("not asked"))
    }

    /// Waits until a server accepts connections.
    @EventLoop private static func accepting(_ server: LocalPostgres) async throws {
        let isReady = try await eventually(within: .seconds(60)) {
            do throws(PostgresError) {
                _ = try await PostgresConnection(server.conninfo)
                return true
            } catch { return false }
        }
        try #require(isReady)
    }

    @Test @EventLoop func `a primary takes a write, its standby tells how far it has come, and hears of it`()
        async throws
    {
        let ports = try freePorts(2)
        let (port, other) = (ports[0], ports[1])
        let primary = try await LocalPostgres(port: port)
        try await Self.accepting(primary)
        let probe = await Self.probe()
        let first = await Self.ask(probe, port)
        #expect(first.postgres == .answered && first.isPrimary == true)
        let second = await Self.ask(probe, port)
        let (before, after) = (try #require(first.position), try #require(second.position))
        #expect(after > before, "nothing was written: \(before), \(after)")

        let standby = try await LocalPostgres(port: other, standbyOf: primary)
        try await Self.accepting(standby)
        let found = await Self.ask(probe, other)
        #expect(found.postgres == .answered && found.isPrimary == false && found.position != nil)

        var answer = WALReceiverAnswer.unknown
        #expect(
            try await eventually(within: .seconds(60)) {
                answer = await WALReceiverProbe.ask(
                    conninfo: standby.conninfo, resolver: HostResolver(), timeout: .seconds(20))
                if case .streaming = answer { return true }
                return false
            }, "\(answer)")
        #expect(
            await WALReceiverProbe.ask(conninfo: primary.conninfo, resolver: HostResolver(), timeout: .seconds(20))
                == .unknown)
        primary.kill()
        #expect(
            try await eventually(within: .seconds(60)) {
                await WALReceiverProbe.ask(conninfo: standby.conninfo, resolver: HostResolver(), timeout: .seconds(20))
                    == .notStreaming
            })
        let dead = await Self.ask(probe, port).postgres
        #expect(Self.isFailure(dead), "\(dead)")
    }

    @Test @EventLoop func `a server that is frozen, or takes no writes, has failed; one that turns us away has not`()
        async throws
    {
        let port = try freePorts(1)[0]
        let server = try await LocalPostgres(port: port)
        try await Self.accepting(server)
        let connection = try await PostgresConnection(server.conninfo)
        _ = try await connection.query("create role nobody login")
        _ = try await connection.query("alter role nobody set default_transaction_read_only = on")
        _ = try await connection.query("create role few login connection limit 0")

        var records: [LogRecord] = []
        let stranger = await Self.probe("user=stranger") { records.append($0) }
        for _ in 0..<2 {
            #expect(await Self.ask(stranger, port) == ProbeFindings(patroni: Self.noAPI, postgres: .answered))
        }
        #expect(records.map(\.kind) == [.memberUnasked, .probeRefused], "each is said once")
        // What this role, or this role here, may not do, others may.
        let few = await Self.probe("user=few") { records.append($0) }
        #expect(await Self.ask(few, port).postgres == .answered)
        #expect(records.last?.message.contains("too many connections for role") == true)
        for wish in ["user=nobody", "user=postgres target_session_attrs=standby"] {
            let findings = await Self.ask(Self.probe(wish), port)
            #expect(findings.postgres == .answered && findings.isPrimary == true, "\(wish): \(findings)")
        }
        _ = try await connection.query("alter system set default_transaction_read_only = on")
        _ = try await connection.query("select pg_reload_conf()")
        #expect(
            try await eventually(within: .seconds(20)) {
                await Self.ask(Self.probe(), port).postgres == .failed("transactions are read-only there")
            })

        // Those who are connected go on working; nobody else gets in.
        server.freeze()
        #expect(try await connection.query("select 1") == [["1"]])
        let frozen = await Self.ask(Self.probe(), port, .seconds(1)).postgres
        #expect(Self.isFailure(frozen), "\(frozen)")
        server.thaw()
    }

    @Test @EventLoop func `what cannot be asked has not failed, and is told once with what helps`() async throws {
        let ports = try freePorts(2)
        let server = try await LocalPostgres(port: ports[0])
        try await Self.accepting(server)
        var records: [LogRecord] = []
        func told() -> [String] {
            defer { records = [] }
            return records.map(\.message)
        }
        // No certificate is offered, and one is asked for; a file that is not there; no such name; no conn_url.
        for (conninfo, host) in [
            ("user=postgres sslmode=require", "127.0.0.1"),
            ("user=postgres sslmode=verify-full sslrootcert=/nowhere/root.crt", "127.0.0.1"),
            ("user=postgres", "no-such-name.invalid"), ("user=postgres", nil),
        ] as [(String, String?)] {
            let probe = await Self.probe(conninfo) { records.append($0) }
            for _ in 0..<2 {
                let findings = await probe.ask(
                    Self.id, api: nil, endpoint: host.map { NodeEndpoint($0, ports[0]) }, timeout: .seconds(20))
                // A machine without name servers cannot know that there is no such name.
                guard let postgres = findings?.postgres else { continue }
                #expect(Self.isUnasked(postgres), "\(conninfo), \(host ?? "nowhere"): \(postgres)")
            }
            let messages = told()
            #expect(messages.count { $0.hasPrefix("PostgreSQL of ") } <= 1 && messages.count <= 2, "\(messages)")
        }
        // A REST API behind a certificate that nobody here trusts; here etcd speaks for it.
        let http = HTTPClient()
        defer { http.close() }
        let https = try await LocalEtcd(certificates: TestCertificates(), http: http)
        let probe = await Self.probe { records.append($0) }
        for _ in 0..<2 {
            let patroni = await probe.ask(
                Self.id, api: "\(https.endpoints[0])/patroni", endpoint: NodeEndpoint("127.0.0.1", ports[0]),
                timeout: .seconds(20))?.patroni
            #expect(patroni.map(Self.isUnasked) == true, "\(String(describing: patroni))")
        }
        https.kill(0)
        let stopped = await probe.ask(
            Self.id, api: "\(https.endpoints[0])/patroni", endpoint: nil, timeout: .seconds(20))?.patroni
        #expect(stopped.map(Self.isFailure) == true, "nobody listens: \(String(describing: stopped))")
        let messages = told().filter { $0.hasPrefix("Patroni") }
        #expect(messages.count == 1 && messages.allSatisfy { $0.contains("patroni.ca_file") }, "\(messages)")
        server.kill()
    }

    private static func isFailure(_ outcome: ProbeOutcome) -> Bool { if case .failed = outcome { true } else { false } }
    private static func isUnasked(_ outcome: ProbeOutcome) -> Bool {
        if case .unasked = outcome { true } else { false }
    }

    private static let noAPI = ProbeOutcome.unasked("its key in etcd has no api_url that can be read")
}
