// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import PostgresClient

/// One database of the local coordinator: a connection that is kept for reading and updating, and one for a held
/// transaction. The core asks for one thing at a time on each.
@EventLoop
final class CoordinatorDatabase {
    private let name: String
    private let conninfo: String
    private let nodes: NodeConnections
    private let deliver: @EventLoop (CitusEvent) -> Void
    private var connection: PostgresConnection?
    /// What uses it at present, or did so last.
    private var last: Task<CitusEvent, Never>?
    private var held: PostgresConnection?

    /// For connecting, a lock, and a statement.
    nonisolated static let connectTimeout: Duration = .seconds(2)
    nonisolated static let lockTimeout: Duration = .seconds(2)
    nonisolated static let statementTimeout: Duration = .seconds(5)
    /// How long a call may be blocked before it is found out by whom.
    private static let patience: Duration = .milliseconds(500)
    /// Workers that are asked for their copy side by side; each takes a connection.
    nonisolated static let copiesAtOnce = 16

    init(
        _ name: String, conninfo: String, nodes: NodeConnections, deliver: @escaping @EventLoop (CitusEvent) -> Void
    ) {
        self.name = name
        self.conninfo = conninfo
        self.nodes = nodes
        self.deliver = deliver
    }

    func stop() { (self.connection, self.held) = (nil, nil) }

    private func open() async throws(PostgresError) -> PostgresConnection {
        try await PostgresConnection(
            self.conninfo, overriding: [(keyword: "dbname", value: self.name)], timeout: Self.connectTimeout)
    }

    /// The kept connection, or a new one that listens for Citus's word on synchronization.
    private func connect() async throws(PostgresError) -> PostgresConnection {
        if let connection = self.connection, connection.isUsable { return connection }
        let connection = try await self.open()
        // A standby that is being promoted lets nobody listen; it can be read all the same.
        let isPrimary = try await connection.query("select not pg_is_in_recovery()", timeout: .seconds(2)) == [["t"]]
        guard isPrimary else { return connection }
        _ = try await connection.query("listen metadata_sync", timeout: .seconds(2))
        connection.whenNotified { [unowned self] in self.deliver(.synchronized(self.name)) }
        self.connection = connection
        return connection
    }

    /// What uses the kept connection goes one after the other: it takes one query at a time.
    private func inTurn(_ body: @escaping @EventLoop () async -> CitusEvent) async -> CitusEvent {
        let before = self.last
        let task = EventLoop.task { () -> CitusEvent in
            _ = await before?.value
            return await body()
        }
        self.last = task
        return await task.value
    }

    func readRows(askedAt: Instant) async -> CitusEvent {
        await self.inTurn { await self.readRowsNow(askedAt: askedAt) }
    }

    private func readRowsNow(askedAt: Instant) async -> CitusEvent {
        do throws(CitusError) {
            let connection = try await self.connecting()
            let rows = try await CitusCatalog(connection).nodes().map { NodeRow($0) }
            return .rowsRead(self.name, rows, askedAt: askedAt)
        } catch {
            return .rowsUnread(self.name, reason: error.reason)
        }
    }

    private func connecting() async throws(CitusError) -> PostgresConnection {
        do throws(PostgresError) { return try await self.connect() } catch { throw .database(error) }
    }

    func update(_ update: RowUpdate) async -> CitusEvent {
        await self.inTurn { await self.updateNow(update) }
    }

    private func updateNow(_ update: RowUpdate) async -> CitusEvent {
        do throws(CitusError) {
            let connection = try await self.connecting()
            let watch = self.watchBlockers(of: connection, update.group)
            defer { watch.cancel() }
            let outcome = try await CitusCatalog(connection).apply(CitusUpdate(update))
            return .updateEnded(self.name, group: update.group, UpdateOutcome(outcome))
        } catch {
            return .updateEnded(self.name, group: update.group, UpdateOutcome(error))
        }
    }

    /// Tells, once, which sessions an update waits for.
    private func watchBlockers(of connection: PostgresConnection, _ group: Int) -> Task<Void, Never> {
        let pid = connection.backendPID
        return EventLoop.spawn {
            do {
                for _ in 0..<20 {
                    try await EventLoop.sleep(for: Self.patience)
                    let other = try await self.open()
                    let sessions = try await CitusCatalog(other).blockers(of: pid)
                    guard !sessions.isEmpty, !Task.isCancelled else { continue }
                    return self.deliver(
                        .updateBlocked(self.name, group: group, sessions.map { BlockingSession($0) }))
                }
            } catch {
                // The update has ended, or ends with its own reason.
            }
        }
    }

    // MARK: - A held transaction

    func hold(_ group: Int, _ nodeID: Int, _ authority: GroupAuthority, limit: Duration) async -> CitusEvent {
        self.held = nil
        // Others wait behind a wish for a lock: where it is not granted soon, they had better not.
        let update = CitusUpdate(
            group: group, steps: [], etcdCluster: authority.clusterID, revision: authority.revision,
            lockTimeout: Self.lockTimeout, statementTimeout: Self.statementTimeout)
        do throws(CitusError) {
            let connection: PostgresConnection
            do throws(PostgresError) { connection = try await self.open() } catch { throw .database(error) }
            if let refusal = try await CitusCatalog(connection).hold(update, nodeID: nodeID, limit: limit) {
                return .holdEnded(self.name, group: group, reason: UpdateOutcome(.refused(refusal)).reason)
            }
            self.held = connection
            connection.whenEnded { [unowned self] in
                self.held = nil
                self.deliver(.holdEnded(self.name, group: group, reason: "the server ended the transaction"))
            }
            return .held(self.name, group: group)
        } catch {
            return .holdEnded(self.name, group: group, reason: error.reason)
        }
    }

