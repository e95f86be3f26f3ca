// SPDX-License-Identifier: Apache-2.0

@testable import Decision

/// Rows of `pg_dist_node`, what nodes contain, and what the role may do.
extension FindingRow {
    private typealias Scene = VerificationTests

    static func ofRows(_ code: Finding.Code) -> FindingRow {
        let elsewhere = NodeEndpoint("10.0.1.9", 5432)
        /// The row of group 1 is changed.
        func row(_ found: String, on place: NodeEndpoint? = nil, _ change: @escaping (inout NodeRow) -> Void)
            -> FindingRow
        {
            FindingRow(found, on: place) { facts in
                guard var row = facts.coordinator?.rows[1] else { return }
                change(&row)
                facts.coordinator?.rows[1] = row
            }
        }
        /// There is one row more of group 1, at a server that accepts writes.
        func more(_ found: String, on place: NodeEndpoint? = nil, _ role: NodeRow.Role) -> FindingRow {
            FindingRow(found, on: place) { facts in
                facts.coordinator?.rows.append(NodeRow(id: 9, group: 1, endpoint: elsewhere, role: role))
                facts.nodes[elsewhere] = .answered(NodeFacts(isInRecovery: false, localGroup: 1))
            }
        }
        switch code {
        case .rowNotLeader:
            return FindingRow("row-not-leader critical 1", "row-unreachable critical 1", on: Scene.coordinator) {
                $0.coordinator?.rows[1].endpoint = elsewhere
                $0.nodes[elsewhere] = .unreachable(reason: "no route")
            }
        case .secondaryIsPrimary: return more("secondary-is-primary warning 1", .secondary)
        case .groupWithoutPrimary:
            return row("group-without-primary critical 1", on: Scene.coordinator) { $0.role = .unavailable }
        case .twoPrimaries: return more("two-primaries critical 1", on: Scene.coordinator, .primary)
        case .localGroupWrong:
            return FindingRow("local-group-wrong critical 1", on: Scene.coordinator) { facts in
                Scene.change(&facts, Scene.worker) { $0.localGroup = 0 }
            }
        case .noMetadata: return row("no-metadata warning 1", on: Scene.coordinator) { $0.hasMetadata = false }
        case .notSynchronized: return row("not-synchronized warning 1") { $0.isSynchronized = false }
        case .inactive: return row("inactive warning 1", on: Scene.coordinator) { $0.isActive = false }
        case .groupUnregistered:
            return FindingRow("group-unregistered warning 1", on: Scene.coordinator) {
                $0.coordinator?.rows.remove(at: 1)
            }
        case .groupVanished: return FindingRow("group-vanished warning 1") { $0.leaders[1] = nil }
        case .poolDiffers:
            return FindingRow("pool-differs warning 1", on: Scene.coordinator) {
                $0.settings.poolInfo = [1: "host={host} port=6432"]
            }
        default:  // A pool that nobody keeps.
            return row("pool-unmanaged warning 1") { $0.pool = "host=10.0.1.1 port=6432" }
        }
    }

    static func ofContents(_ code: Finding.Code) -> FindingRow {
        /// Something is prepared on group 1's worker.
        func prepared(_ found: String, in database: String?) -> FindingRow {
            FindingRow(found, on: Scene.worker) { facts in
                Scene.change(&facts, Scene.worker) {
                    $0.prepared = [PreparedTransaction(gid: "mine", age: .seconds(61), database: database)]
                }
            }
        }
        switch code {
        case .shardMissing:
            // The coordinator's own: it has a copy of each reference table.
            return FindingRow("shard-missing critical 0") {
                $0.coordinator?.facts.missingShards = ["public.r_102100"]
            }
        case .copiesOfShardDiffer:
            return FindingRow("copies-of-shard-differ critical 0") { facts in
                func copies(_ count: Int64) -> [ShardID: ShardCopyDigest] {
                    [7: ShardCopyDigest(name: "public.r_7", count: count, digest: "x")]
                }
                facts.coordinator?.facts.copies = copies(1)
                Scene.change(&facts, Scene.worker) { $0.copies = copies(2) }
            }
        case .shardsOutOfReach:
            return FindingRow("row-unreachable critical 1", "shards-out-of-reach critical 1", on: Scene.coordinator) {
                $0.nodes[Scene.worker] = .unreachable(reason: "no route")
                $0.coordinator?.losses = [1: ShardLoss(shards: 1, elsewhere: 0, bytes: nil, tableCount: 1, tables: [])]
            }
        case .sequencesBehind:
            return FindingRow("sequences-behind warning 1", on: Scene.worker) { facts in
                Scene.change(&facts, Scene.worker) {
                    $0.sequences = [SequenceValue(name: "public.s", range: 0, last: 1, highest: 9)]
                }
            }
        case .nodesUnreachable:
            return FindingRow("nodes-unreachable warning 0") { $0.coordinator?.facts.unreachable = ["a:1 to b:1"] }
        case .preparedElsewhere: return prepared("prepared-elsewhere warning 1", in: "crm")
        default:  // In this database.
            return prepared("orphaned-prepared critical 1", in: nil)
        }
    }

    static func ofRights(_ code: Finding.Code) -> FindingRow {
        switch code {
        case .fenceUnusable:
            return FindingRow("fence-unusable warning 0") { $0.coordinator?.fenceProblem = "it does not exist" }
        case .grantsOutdated:
            return FindingRow("grants-outdated warning 0") {
                $0.coordinator?.missingFunctions = ["pharos.interrupt_metadata_sync"]
            }
        case .fenceSuperseded:
            return FindingRow("fence-superseded critical 2", on: Scene.coordinator) {
                $0.coordinator?.superseded = [2: SupersededFence(by: 255, reinstatement: "update …")]
            }
        default:  // Settings.
            return FindingRow("failover-may-hang warning -") {
                $0.settings.layout = .scopes([0: "app"])
                $0.coordinator?.facts.settings["citus.node_connection_timeout"] = "30s"
                $0.coordinator?.facts.room = ServerRoom(
                    workers: 8, workersInUse: 0, reserve: .init(connections: 3, isMember: true))
            }
        }
    }
}
