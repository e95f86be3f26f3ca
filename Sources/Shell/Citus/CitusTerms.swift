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
