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
    /// reads, flushed to this server's disk, which is what is being tested, and not waited for on any standby. Transactions may be
    /// read-only for this role or database alone (`alter role … set`), which says nothing of the server; the record is written then, too.
    private static let question = """
        select pg_is_in_recovery(),
               case when pg_is_in_recovery() or current_setting('transaction_read_only') = 'off' then 'off'
                    else (select source not in ('user', 'database', 'database user', 'client')
                            from pg_settings where name = 'default_transaction_read_only')::text end,
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

    /// Nil: it could not be asked, because name servers do not answer: trouble of this node's own.
    func ask(_ id: MemberID, api: String?, endpoint: NodeEndpoint?, timeout: Duration) async -> ProbeFindings? {
        let name = api.flatMap { HTTPRequest(.get, $0).nameToResolve?.name }
        var unknown: Set<String> = []
        for host in [name, endpoint?.host] {
            guard let host else { continue }
            switch await self.nodes.resolver.addresses(of: host, within: timeout) {
            case .addresses: continue
            case .unknown: unknown.insert(host)
            case .unanswered: return nil
            }
        }
        let patroni = EventLoop.task { [unknown] in
            guard let name, unknown.contains(name) else { return await self.askPatroni(id, api, timeout) }
            return self.unasked(.patroni, of: id, at: api, "the name \(name) has no address", .name)
        }
        var findings: ProbeFindings
        if let host = endpoint?.host, unknown.contains(host) {
            let outcome = self.unasked(
                .postgres, of: id, at: endpoint?.description, "the name \(host) has no address", .name)
            findings = ProbeFindings(patroni: .answered, postgres: outcome)
        } else {
            findings = await self.askPostgres(id, endpoint, timeout)
        }
        findings.patroni = await patroni.value
        return findings
    }

    /// No credentials are sent: the address comes from etcd.
    private func askPatroni(_ id: MemberID, _ api: String?, _ timeout: Duration) async -> ProbeOutcome {
        guard let api else {
            return self.unasked(.patroni, of: id, at: nil, "its key in etcd has no api_url that can be read", .key)
        }
        let client = PatroniClient(api, tls: self.tls, http: self.http)
        do throws(PatroniError) {
            let isAlive = try await client.isAlive(timeout: timeout)
            self.complaints.succeeded("\(id) \(DetectorAspect.patroni)")
            return isAlive ? .answered : .failed("Patroni's loop does not turn")
        } catch {
            switch error.kind {
            // Something answers there, and the two sides do not agree: on certificates, or on who may ask.
            case .tls, .status(401), .status(403):
                return self.unasked(.patroni, of: id, at: api, error.message.firstLine, .certificate)
            // Others' answers were in the way.
            case .crowded: return .unasked(error.message.firstLine)
            case .unreachable, .timeout, .malformed, .status, .cancelled: return .failed(error.message.firstLine)
            }
        }
    }

    private func askPostgres(_ id: MemberID, _ endpoint: NodeEndpoint?, _ timeout: Duration) async -> ProbeFindings {
        guard let endpoint else {
            let outcome = self.unasked(
                .postgres, of: id, at: nil, "its key in etcd has no conn_url that can be read", .key)
            return ProbeFindings(patroni: .answered, postgres: outcome)
        }
        let start = Instant.now
        do throws(PostgresError) {
            let connection = try await self.nodes.connect(endpoint, timeout: timeout)
            let rest = max(timeout - (Instant.now - start), .milliseconds(1))
            let row =
                try await connection.query(
                    Self.question, timeout: rest, rowLimit: 1, byteLimit: Self.answerLimit
                ).first ?? []
            self.complaints.succeeded("\(id) \(DetectorAspect.postgres)")
            return Self.findings(row)
        } catch {
            let reason = error.message.firstLine
            // A server that turns this role away works, as far as it can be seen.
            if error.kind == .notAsked {
                let isShort = ["could not create socket", "Too many open files", "Cannot assign requested"].contains {
                    reason.contains($0)
                }
                let outcome = self.unasked(
                    .postgres, of: id, at: "\(endpoint)", reason, isShort ? .shortage : .certificate)
                return ProbeFindings(patroni: .answered, postgres: outcome)
            }
            guard Self.isRefusal(error) else {
                // too_many_connections
                return ProbeFindings(
                    patroni: .answered, postgres: .failed(reason), isOutOfConnections: error.sqlState == "53300")
            }
            self.complain(id, endpoint, reason, error.sqlState)
            return ProbeFindings(patroni: .answered, postgres: .answered)
        }
    }

    nonisolated static func findings(_ row: [String?]) -> ProbeFindings {
        guard row.count == 4, let isInRecovery = row[0] else {
            return ProbeFindings(patroni: .answered, postgres: .failed("an unexpected answer"))
        }
        let position = (row[2]).flatMap { Int64($0) }
        guard isInRecovery == "f" else {
            return ProbeFindings(patroni: .answered, postgres: .answered, isPrimary: false, position: position)
        }
        let isReadOnly = row[1] == "true"
        return ProbeFindings(
            patroni: .answered, postgres: isReadOnly ? .failed("transactions are read-only there") : .answered,
            isPrimary: true,
            position: position)
    }

    /// SQLSTATE classes 28 (role, password, pg_hba), 3D (database) and 42 (rights); and a limit of the role's own.
    nonisolated static func isRefusal(_ error: PostgresError) -> Bool {
        if error.kind == .authentication || error.isLimitOfRole { return true }
        return error.sqlState.map { state in ["28", "3D", "42"].contains { state.hasPrefix($0) } } ?? false
    }

    private func complain(_ id: MemberID, _ endpoint: NodeEndpoint, _ reason: String, _ state: String?) {
        guard self.complaints.failed("\(id) \(DetectorAspect.postgres)", state ?? "authentication") else { return }
        self.report(
            LogRecord(
                .probeRefused,
                "PostgreSQL of \(id) at \(endpoint) does not let this daemon ask it: \(reason). It counts as alive, because it answers",
                ["MEMBER": id.name, "GROUP": "\(id.group)", "ENDPOINT": "\(endpoint)", "REASON": reason]))
    }

    /// Where the reason is to be sought that a member could not be asked.
    private enum Cause: String { case key, name, certificate, shortage }

    /// Says once that a member cannot be asked from here, and why.
    private func unasked(
        _ aspect: DetectorAspect, of id: MemberID, at place: String?, _ reason: String, _ cause: Cause
    ) -> ProbeOutcome {
        if self.complaints.failed("\(id) \(aspect)", cause.rawValue) {
            self.report(.memberUnasked(id, aspect, at: place, reason, remedy: Self.remedy(for: cause, aspect, id)))
        }
        return .unasked(reason)
    }

    private static func remedy(for cause: Cause, _ aspect: DetectorAspect, _ id: MemberID) -> String {
        switch (cause, aspect) {
        case (.key, .patroni): "On \(id.name), give restapi.connect_address in Patroni's file one host and one port"
        case (.key, .postgres): "On \(id.name), give postgresql.connect_address in Patroni's file one host and one port"
        case (.name, _): "Let this node's name servers or /etc/hosts know the name"
        case (.certificate, .patroni):
            "Name the authority of its certificate with patroni.ca_file in pharos.yml of this node; where Patroni asks for one, this node's certificate with patroni.cert_file and patroni.key_file"
        case (.shortage, _):
            "This node has nothing left to connect with: LimitNOFILE= and RestrictAddressFamilies= of the unit (systemctl cat pharos), and ports (ss -s)"
        case (.certificate, .postgres):
            "Look at sslmode, sslrootcert, sslcert, sslkey, channel_binding and require_auth of detector.node_conninfo (else citus.node_conninfo) in pharos.yml of this node"
        }
    }
}
