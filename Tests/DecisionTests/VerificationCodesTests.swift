// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Findings that only Citus's own catalogs, versions and timelines bring about: what they are called, and how bad they are.
struct VerificationCodesTests {
    private typealias Scene = VerificationTests

    private static func told(_ change: (inout ClusterFacts) -> Void) -> [String] {
        verify(Scene.facts(change)).map { "\($0.code.rawValue) \($0.severity) \($0.group ?? -1)" }
    }

    /// What a kind is told as on the coordinator: in a cluster that lives, and after a restore.
    private static let kinds: [(Irregularity, String, String)] = [
        (.placementsWithoutNode, "placements-orphaned critical", "placements-orphaned critical"),
        (.placementsWithoutShard, "placements-orphaned warning", "placements-orphaned warning"),
        (.shardsWithoutPlacement, "shards-orphaned critical", "shards-orphaned critical"),
        (.shardsWithoutTable, "shards-orphaned warning", "shards-orphaned warning"),
        (.inactivePlacements, "placements-inactive warning", "placements-inactive warning"),
        (.cleanup, "cleanup-pending note", "cleanup-pending warning"),
        (.tasks, "tasks-pending note", "tasks-pending warning"),
        (.failedTasks, "tasks-failed warning", "tasks-failed warning"),
        (.moveSlots, "move-leftovers warning", "move-leftovers warning"),
        (.movePublications, "move-leftovers warning", "move-leftovers warning"),
        (.moveSubscriptions, "move-leftovers warning", "move-leftovers warning"),
        (.commitRecordsWithoutNode, "commit-records-left warning", "commit-records-left warning"),
        (.commitRecords, "commit-records-left warning", "commit-records-left warning"),
        (.maintenanceDaemonMissing, "maintenance-daemon-missing warning", "maintenance-daemon-missing warning"),
        (.maintenanceDaemonUnseen, "not-looked-at note", "not-looked-at critical"),
        (.unplacedShardTables, "shard-leftovers note", "shard-leftovers warning"),
        (.unknownShardTables, "shard-leftovers warning", "shard-leftovers critical"),
    ]

    @Test func `what is left over in catalogs is told with its count, and some of it weighs more after a restore`() {
        #expect(Self.kinds.map(\.0) == Irregularity.allCases)
        for (kind, living, restored) in Self.kinds {
            for isAfterRestore in [false, true] {
                let facts = Scene.facts { facts in
                    facts.isAfterRestore = isAfterRestore
                    facts.coordinator?.facts.irregularities[kind] = (1...6).map { "thing \($0)" }
                }
                let found = verify(facts)
                #expect(found.map { "\($0.code.rawValue) \($0.severity)" } == [isAfterRestore ? restored : living])
                #expect(found.first?.evidence.contains("thing 5 …") == true && found.first?.group == 0)
                #expect(found.allSatisfy { $0.remedy.refusal != nil && $0.remedy.changes.isEmpty })
            }
        }
    }

    @Test func `names in what to type are quoted`() {
        let facts = Scene.facts {
            $0.coordinator?.facts.irregularities[.movePublications] = [#"citus_shard_move_"x"#]
            $0.coordinator?.facts.irregularities[.moveSlots] = ["citus_shard_move_'y"]
        }
        let sql = verify(facts).flatMap(\.remedy.sql)
        #expect(sql.contains(#"drop publication "citus_shard_move_""x""#))
        #expect(sql.contains("select pg_drop_replication_slot('citus_shard_move_''y')"))
    }

    /// Metadata are the same on every node, and compared: a worker's is told only where it is its own.
    @Test func `what is wrong with a worker's copy of the metadata is told of the coordinator alone`() {
        for (kind, _, _) in Self.kinds {
            let facts = Scene.facts { facts in
                Scene.change(&facts, Scene.worker) { $0.irregularities[kind] = ["thing"] }
            }
            let isOwn = [
                Irregularity.moveSlots, .movePublications, .moveSubscriptions, .commitRecordsWithoutNode,
                .commitRecords, .maintenanceDaemonMissing, .maintenanceDaemonUnseen, .unplacedShardTables,
                .unknownShardTables,
            ].contains(kind)
            #expect(verify(facts).map(\.group) == (isOwn ? [1] : []), "\(kind)")
        }
    }

    @Test func `more than a hundred are not counted`() throws {
        let many = (1...101).map { "shard \($0)" }
        let facts = Scene.facts { $0.coordinator?.facts.irregularities[.inactivePlacements] = many }
        #expect(try #require(verify(facts).first).evidence.hasPrefix("more than 100 placements"))
    }

    @Test func `a clone is no server of any group until it is promoted`() {
        let clone = NodeRow(
            id: 9, group: 5, endpoint: NodeEndpoint("10.0.5.1", 5432), role: .unavailable, isActive: false,
            isClone: true)
        #expect(
            Self.told { facts in
                facts.coordinator?.rows.append(clone)
                facts.nodes[clone.endpoint] = .unreachable(reason: "x")
            } == [])
        var taken = clone
        taken.isClone = false
        let told = Self.told { $0.coordinator?.rows.append(taken) }
        #expect(told.contains("group-vanished warning 5"))
    }

