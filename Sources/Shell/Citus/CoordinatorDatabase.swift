// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import PostgresClient

/// One database of the local coordinator: a connection that is kept for reading and updating, and one for a held
/// transaction. The core asks for one thing at a time on each.
///
/// Every call ends by a timer of its own (``ConnectionUse``), with the connection that it uses.
@EventLoop
final class CoordinatorDatabase {
    let name: String
    private let conninfo: String
    private let nodes: NodeConnections
    let deliver: @EventLoop (CitusEvent) -> Void
    private let kept: KeptConnection
    var held: PostgresConnection?
    /// The one that is on its way to being held: it waits for its locks.
    var acquiring: PostgresConnection?
    /// What was asked to be held last, and the number of the wish: who has been let go meanwhile holds nothing.
    var wish = (group: -1, number: 0)
    /// The server's process that the update under way runs in.
    private var updatingPID: Int?

    /// For connecting, a lock, and a statement.
    nonisolated static let connectTimeout: Duration = .seconds(2)
    nonisolated static let lockTimeout: Duration = .seconds(2)
    nonisolated static let statementTimeout: Duration = .seconds(5)
    /// How long a call may be blocked before it is found out by whom.
    private static let patience: Duration = .milliseconds(500)
    /// Workers that are asked for their copy side by side; each takes a connection.
    nonisolated static let copiesAtOnce = 16
    /// For the rows: a connection that is prepared, and one query.
    nonisolated static let readLimit: Duration = .seconds(12)
    /// For a rollback.
    static let releaseLimit: Duration = .seconds(6)

    init(
        _ name: String, conninfo: String, nodes: NodeConnections, deliver: @escaping @EventLoop (CitusEvent) -> Void
    ) {
        self.name = name
        self.conninfo = conninfo
        self.nodes = nodes
        self.deliver = deliver
        self.kept = KeptConnection(
            open: { () async throws(PostgresError) in
                try await PostgresConnector(resolver: nodes.resolver).connect(
                    conninfo, database: name, timeout: Self.connectTimeout)
            },
            prepare: { connection throws(PostgresError) in
                try await Self.prepare(connection) {
                    deliver(.synchronized(name))
                } running: {
                    deliver(.versionsSeen(name, $0))
                }
            })
    }

    func stop() {
        self.kept.drop()
        self.held = nil
    }

    /// A connection for one call.
    func open() async throws(PostgresError) -> PostgresConnection {
        try await PostgresConnector(resolver: self.nodes.resolver).connect(
            self.conninfo, database: self.name, timeout: Self.connectTimeout)
    }

    /// Listens for Citus's word on synchronization, and says what runs there. A standby that is being promoted lets nobody listen; it
    /// can be read all the same.
    private static func prepare(
        _ connection: PostgresConnection, _ notified: @escaping @EventLoop () -> Void,
        running: @EventLoop (CitusVersions) -> Void
    ) async throws(PostgresError) -> Bool {
        let rows = try await connection.query(
            """
            select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('server_version'),
                (select extversion from pg_catalog.pg_extension where extname = 'citus')
            """, timeout: .seconds(2), byteLimit: CitusCatalog.valueLimit)
        guard let row = rows.first, row.count == 3 else { return false }
        if let postgres = row[1] {
            running(CitusVersions(citus: row[2], postgres: String(postgres.prefix { $0 != " " })))
        }
        guard row[0] == "f" else { return false }
        _ = try await connection.query("listen metadata_sync", timeout: .seconds(2))
        connection.whenNotified(notified)
        return true
    }

    /// Sees to it that there is a connection, in recovery too: when this server is promoted, it may have no other left, for the sessions
    /// that have piled up behind a dead node.
    func makeReady() async {
        await self.kept.use(
            // A failover's own question may wait behind it.
            for: .readiness, within: .seconds(1), busy: (), late: (), failed: { _ in }, { _ in })
    }

    func readRows(askedAt: Instant) async -> CitusEvent {
        let name = self.name
        return await self.kept.use(
            for: .rows, within: Self.readLimit, busy: .rowsUnread(name, reason: "an earlier question is still waiting"),
            late: .rowsUnread(name, reason: "no answer within \(Self.readLimit)"),
            failed: { .rowsUnread(name, reason: $0.reason) },
            { connection throws(CitusError) in
                .rowsRead(name, try await CitusCatalog(connection).nodes().map { NodeRow($0) }, askedAt: askedAt)
            })
    }

    func update(_ updates: [RowUpdate], askedAt: Instant) async -> CitusEvent {
        let (groups, update) = (updates.map(\.group), CitusUpdate(updates))
        let ended = await self.kept.use(
            for: .update, within: update.limit, busy: Ended(failed: "an earlier update is still waiting"),
            late: Ended(late: update.limit), failed: { Ended($0) },
            { connection throws(CitusError) in
                self.updatingPID = connection.backendPID
                let watch = self.watchBlockers(of: connection, groups)
                defer {
                    watch.cancel()
                    self.updatingPID = nil
                }
                return Ended(
                    try await CitusCatalog(connection).apply(update) { group in
                        self.deliver(.updateUnforced(self.name, groups: [group]))
                    })
            })
        return ended.event(self.name, groups, askedAt)
    }

