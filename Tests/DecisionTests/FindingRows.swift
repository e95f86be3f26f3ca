// SPDX-License-Identifier: Apache-2.0

@testable import Decision

/// Facts of which `verify` makes a finding, and all that it makes of them.
struct FindingRow {
    let change: (inout ClusterFacts) -> Void
    /// Each finding, as code, severity and group, the worst first.
    let found: [String]
    /// Where the statements of the code's own finding are to be run; nil: it has none.
    let place: NodeEndpoint?

    init(_ found: String..., on place: NodeEndpoint? = nil, _ change: @escaping (inout ClusterFacts) -> Void) {
        (self.found, self.place, self.change) = (found, place, change)
    }
}

/// One row for each code: a code without one does not compile.
extension FindingRow {
    private typealias Scene = VerificationTests
    private static let standby = NodeEndpoint("10.0.1.2", 5432)

    init(_ code: Finding.Code) {
        switch code {
        case .coordinatorUnreachable, .etcdUnreadable, .secondCoordinator, .secondPrimary, .rowUnreachable,
            .rowUnverified, .rowInRecovery, .extensionMissing, .notLookedAt:
            self = Self.ofReach(code)
        case .versionsDiffer, .versionUntested, .systemWrong, .timelineDiffers, .restorePointsNotSafe:
            self = Self.ofVersions(code)
        case .rowNotLeader, .secondaryIsPrimary, .groupWithoutPrimary, .twoPrimaries, .localGroupWrong, .noMetadata,
            .notSynchronized, .inactive, .groupUnregistered, .groupVanished, .poolDiffers, .poolUnmanaged:
            self = Self.ofRows(code)
        case .nodesDiffer: self = Self.ofCopy(.nodes, "nodes-differ critical 1", on: Scene.coordinator)
        case .placementsDiffer:
            self = Self.ofCopy(.placements, "placements-differ critical 1", on: Scene.coordinator)
        case .shardsDiffer: self = Self.ofCopy(.shards, "shards-differ critical 1", on: Scene.coordinator)
        case .tablesDiffer: self = Self.ofCopy(.tables, "tables-differ critical 1", on: Scene.coordinator)
        case .colocationsDiffer:
            self = Self.ofCopy(.colocations, "colocations-differ critical 1", on: Scene.coordinator)
        case .objectsDiffer: self = Self.ofCopy(.objects, "objects-differ warning 1", on: Scene.coordinator)
        case .schemasDiffer: self = Self.ofCopy(.schemas, "schemas-differ critical 1", on: Scene.coordinator)
        case .shardMissing, .copiesOfShardDiffer, .shardsOutOfReach, .sequencesBehind, .nodesUnreachable,
            .orphanedPrepared, .preparedElsewhere:
            self = Self.ofContents(code)
        case .shardLeftovers:
            self = Self.of(.unknownShardTables, "shard-leftovers warning 1", listed: "public.d_102999")
        case .placementsOrphaned:
            self = Self.of(.placementsWithoutNode, "placements-orphaned critical 0", listed: "shard 1 in group 9")
        case .placementsInactive:
            self = Self.of(
                .inactivePlacements, "placements-inactive warning 0", listed: "shard 102008 in group 1",
                on: Scene.coordinator)
        case .shardsOrphaned:
            self = Self.of(.shardsWithoutPlacement, "shards-orphaned critical 0", listed: "shard 1 of d")
        case .cleanupPending:
            self = Self.of(.cleanup, "cleanup-pending note 0", listed: "public.d_1 in group 1", on: Scene.coordinator)
        case .tasksPending:
            self = Self.of(
                .tasks, "tasks-pending note 0", listed: "task 9 (running) of job 7: Rebalance", on: Scene.coordinator)
        case .tasksFailed:
            self = Self.of(
                .failedTasks, "tasks-failed warning 0", listed: "task 9 (error) of job 7: Rebalance",
                on: Scene.coordinator)
        case .moveLeftovers:
            self = Self.of(
                .moveSlots, "move-leftovers warning 1", listed: "citus_shard_move_slot_1_2_3", on: Scene.worker)
        case .commitRecordsLeft:
            self = Self.of(
                .commitRecordsWithoutNode, "commit-records-left warning 1", listed: "citus_1_2_3_4 in group 9",
                on: Scene.worker)
        case .maintenanceDaemonMissing:
            self = Self.of(.maintenanceDaemonMissing, "maintenance-daemon-missing warning 1", listed: "app")
        case .fenceUnusable, .grantsOutdated, .fenceSuperseded, .failoverMayHang: self = Self.ofRights(code)
        case .restoreRecoversPrepared:
            self = Self.ofDaemon("citus.recover_2pc_interval", "restore-recovers-prepared critical -")
        case .restoreDropsShards:
            self = Self.ofDaemon("citus.defer_shard_delete_interval", "restore-drops-shards critical -")
        case .restoreRunsTasks:
            self = Self.ofDaemon("citus.background_task_queue_interval", "restore-runs-tasks critical -")
        case .restorePointsDiffer: self = Self.ofPoint("restore-points-differ critical -", ends: [])
        case .restorePointUnproven:
            self = Self.ofPoint(
                "restore-point-unproven critical -",
                ends: [.init(timeline: 1, lsn: "0/5", reason: #"at restore point "hourly""#)])
        }
    }

    private static func ofReach(_ code: Finding.Code) -> FindingRow {
        func member(_ name: String, of group: Int, at place: NodeEndpoint, _ found: String) -> FindingRow {
            FindingRow(found) { facts in
                facts.leaders[group]?.others[name] = place
                facts.nodes[place] = .answered(NodeFacts(isInRecovery: false, localGroup: group))
            }
        }
        switch code {
        case .coordinatorUnreachable:
            return FindingRow("coordinator-unreachable critical 0") {
                ($0.coordinator, $0.coordinatorProblem) = (nil, "no route to host")
            }
        case .etcdUnreadable:
            return FindingRow("etcd-unreadable warning -") {
                ($0.leaders, $0.etcdProblem) = ([:], "no endpoint answers")
            }
        case .secondCoordinator:
            return member("c2", of: 0, at: NodeEndpoint("10.0.0.2", 5432), "second-coordinator critical 0")
        case .secondPrimary: return member("a2", of: 1, at: Self.standby, "second-primary critical 1")
        case .rowUnreachable:
            return FindingRow("row-unreachable critical 1", "shards-out-of-reach note 1") {
                $0.nodes[Scene.worker] = .unreachable(reason: "no route")
            }
        case .rowUnverified:
            return FindingRow("row-unverified warning 1") { $0.nodes[Scene.worker] = .refused(reason: "no such role") }
        case .rowInRecovery:
            return FindingRow("row-in-recovery critical 0") { $0.coordinator?.facts.isInRecovery = true }
        case .extensionMissing:
            return FindingRow("extension-missing critical 1", "shards-out-of-reach note 1") {
                $0.nodes[Scene.worker] = .withoutCitus
            }
        default:  // What was not looked at.
            return FindingRow("not-looked-at note 1", on: Scene.worker) { facts in
                Scene.change(&facts, Scene.worker) {
                    ($0.role, $0.irregularities) = ("pharos", [.maintenanceDaemonUnseen: ["app"]])
                }
            }
        }
    }

    private static func ofVersions(_ code: Finding.Code) -> FindingRow {
        /// A standby of group 1, and what its leader says.
        func standby(
            _ found: String, on place: NodeEndpoint? = nil, _ change: @escaping (inout NodeFacts) -> Void,
            leader: @escaping (inout NodeFacts) -> Void = { _ in }
        ) -> FindingRow {
            FindingRow(found, on: place) { facts in
                facts.leaders[1]?.others = ["a2": Self.standby]
                var node = NodeFacts(isInRecovery: true, localGroup: 1)
                change(&node)
                facts.nodes[Self.standby] = .answered(node)
                Scene.change(&facts, Scene.worker, leader)
            }
        }
        switch code {
        case .versionsDiffer:
            // The extension is the leader's to update.
            return standby("versions-differ warning 1", on: Scene.worker) {
                ($0.citusVersion, $0.citusLibrary) = ("13.2-1", "13.3.0")
            }
        case .systemWrong:
            return standby("system-wrong critical 1") {
                $0.server = .server(system: "8", started: "1")
            } leader: {
                $0.server = .server(system: "7", started: "1")
            }
        case .timelineDiffers:
            return standby("timeline-differs warning 1") {
                $0.timeline = 6
            } leader: {
                $0.timeline = 7
            }
        case .versionUntested:
            return FindingRow("version-untested warning 0", "restore-points-not-safe note 0") {
                $0.coordinator?.facts.citusVersion = "10.2-4"
                $0.coordinator?.facts.postgresVersion = "14.20"
            }
        default:  // Restore points of Citus's own.
            return FindingRow("restore-points-not-safe note 0") {
                $0.coordinator?.facts.citusVersion = "13.2-1"
                $0.coordinator?.facts.postgresVersion = "15.20"
            }
        }
    }

    private static func ofCopy(_ table: CatalogTable, _ found: String, on place: NodeEndpoint) -> FindingRow {
        FindingRow(found, on: place) { facts in
            facts.coordinator?.facts.digests = [table: "a"]
            Scene.change(&facts, Scene.worker) { $0.digests = [table: "b"] }
        }
    }

    /// What is listed of a kind: of metadata on the coordinator, else on a worker.
    private static func of(
        _ kind: Irregularity, _ found: String, listed: String, on place: NodeEndpoint? = nil
    ) -> FindingRow {
        FindingRow(found, on: place) { facts in
            guard found.hasSuffix(" 0") else {
                return Scene.change(&facts, Scene.worker) { $0.irregularities = [kind: [listed]] }
            }
            facts.coordinator?.facts.irregularities = [kind: [listed]]
        }
    }

    private static func ofDaemon(_ setting: String, _ found: String) -> FindingRow {
        FindingRow(found) { facts in
            facts.isAfterRestore = true
            Scene.change(&facts, Scene.worker) { $0.settings[setting] = "5s" }
        }
    }

    private static func ofPoint(_ found: String, ends: [RestoredServer.TimelineEnd]) -> FindingRow {
        FindingRow(found) { facts in
            facts.isAfterRestore = true
            let restored = RestoredServer(ends: ends, markers: [], written: 0)
            facts.coordinator?.facts.restored = restored
            for worker in [Scene.worker, Scene.other] { Scene.change(&facts, worker) { $0.restored = restored } }
        }
    }
}