    @Test func `versions that Pharos was not written for`() {
        func told(_ citus: String, _ postgres: String) -> [String] {
            Self.told {
                $0.coordinator?.facts.citusVersion = citus
                $0.coordinator?.facts.postgresVersion = postgres
            }.filter { !$0.hasPrefix("restore-points-not-safe") }
        }
        #expect(told("11.0-2", "14.20") == [] && told("13.2-1", "15.18") == [] && told("14.0-1", "18.1") == [])
        #expect(told("10.2-4", "14.20") == ["version-untested warning 0"])
        #expect(told("11.3-1", "13.9") == ["version-untested warning 0"])
        #expect(told("14.1-1", "18.1") == ["version-untested note 0"])
        #expect(told("14.0-1", "19.0") == ["version-untested note 0"])
    }

    @Test func `a library of another version than the extension, on the leader and on who may lead next`() {
        let standby = NodeEndpoint("10.0.1.2", 5432)
        func told(_ leader: String?, _ other: String?) -> [String] {
            Self.told { facts in
                facts.leaders[1]?.others = ["a2": standby]
                var node = NodeFacts(isInRecovery: true, localGroup: 1, citusVersion: "13.2-1")
                node.citusLibrary = other
                facts.nodes[standby] = .answered(node)
                Scene.change(&facts, Scene.worker) { ($0.citusVersion, $0.citusLibrary) = ("13.2-1", leader) }
            }
        }
        #expect(told("13.2.2", "13.2.0") == [] && told(nil, nil) == [] && told("x", "") == [])
        #expect(told("13.2.2", "13.3.0") == ["versions-differ warning 1"])
        #expect(told("14.0.0", "13.2.2") == ["versions-differ critical 1"])
    }

    @Test func `a standby that receives another timeline than its leader writes`() {
        let standby = NodeEndpoint("10.0.1.2", 5432)
        func told(_ timeline: Int?, leader: Int? = 7, leaderIsStandby: Bool = false) -> [String] {
            Self.told { facts in
                facts.leaders[1]?.others = ["a2": standby]
                var node = NodeFacts(isInRecovery: true, localGroup: 1)
                node.timeline = timeline
                facts.nodes[standby] = .answered(node)
                Scene.change(&facts, Scene.worker) {
                    ($0.timeline, $0.isInRecovery) = (leader, leaderIsStandby)
                }
            }.filter { $0.hasPrefix("timeline") }
        }
        #expect(told(6) == ["timeline-differs warning 1"])
        #expect(told(7) == [] && told(nil) == [] && told(6, leader: nil) == [])
        #expect(told(6, leaderIsStandby: true) == [], "a leader that is being promoted writes none yet")
    }

    @Test func `a copy of sharded schemas that differs is critical, one of objects a warning`() {
        func told(_ table: CatalogTable) -> [String] {
            Self.told { facts in
                facts.coordinator?.facts.digests = [table: "a"]
                Scene.change(&facts, Scene.other) { $0.digests = [table: "b"] }
            }
        }
        #expect(told(.schemas) == ["schemas-differ critical 2"])
        #expect(told(.objects) == ["objects-differ warning 2"])
    }

    @Test func `what the daemon has seen for more than an hour to be removed is no note any more`() {
        let told = Self.told {
            $0.isCleanupOld = true
            $0.coordinator?.facts.irregularities[.cleanup] = ["public.d_1 in group 1"]
        }
        #expect(told == ["cleanup-pending warning 0"])
    }

    @Test func `copies that somebody writes to are not compared, and that is told`() {
        func told(isAfterRestore: Bool) -> [String] {
            Self.told { facts in
                facts.isAfterRestore = isAfterRestore
                var copy = ShardCopyDigest(name: "public.r_7", count: 1, digest: "x")
                facts.coordinator?.facts.copies = [7: copy]
                (copy.count, copy.isChanging) = (2, true)
                Scene.change(&facts, Scene.worker) { $0.copies = [7: copy] }
            }
        }
        #expect(told(isAfterRestore: false) == ["not-looked-at note -1"])
        #expect(told(isAfterRestore: true) == ["not-looked-at critical -1"])
    }

    @Test func `a member that does not say where it is was not looked at`() {
        for isAfterRestore in [false, true] {
            let told = Self.told {
                $0.isAfterRestore = isAfterRestore
                $0.leaders[1]?.placeless = ["a3"]
            }
            #expect(told == ["not-looked-at \(isAfterRestore ? "critical" : "warning") 1"])
        }
    }

    @Test func `a database without Citus where a row leads takes its shards along`() {
        let told = Self.told { $0.nodes[Scene.worker] = .withoutCitus }
        #expect(told.contains("extension-missing critical 1"))
    }
}
