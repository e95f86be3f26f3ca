// SPDX-License-Identifier: Apache-2.0

/// Changes of some groups' rows, in one transaction, each group's on the authority of its leader key.
public struct CitusUpdate: Sendable, Equatable {
    /// One statement.
    public enum Step: Sendable, Equatable {
        /// `citus_update_node`, where the row names the place `from` as the statement begins; nil: wherever it is. (What
        /// is committed while it waits for its locks, it overwrites.)
        case move(nodeID: Int, host: String, port: Int, from: Place? = nil)
        /// The node's row in `pg_dist_poolinfo`.
        case pool(nodeID: Int, String)
        /// `citus_add_secondary_node`, through ``CitusCatalog/secondaryFunctions``.
        case addSecondary(host: String, port: Int, primaryHost: String, primaryPort: Int)
        /// `citus_remove_node`, of a secondary.
        case remove(host: String, port: Int)
    }

    /// What a row names.
    public struct Place: Sendable, Equatable {
        public var host: String
        public var port: Int

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    /// What is done about sessions whose locks stand in the way.
    public enum Blockers: Sendable, Equatable {
        /// They are waited for, within the limits.
        case wait
        /// Citus terminates them after the cooldown.
        case terminate(after: Duration)
    }

    /// What is changed of one group.
    public struct Part: Sendable, Equatable {
        public var group: Int
        public var steps: [Step]
        /// The revision at which the leader key was written last.
        public var revision: Int64
        /// The revision in the fence that is passed although it is newer: etcd is known to have been rebuilt under the same id.
        public var rebuiltFrom: Int64?
        public var blockers: Blockers

        public init(
            group: Int, steps: [Step], revision: Int64, rebuiltFrom: Int64? = nil, blockers: Blockers = .wait
        ) {
            self.group = group
            self.steps = steps
            self.revision = revision
            self.rebuiltFrom = rebuiltFrom
            self.blockers = blockers
        }
    }

    public var parts: [Part]
    /// The id of the etcd cluster that the leader keys were read from.
    public var etcdCluster: UInt64
    /// For how long one lock is waited for, and one call may take.
    public var lockTimeout: Duration
    public var statementTimeout: Duration

    /// How long all of it may take, a connection included: then it has been abandoned. What the server is about to do by then ends within
    /// ``statementTimeout``.
    public var limit: Duration {
        .seconds(20) + (self.statementTimeout + .seconds(2)) * self.parts.reduce(0) { $0 + $1.steps.count }
    }

    public init(
        _ parts: [Part], etcdCluster: UInt64, lockTimeout: Duration = .seconds(5),
        statementTimeout: Duration = .seconds(10)
    ) {
        self.parts = parts
        self.etcdCluster = etcdCluster
        self.lockTimeout = lockTimeout
        self.statementTimeout = statementTimeout
    }
}

/// How an update ended that the database understood.
public enum CitusUpdateOutcome: Sendable, Equatable {
    case applied
    case refused(Refusal)

    /// Why nothing was changed.
    public enum Refusal: Sendable, Equatable {
        /// This database belongs to group `group`, not to the coordinator's.
        case notCoordinator(group: Int)
        /// This server is a standby.
        case inRecovery
        /// A later change of this group's leader has been applied already.
        case olderRevision(group: Int, applied: Int64)
        /// The etcd cluster has been replaced by another: what it says of this group is the past.
        case supersededCluster(group: Int, by: UInt64)
        /// A row of this group does not name the place any more that it named when it was read.
        case rowChanged(group: Int)
    }
}