    /// What came of an update, and the group because of which nothing was changed, if it is one.
    struct Ended: Sendable {
        var outcome: UpdateOutcome
        var cause: Int?

        init(failed reason: String) { self.outcome = .failed(reason: reason) }

        /// The connection was ended: whether it was committed is not known.
        init(late limit: Duration) {
            self.outcome = .unknown(reason: "no answer within \(limit): the connection was ended")
        }

        init(_ outcome: CitusUpdateOutcome) { (self.outcome, self.cause) = (UpdateOutcome(outcome), outcome.cause) }

        init(_ error: CitusError) { (self.outcome, self.cause) = (UpdateOutcome(error), error.cause) }

        func event(_ name: String, _ groups: [Int], _ askedAt: Instant) -> CitusEvent {
            .updateEnded(name, groups: groups, self.outcome, causedBy: self.cause, askedAt: askedAt)
        }
    }

    /// Tells which sessions an update waits for: once, and again when Citus's synchronization comes among them.
    private func watchBlockers(of connection: PostgresConnection, _ groups: [Int]) -> Task<Void, Never> {
        let pid = connection.backendPID
        return EventLoop.spawn {
            var news = BlockingNews()
            do {
                for _ in 0..<20 where !news.isOver {
                    try await EventLoop.sleep(for: Self.patience)
                    let other = try await self.open()
                    let sessions = try await CitusCatalog(other).blockers(of: pid).map { BlockingSession($0) }
                    guard !Task.isCancelled, news.learn(sessions) else { continue }
                    self.deliver(.updateBlocked(self.name, groups: groups, sessions))
                }
            } catch {
                // The update has ended, or ends with its own reason.
            }
        }
    }

    /// Ends Citus's own worker where the update that is under way waits for it.
    func interruptSynchronization() async -> CitusEvent {
        let name = self.name
        guard let pid = self.updatingPID else { return .synchronizationInterrupted(name, count: 0, problem: nil) }
        let late = CitusEvent.synchronizationInterrupted(name, count: 0, problem: "no answer within \(Self.readLimit)")
        return await ConnectionUse.run(within: Self.readLimit, late: late) { use in
            do {
                let connection = try await self.open()
                try use.begin(connection)
                let count = try await CitusCatalog(connection).interruptSynchronization(blocking: pid)
                return .synchronizationInterrupted(name, count: count, problem: nil)
            } catch {
                let reason =
                    (error as? CitusError)?.reason ?? (error as? PostgresError)?.message.firstLine ?? "\(error)"
                return .synchronizationInterrupted(name, count: 0, problem: reason)
            }
        }
    }

    // MARK: - The settings

    func lookAtSettings(askedAt: Instant) async -> CitusEvent {
        let name = self.name
        let late = ServerSettings(problem: "no answer within \(Self.readLimit)")
        let seen = await ConnectionUse.run(within: Self.readLimit, late: late) { use in
            var seen = ServerSettings()
            do {
                let connection = try await self.open()
                try use.begin(connection)
                let catalog = CitusCatalog(connection)
                let shown = try await catalog.settings(SettingRule.names)
                (seen.values, seen.hidden) = (shown.values, shown.hidden)
                seen.room = ServerRoom(try await catalog.room())
            } catch {
                seen.problem = ClusterVerifier.reason(error)
            }
            return seen
        }
        return .settingsSeen(name, seen, askedAt: askedAt)
    }

    // MARK: - The copies

    func compareCopies(_ endpoints: [NodeEndpoint], askedAt: Instant) async -> CitusEvent {
        let own: String
        do {
            own = try await CitusCatalog(self.open()).digest()
        } catch {
            let reason = (error as? CitusError)?.reason ?? "\(error)"
            return .copiesCompared(
                self.name, endpoints.map { CopyFinding($0, .unreadable(reason: reason)) }, askedAt: askedAt)
        }
        let findings = await inBatches(endpoints, of: Self.copiesAtOnce) { await self.compare($0, with: own) }
        return .copiesCompared(self.name, findings, askedAt: askedAt)
    }

    private func compare(_ endpoint: NodeEndpoint, with own: String) async -> CopyFinding {
        do {
            let connection = try await self.nodes.connect(endpoint, database: self.name, timeout: .seconds(2))
            let digest = try await CitusCatalog(connection).digest()
            return CopyFinding(endpoint, digest == own ? .same : .different)
        } catch {
            let reason = (error as? CitusError)?.reason ?? (error as? PostgresError)?.message.firstLine ?? "\(error)"
            return CopyFinding(endpoint, .unreadable(reason: reason))
        }
    }
}
