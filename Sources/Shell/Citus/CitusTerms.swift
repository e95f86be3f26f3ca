// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import PostgresClient

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
            isOfDefaultCluster: node.cluster == "default", isActive: node.isActive, hasMetadata: node.hasMetadata,
            isSynchronized: node.isSynchronized,
            pool: node.pool, isClone: node.isClone)
    }
}

extension ServerRoom {
    init(_ room: CitusRoom) {
        let reserve = room.isSuperuser ? nil : room.reservedConnections
        self.init(
            workers: room.workers, workersInUse: room.workersInUse,
            reserve: reserve.map { Reserve(connections: $0, isMember: room.isReserveMember) })
        self.isSuperuser = room.isSuperuser
    }
}

extension CitusUpdate {
    /// - Parameter updates: at least one; all are of one etcd cluster.
    init(_ updates: [RowUpdate]) {
        self.init(updates.map { Part($0) }, etcdCluster: updates.first?.authority.clusterID ?? 0)
        self.lockTimeout = CoordinatorDatabase.lockTimeout
        self.statementTimeout = CoordinatorDatabase.statementTimeout
        for case .terminate(let cooldown) in updates.map(\.blockers) {
            self.lockTimeout = max(self.lockTimeout, cooldown + CoordinatorDatabase.statementTimeout)
            self.statementTimeout = self.lockTimeout + .seconds(1)
        }
    }
}

extension CitusUpdate.Part {
    init(_ update: RowUpdate) {
        self.init(
            group: update.group, steps: update.changes.map { CitusUpdate.Step($0) },
            revision: update.authority.revision,
            rebuiltFrom: update.authority.rebuiltFrom, blockers: CitusUpdate.Blockers(update.blockers))
    }
}

extension CitusUpdate.Blockers {
    init(_ blockers: RowUpdate.Blockers) {
        switch blockers {
        case .wait: self = .wait
        case .terminate(let cooldown): self = .terminate(after: cooldown)
        }
    }
}

extension CitusUpdate.Step {
    init(_ change: RowChange) {
        self =
            switch change {
            case .move(let id, let from, let endpoint):
                .move(
                    nodeID: id, host: endpoint.host, port: endpoint.port,
                    from: CitusUpdate.Place(host: from.host, port: from.port))
            case .pool(let id, let text): .pool(nodeID: id, text)
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
            case .refused(.olderRevision(_, let applied)): .olderRevision(applied: applied)
            case .refused(.supersededCluster(_, let other)): .supersededCluster(by: other)
            case .refused(.rowChanged): .rowChanged
            }
    }

    init(_ error: CitusError) {
        switch error {
        case .outcomeUnknown(let cause): self = .unknown(reason: cause.message.firstLine)
        case .malformed(let reason): self = .failed(reason: reason)
        case .database(let cause), .change(_, let cause):
            // lock_not_available, query_canceled by statement_timeout: somebody held what was needed.
            let isBlocked = cause.sqlState == "55P03" || cause.sqlState == "57014"
            let reason = cause.message.firstLine
            self = isBlocked ? .blocked(reason: reason) : .failed(reason: reason)
        }
    }
}

extension CitusUpdateOutcome {
    /// The group because of which nothing was changed, if it is one.
    var cause: Int? {
        switch self {
        case .refused(.olderRevision(let group, _)), .refused(.supersededCluster(let group, _)),
            .refused(.rowChanged(let group)):
            group
        case .applied, .refused(.inRecovery), .refused(.notCoordinator): nil
        }
    }
}

extension CitusError {
    var reason: String {
        switch self {
        case .database(let error), .change(_, let error), .outcomeUnknown(let error): error.message.firstLine
        case .malformed(let text): text.firstLine
        }
    }

    /// The group because of which nothing was changed, if it is one.
    var cause: Int? {
        switch self {
        case .change(let group, _): group
        case .database, .malformed, .outcomeUnknown: nil
        }
    }
}

extension BlockingSession {
    init(_ blocker: CitusBlocker) {
        self.init(
            pid: blocker.pid, user: blocker.user, application: blocker.application, state: blocker.state,
            age: blocker.age, isSynchronization: blocker.application == CitusCatalog.synchronizationWorker)
    }
}
