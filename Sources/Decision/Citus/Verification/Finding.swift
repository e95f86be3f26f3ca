// SPDX-License-Identifier: Apache-2.0

/// Something that is not as it should be.
public struct Finding: Hashable, Sendable {
    public enum Severity: Int, Hashable, Sendable, Comparable {
        case note, warning, critical
        public static func < (a: Severity, b: Severity) -> Bool { a.rawValue < b.rawValue }
    }

    /// Stable: scripts may rely on the names.
    public enum Code: String, Hashable, Sendable, CaseIterable {
        case coordinatorUnreachable = "coordinator-unreachable"
        case etcdUnreadable = "etcd-unreadable"
        case secondCoordinator = "second-coordinator"
        case secondPrimary = "second-primary"
        case rowUnreachable = "row-unreachable"
        case rowUnverified = "row-unverified"
        case rowInRecovery = "row-in-recovery"
        case extensionMissing = "extension-missing"
        case notLookedAt = "not-looked-at"
        case versionsDiffer = "versions-differ"
        case versionUntested = "version-untested"
        case rowNotLeader = "row-not-leader"
        case secondaryIsPrimary = "secondary-is-primary"
        case groupWithoutPrimary = "group-without-primary"
        case twoPrimaries = "two-primaries"
        case localGroupWrong = "local-group-wrong"
        case noMetadata = "no-metadata"
        case notSynchronized = "not-synchronized"
        case inactive = "inactive"
        case nodesDiffer = "nodes-differ"
        case placementsDiffer = "placements-differ"
        case shardsDiffer = "shards-differ"
        case tablesDiffer = "tables-differ"
        case colocationsDiffer = "colocations-differ"
        case objectsDiffer = "objects-differ"
        case schemasDiffer = "schemas-differ"
        case shardMissing = "shard-missing"
        case shardLeftovers = "shard-leftovers"
        case copiesOfShardDiffer = "copies-of-shard-differ"
        case shardsOutOfReach = "shards-out-of-reach"
        case placementsOrphaned = "placements-orphaned"
        case placementsInactive = "placements-inactive"
        case shardsOrphaned = "shards-orphaned"
        case cleanupPending = "cleanup-pending"
        case tasksPending = "tasks-pending"
        case tasksFailed = "tasks-failed"
        case moveLeftovers = "move-leftovers"
        case commitRecordsLeft = "commit-records-left"
        case maintenanceDaemonMissing = "maintenance-daemon-missing"
        case sequencesBehind = "sequences-behind"
        case nodesUnreachable = "nodes-unreachable"
        case systemWrong = "system-wrong"
        case timelineDiffers = "timeline-differs"
        case orphanedPrepared = "orphaned-prepared"
        case preparedElsewhere = "prepared-elsewhere"
        case groupUnregistered = "group-unregistered"
        case groupVanished = "group-vanished"
        case poolDiffers = "pool-differs"
        case poolUnmanaged = "pool-unmanaged"
        case fenceUnusable = "fence-unusable"
        case grantsOutdated = "grants-outdated"
        case fenceSuperseded = "fence-superseded"
        case failoverMayHang = "failover-may-hang"
        case restoreRecoversPrepared = "restore-recovers-prepared"
        case restoreDropsShards = "restore-drops-shards"
        case restoreRunsTasks = "restore-runs-tasks"
        case restorePointsDiffer = "restore-points-differ"
        case restorePointUnproven = "restore-point-unproven"
        case restorePointsNotSafe = "restore-points-not-safe"

        /// What is looked for with `--deep` alone.
        public var isOfDeep: Bool {
            [.shardMissing, .shardLeftovers, .copiesOfShardDiffer, .sequencesBehind, .moveLeftovers].contains(self)
        }

        /// What is looked for with `--after-restore` alone.
        public var isOfRestore: Bool {
            [
                .restoreRecoversPrepared, .restoreDropsShards, .restoreRunsTasks, .restorePointsDiffer,
                .restorePointUnproven,
            ].contains(self)
        }

        /// What comes and goes with the work of a healthy cluster: it counts if it is there a moment later too.
        public var isFleeting: Bool {
            [.moveLeftovers, .maintenanceDaemonMissing, .timelineDiffers, .shardLeftovers].contains(self)
        }
    }

    public var code: Code
    public var severity: Severity
    public var group: Int?
    public var node: NodeEndpoint?
    public var evidence: String
    public var remedy: Remedy
    /// Of ``Code/notLookedAt``: the only places that it speaks of, if it speaks of places.
    public var unseen: [NodeEndpoint] = []
    /// Of ``Code/cleanupPending``: what Citus is to remove, each by its name.
    public var pending: [String] = []

    public init(
        _ code: Code, _ severity: Severity, group: Int? = nil, node: NodeEndpoint? = nil, _ evidence: String,
        _ remedy: Remedy
    ) {
        self.code = code
        self.severity = severity
        self.group = group
        self.node = node
        self.evidence = evidence
        self.remedy = remedy
    }
}