    func commitHold(_ update: RowUpdate) async -> CitusEvent {
        guard let connection = self.held else {
            return .updateEnded(self.name, group: update.group, .failed(reason: "the held transaction has ended"))
        }
        // Whatever comes of it: nothing is held after that.
        self.held = nil
        do throws(CitusError) {
            let outcome = try await CitusCatalog(connection).commitHeld(CitusUpdate(update))
            return .updateEnded(self.name, group: update.group, UpdateOutcome(outcome))
        } catch {
            return .updateEnded(self.name, group: update.group, UpdateOutcome(error))
        }
    }

    func releaseHold(_ group: Int) async -> CitusEvent {
        if let connection = self.held.take() { await CitusCatalog(connection).releaseHeld() }
        return .holdEnded(self.name, group: group, reason: "released")
    }

    // MARK: - The copies

    func compareCopies(_ endpoints: [NodeEndpoint]) async -> CitusEvent {
        let own: String
        do {
            own = try await CitusCatalog(self.open()).digest()
        } catch {
            let reason = (error as? CitusError)?.reason ?? "\(error)"
            return .copiesCompared(self.name, endpoints.map { CopyFinding($0, .unreadable(reason: reason)) })
        }
        var findings: [CopyFinding] = []
        for begin in stride(from: 0, to: endpoints.count, by: Self.copiesAtOnce) {
            let tasks = endpoints[begin...].prefix(Self.copiesAtOnce).map { endpoint in
                EventLoop.task { await self.compare(endpoint, with: own) }
            }
            for task in tasks { findings.append(await task.value) }
        }
        return .copiesCompared(self.name, findings)
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

// MARK: - The core's terms and the catalog's

extension NodeRow {
    init(_ node: CitusNode) {
        let role: Role =
            switch node.role {
            case .primary: .primary
            case .secondary: .secondary
            case .unavailable: .unavailable
            }
        self.init(
            id: node.id, group: node.group, endpoint: NodeEndpoint(node.host, node.port), role: role,
            isActive: node.isActive, hasMetadata: node.hasMetadata, isSynchronized: node.isSynchronized,
            pool: node.pool)
    }
}

extension CitusUpdate {
    init(_ update: RowUpdate) {
        self.init(
            group: update.group, steps: update.changes.map { Step($0) }, etcdCluster: update.authority.clusterID,
            revision: update.authority.revision, rebuiltFrom: update.authority.rebuiltFrom)
        if case .terminate(let cooldown) = update.blockers {
            self.blockers = .terminate(after: cooldown)
            self.lockTimeout = cooldown + CoordinatorDatabase.statementTimeout
            self.statementTimeout = self.lockTimeout + .seconds(1)
        } else {
            self.lockTimeout = CoordinatorDatabase.lockTimeout
            self.statementTimeout = CoordinatorDatabase.statementTimeout
        }
    }
}

extension CitusUpdate.Step {
    init(_ change: RowChange) {
        self =
            switch change {
            case .move(let id, let endpoint): .move(nodeID: id, host: endpoint.host, port: endpoint.port)
            case .pool(let id, let text): .pool(nodeID: id, text)
            case .add(let endpoint, let group): .add(host: endpoint.host, port: endpoint.port, group: group)
            case .addSecondary(let endpoint, let primary):
                .addSecondary(
                    host: endpoint.host, port: endpoint.port, primaryHost: primary.host, primaryPort: primary.port)
            case .removeSecondary(let endpoint): .remove(host: endpoint.host, port: endpoint.port)
            }
    }
}

extension UpdateOutcome {
    init(_ outcome: CitusUpdateOutcome) {
        self =
            switch outcome {
            case .applied: .applied
            case .refused(.inRecovery): .inRecovery
            case .refused(.notCoordinator(let group)): .notCoordinator(group: group)
            case .refused(.olderRevision(let applied)): .olderRevision(applied: applied)
            case .refused(.supersededCluster(let other)): .supersededCluster(by: other)
            }
    }

    init(_ error: CitusError) {
        switch error {
        case .outcomeUnknown(let cause): self = .unknown(reason: cause.message.firstLine)
        case .malformed(let reason): self = .failed(reason: reason)
        case .database(let cause):
            // lock_not_available, query_canceled by statement_timeout: somebody held what was needed.
            let isBlocked = cause.sqlState == "55P03" || cause.sqlState == "57014"
            let reason = cause.message.firstLine
            self = isBlocked ? .blocked(reason: reason) : .failed(reason: reason)
        }
    }
}

extension CitusError {
    var reason: String {
        switch self {
        case .database(let error), .outcomeUnknown(let error): error.message.firstLine
        case .malformed(let text): text.firstLine
        }
    }
}

extension BlockingSession {
    init(_ blocker: CitusBlocker) {
        self.init(
            pid: blocker.pid, user: blocker.user, application: blocker.application, state: blocker.state,
            age: blocker.age)
    }
}
