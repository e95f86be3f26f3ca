// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import HTTPClient
import Journal
import PatroniClient
import PostgresClient

/// Asks one member's Patroni and PostgreSQL whether they work, both at once.
///
/// Every probe connects anew: a kept connection would go on working where nobody else gets one any more.
@EventLoop
final class MemberProbe {
    private let http: HTTPClient
    private let tls: TLSFiles?
    private let nodes: NodeConnections
    private let report: @EventLoop (LogRecord) -> Void
    private var complaints = Complaints<String>()

    /// Whether it accepts writes, how far its write-ahead log is, and, on a primary, a write: one record in the log that nobody
    /// reads, flushed to this server's disk, which is what is being tested, and not waited for on any standby.
    private static let question = """
        select pg_is_in_recovery(), current_setting('transaction_read_only'),
               pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, '0/0'),
               case when not pg_is_in_recovery() then
                 (set_config('synchronous_commit', 'local', true) || pg_logical_emit_message(true, 'pharos', 'probe')) end
        """

    /// Bytes of PostgreSQL's answer: 128 members may be asked at once, and each of them may be anybody.
    nonisolated static let answerLimit = 64 << 10

    init(
        http: HTTPClient, tls: TLSFiles?, nodes: NodeConnections, report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.http = http
        self.tls = tls
        self.nodes = nodes
        self.report = report
    }

    /// Nil: it could not be asked, because a name could not be looked up. That says nothing of the member.
    func ask(_ id: MemberID, api: String?, endpoint: NodeEndpoint?, timeout: Duration) async -> ProbeFindings? {
        for name in [api.flatMap { HTTPRequest(.get, $0).nameToResolve?.name }, endpoint?.host] {
            guard let name, case .unanswered = await self.nodes.resolver.addresses(of: name, within: timeout) else {
                continue
            }
            return nil
        }
        let patroni = EventLoop.task { await self.askPatroni(api, timeout) }
        var findings = await self.askPostgres(id, endpoint, timeout)
        findings.patroni = await patroni.value
        return findings
    }

    /// Answers what is wrong; nil: nothing. No credentials are sent: the address comes from etcd.
    private func askPatroni(_ api: String?, _ timeout: Duration) async -> String? {
        guard let api else { return "etcd does not say where its REST API is" }
        let client = PatroniClient(api, tls: self.tls, http: self.http)
        do throws(PatroniError) {
            return try await client.isAlive(timeout: timeout) ? nil : "Patroni's loop does not turn"
        } catch {
            return error.message.firstLine
        }
    }

    private func askPostgres(_ id: MemberID, _ endpoint: NodeEndpoint?, _ timeout: Duration) async -> ProbeFindings {
        guard let endpoint else {
            return ProbeFindings(patroni: nil, postgres: "etcd does not say where its PostgreSQL is")
        }
        let start = Instant.now
        do throws(PostgresError) {
            let connection = try await self.nodes.connect(endpoint, timeout: timeout)
            let rest = max(timeout - (Instant.now - start), .milliseconds(1))
            let row =
                try await connection.query(
                    Self.question, timeout: rest, rowLimit: 1, byteLimit: Self.answerLimit
                ).first ?? []
            self.complaints.succeeded("\(id)")
            return Self.findings(row)
        } catch {
            let reason = error.message.firstLine
            // A server that turns this role away works, as far as it can be seen.
            guard Self.isRefusal(error) else {
                // too_many_connections
                return ProbeFindings(patroni: nil, postgres: reason, isOutOfConnections: error.sqlState == "53300")
            }
            self.complain(id, endpoint, reason, error.sqlState)
            return ProbeFindings(patroni: nil, postgres: nil)
        }
    }

    nonisolated static func findings(_ row: [String?]) -> ProbeFindings {
        guard row.count == 4, let isInRecovery = row[0] else {
            return ProbeFindings(patroni: nil, postgres: "an unexpected answer")
        }
        let position = (row[2]).flatMap { Int64($0) }
        guard isInRecovery == "f" else {
            return ProbeFindings(patroni: nil, postgres: nil, isPrimary: false, position: position)
        }
        let isReadOnly = row[1] == "on"
        return ProbeFindings(
            patroni: nil, postgres: isReadOnly ? "transactions are read-only there" : nil, isPrimary: true,
            position: position)
    }

    /// SQLSTATE classes 28 (role, password, pg_hba), 3D (database) and 42 (rights).
    nonisolated static func isRefusal(_ error: PostgresError) -> Bool {
        if error.kind == .authentication { return true }
        return error.sqlState.map { state in ["28", "3D", "42"].contains { state.hasPrefix($0) } } ?? false
    }

    private func complain(_ id: MemberID, _ endpoint: NodeEndpoint, _ reason: String, _ state: String?) {
        guard self.complaints.failed("\(id)", state ?? "authentication") else { return }
        self.report(
            LogRecord(
                .probeRefused,
                "PostgreSQL of \(id) at \(endpoint) does not let this daemon ask it: \(reason). It counts as alive, because it answers",
                ["MEMBER": id.name, "GROUP": "\(id.group)", "ENDPOINT": "\(endpoint)", "REASON": reason]))
    }
}
