// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What `pharos verify` concludes from facts, without a server.
struct VerificationTests {
    static let coordinator = NodeEndpoint("10.0.0.1", 5432)
    static let worker = NodeEndpoint("10.0.1.1", 5432)
    static let other = NodeEndpoint("10.0.2.1", 5432)

    /// A coordinator and two workers in order, but for what `change` does.
    static func facts(_ change: (inout ClusterFacts) -> Void = { _ in }) -> ClusterFacts {
        var facts = ClusterFacts(
            database: "app", settings: CitusSettings(group: 0, databases: ["app"], mode: .own),
            leaders: [
                0: .init("c1", Self.coordinator), 1: .init("a1", Self.worker), 2: .init("b1", Self.other),
            ])
        facts.coordinator = ClusterFacts.Coordinator(
            rows: [
                NodeRow(id: 1, group: 0, endpoint: Self.coordinator, role: .primary),
                NodeRow(id: 2, group: 1, endpoint: Self.worker, role: .primary),
                NodeRow(id: 3, group: 2, endpoint: Self.other, role: .primary),
            ], facts: NodeFacts(isInRecovery: false, localGroup: 0))
        facts.nodes = [
            Self.worker: .answered(NodeFacts(isInRecovery: false, localGroup: 1)),
            Self.other: .answered(NodeFacts(isInRecovery: false, localGroup: 2)),
        ]
        change(&facts)
        return facts
    }

    static func change(
        _ facts: inout ClusterFacts, _ endpoint: NodeEndpoint, _ change: (inout NodeFacts) -> Void
    ) {
        guard case .answered(var node)? = facts.nodes[endpoint] else { return }
        change(&node)
        facts.nodes[endpoint] = .answered(node)
    }

    @Test func `a cluster in order has no findings`() { #expect(verify(Self.facts()) == []) }

    // MARK: - Rows

    @Test func `a row that leads to the leader by another name is as it should be`() {
        let alias = NodeEndpoint("worker-1.example.com", 5432)
        func found(_ server: ServerIdentity, _ leader: ServerIdentity) -> [Finding.Code] {
            let facts = Self.facts { facts in
                facts.coordinator?.rows[1].endpoint = alias
                Self.change(&facts, Self.worker) { $0.server = leader }
                facts.nodes[alias] = .answered(NodeFacts(isInRecovery: false, localGroup: 1, server: server))
            }
            return verify(facts).map(\.code)
        }
        let (one, later) = (
            ServerIdentity.server(system: "7", started: "100"), ServerIdentity.server(system: "7", started: "200")
        )
        #expect(found(one, one) == [])
        #expect(found(one, later) == [.rowNotLeader])
        let unknown = ServerIdentity.unknown(reason: "x")
        #expect(found(unknown, unknown) == [.rowNotLeader])
        #expect(verify(Self.facts { $0.coordinator?.rows[1].endpoint.host = "10.0.1.1" }) == [])
    }

    @Test func `nothing is repaired while a row would still lead to another cluster's server that is up`() {
        let foreign = NodeEndpoint("production", 5432)
        let move = [RowChange.move(id: 2, from: foreign, Self.worker)]
        func problem(_ change: (inout ClusterFacts) -> Void) -> String? {
            strangersLeft(
                by: move,
                Self.facts { facts in
                    facts.coordinator?.rows[1].endpoint = foreign
                    facts.coordinator?.rows[2].endpoint = foreign
                    facts.coordinator?.rows[2].endpoint.port = 5433
                    Self.change(&facts, Self.other) { $0.server = .server(system: "own", started: "1") }
                    facts.nodes[NodeEndpoint("production", 5433)] = .answered(
                        NodeFacts(
                            isInRecovery: false, localGroup: 2, server: .server(system: "production", started: "1")))
                    change(&facts)
                })
        }
        #expect(problem { _ in }?.contains("node 3 of group 2") == true)
        // Nobody answers there: nothing is pushed there.
        #expect(problem { $0.nodes[NodeEndpoint("production", 5433)] = .unreachable(reason: "x") } == nil)
        // It leads to a standby of the group's by another name. One that accepts writes is the living cluster's, where this is a copy.
        func problem(_ server: ServerIdentity) -> String? {
            problem {
                $0.nodes[NodeEndpoint("production", 5433)] = .answered(
                    NodeFacts(isInRecovery: false, localGroup: 2, server: server))
            }
        }
        #expect(problem(.server(system: "own", started: "7", isInRecovery: true)) == nil)
        #expect(problem(.server(system: "own", started: "1")) == nil, "the leader itself")
        #expect(problem(.server(system: "own", started: "7")) != nil)
        #expect(problem { $0.leaders[2] = nil } != nil)
        #expect(problem { $0.coordinator?.rows[2].endpoint = Self.other } == nil)
    }

    /// As the daemon waits, too.
    @Test func `a row is not moved to a leader that does not accept writes, or could not be asked`() throws {
        func refusal(_ answer: NodeAnswer?, _ change: (inout ClusterFacts) -> Void = { _ in }) throws -> String? {
            let facts = Self.facts { facts in
                facts.coordinator?.rows[1].endpoint = NodeEndpoint("10.0.1.9", 5432)
                facts.nodes[Self.worker] = answer
                change(&facts)
            }
            let finding = try #require(verify(facts).first { $0.code == .rowNotLeader })
            #expect(finding.remedy.changes.count == 1, "what is to be done is told all the same")
            return finding.remedy.refusal
        }
        let writable = NodeFacts(isInRecovery: false, localGroup: 1)
        #expect(try refusal(.answered(writable)) == nil)
        var standby = writable
        standby.isInRecovery = true
        #expect(try refusal(.answered(standby)) == "the leader does not accept writes yet")
        #expect(
            try refusal(.unreachable(reason: "no route"))
                == "the leader could not be asked whether it accepts writes: no route")
        #expect(
            try refusal(.refused(reason: "no such role"))
                == "the leader could not be asked whether it accepts writes: no such role")
        #expect(try refusal(.withoutCitus) == "the leader's database has no Citus")
        #expect(try refusal(nil) == "the leader was not asked whether it accepts writes")
    }

    @Test func `what to type names a host with a quote as it is`() {
        let odd = NodeEndpoint("wo'rker", 5432)
        let facts = Self.facts { facts in
            facts.coordinator?.rows[1].endpoint = odd
            facts.coordinator?.rows[1].isActive = false
            facts.leaders[1] = .init("a1", odd)
            facts.leaders[3] = .init("d1", NodeEndpoint("o'ther", 5432))
        }
        let sql = verify(facts).flatMap(\.remedy.sql)
        #expect(sql.contains("select citus_activate_node('wo''rker', 5432)"))
        #expect(sql.contains("select citus_add_node('o''ther', 5432, 3)"))
    }

    @Test func `a copy of pg_dist_node that differs is written anew alone; no other copy is`() {
        func found(_ table: CatalogTable) -> [Finding] {
            verify(
                Self.facts { facts in
                    facts.coordinator?.facts.digests = [table: "a"]
                    Self.change(&facts, Self.worker) { $0.digests = [table: "b"] }
                })
        }
        #expect(
            found(.nodes).map(\.remedy.sql) == [["update pg_dist_node set metadatasynced = false where nodeid = 2"]])
        let shards = found(.shards)
        #expect(shards.map(\.remedy.sql) == [["select start_metadata_sync_to_node('10.0.1.1', 5432)"]])
        #expect((found(.nodes) + shards).allSatisfy { $0.remedy.refusal != nil && $0.remedy.changes.isEmpty })
    }

    @Test func `a pool that nobody keeps is found`() {
        func codes(_ change: @escaping (inout ClusterFacts) -> Void) -> [Finding.Code] {
            verify(
                Self.facts { facts in
                    facts.coordinator?.rows[1].pool = "host=10.0.1.1 port=6432"
                    change(&facts)
                }
            ).map(\.code)
        }
        #expect(codes { _ in } == [.poolUnmanaged])
        #expect(codes { $0.settings.poolInfo = [1: "host={host} port=6432"] } == [])
        #expect(codes { $0.settings.poolInfo = [1: "host={host} port=6433"] } == [.poolDiffers])
    }

    @Test func `functions that a version before did not need are found missing`() {
        let found = verify(Self.facts { $0.coordinator?.missingFunctions = ["pharos.interrupt_metadata_sync"] })
        #expect(found.map(\.code) == [.grantsOutdated] && found.first?.severity == .warning)
    }

    @Test func `a fence that says that this etcd was replaced is found, and a person may reinstate it`() throws {
        let facts = Self.facts {
            $0.coordinator?.superseded = [2: SupersededFence(by: 255, reinstatement: "update …")]
        }
        let finding = try #require(verify(facts).first)
        #expect(finding.code == .fenceSuperseded && finding.severity == .critical && finding.group == 2)
        #expect(finding.evidence.contains("was replaced by ff"))
        #expect(finding.remedy.refusal == nil && finding.remedy.sql == ["update …"])
    }

    // MARK: - Prepared transactions

    /// On worker 1, a transaction that group 2 began with process 77.
    private static let gid = "citus_2_77_5_3"

    private static func prepared(_ fates: TransactionFates?, _ change: (inout ClusterFacts) -> Void = { _ in })
        -> [Finding]
    {
        let facts = Self.facts { facts in
            Self.change(&facts, Self.worker) { $0.prepared = [PreparedTransaction(gid: Self.gid, age: .seconds(120))] }
            Self.change(&facts, Self.other) { $0.fates = fates }
            change(&facts)
        }
        return verify(facts).filter { $0.code == .orphanedPrepared }
    }

    @Test
    func `who began a transaction says whether it is to be committed, and the statement is for the node that has it`() {
        let committed = Self.prepared(TransactionFates(committed: [Self.gid], sessions: [77]))
        #expect(committed.map(\.remedy.sql) == [["commit prepared '\(Self.gid)'"]])
        #expect(
            committed.allSatisfy { $0.remedy.place == .server(Self.worker) && $0.node == Self.worker && $0.group == 1 })
        let lost = Self.prepared(TransactionFates(sessions: [78]))
        #expect(lost.map(\.remedy.sql) == [["rollback prepared '\(Self.gid)'"]])
        // Never by itself.
        #expect((committed + lost).allSatisfy { $0.remedy.refusal != nil && $0.remedy.changes.isEmpty })
    }

    @Test func `what is not certain is not to be touched`() {
        let uncertain: [[Finding]] = [
            // Under way, or by another process of that number.
            Self.prepared(TransactionFates(sessions: [77])),
            // It follows a transaction of another database.
            Self.prepared(TransactionFates(undecided: [Self.gid])),
            // Nobody asked; or could.
            Self.prepared(nil), Self.prepared(nil) { $0.nodes[Self.other] = .unreachable(reason: "why") },
            // The row names a server that does not lead that group, or takes itself for another's: what it knows is the past.
            Self.prepared(TransactionFates()) { $0.leaders[2] = .init("b2", NodeEndpoint("10.0.2.2", 5432)) },
            Self.prepared(TransactionFates()) { $0.leaders[2] = nil },
            Self.prepared(TransactionFates()) { facts in Self.change(&facts, Self.other) { $0.localGroup = 0 } },
            Self.prepared(TransactionFates()) { facts in Self.change(&facts, Self.other) { $0.isInRecovery = true } },
        ]
        for findings in uncertain {
            #expect(findings.count == 1)
            #expect(findings.allSatisfy { $0.remedy.sql.isEmpty && $0.remedy.refusal != nil }, "\(findings)")
        }
    }

    @Test func `a leader is asked at its own place, whatever its row calls it`() {
        let alias = NodeEndpoint("worker-2.example.com", 6432)
        func found(_ change: (inout ClusterFacts) -> Void) -> [Finding] {
            Self.prepared(TransactionFates(committed: [Self.gid])) { facts in
                facts.coordinator?.rows[2].endpoint = alias
                Self.change(&facts, Self.other) { $0.server = .server(system: "7", started: "1") }
                facts.nodes[alias] = .answered(
                    NodeFacts(isInRecovery: false, localGroup: 2, server: .server(system: "7", started: "1")))
                change(&facts)
            }
        }
        let statement = ["commit prepared '\(Self.gid)'"]
        #expect(found { _ in }.map(\.remedy.sql) == [statement])
        // The row names nobody, or a server that is not the leader: it is the leader who knows.
        #expect(found { $0.nodes[alias] = .unreachable(reason: "why") }.map(\.remedy.sql) == [statement])
        #expect(found { $0.coordinator?.rows.remove(at: 2) }.map(\.remedy.sql) == [statement])
        // What is prepared on it is listed once, by whatever name it was asked.
        let prepared = [PreparedTransaction(gid: "citus_0_1_2_3", age: .seconds(90))]
        let once = found { facts in
            for place in [alias, Self.other] { Self.change(&facts, place) { $0.prepared = prepared } }
        }
        #expect(once.count == 2 && once.count { $0.node == alias } == 1)
    }

    @Test func `what is prepared on a leader that no row names is found, and a leader that cannot be asked is told`() {
        func found(_ change: (inout ClusterFacts) -> Void) -> [Finding] {
            let facts = Self.facts { facts in
                facts.coordinator?.rows.remove(at: 2)
                Self.change(&facts, Self.other) {
                    $0.prepared = [PreparedTransaction(gid: "citus_0_1_2_3", age: .seconds(90))]
                }
                change(&facts)
            }
            return verify(facts).filter { $0.code != .groupUnregistered }
        }
        let listed = found { _ in }
        #expect(listed.map(\.code) == [.orphanedPrepared])
        #expect(listed.first?.node == Self.other && listed.first?.group == 2)
        let down = found { $0.nodes[Self.other] = .unreachable(reason: "no route") }
        #expect(down.map(\.code) == [.notLookedAt] && down.first?.group == 2)
        let unseen = found { facts in
            Self.change(&facts, Self.other) { node in
                node.prepared = []
                node.unseen = [.prepared: "permission denied"]
            }
        }
        #expect(unseen.map(\.code) == [.notLookedAt] && unseen.first?.node == Self.other)
    }

    @Test func `a transaction of somebody else's, and one that is young`() {
        let facts = Self.facts { facts in
            Self.change(&facts, Self.worker) { node in
                node.prepared = ["mine's", "citus_x_1_2_3", Self.gid].map {
                    PreparedTransaction(gid: $0, age: .seconds($0 == Self.gid ? 60 : 61))
                }
            }
        }
        let found = verify(facts).filter { $0.code == .orphanedPrepared }
        #expect(found.map(\.remedy.sql) == [["rollback prepared 'mine''s'"], ["rollback prepared 'citus_x_1_2_3'"]])
        #expect(found.allSatisfy { $0.evidence.contains("none of Citus's own") })
    }

    @Test func `those of a database that is not verified are told once, and nothing is said of how they ended`() {
        let found = [false, true].map { isAfterRestore in
            let facts = Self.facts { facts in
                facts.settings.databases = ["app", "reports"]
                facts.isAfterRestore = isAfterRestore
                Self.change(&facts, Self.worker) { node in
                    node.prepared = [("stray", "crm"), (Self.gid, "reports"), ("citus_2_1_1_1", "crm")].map {
                        PreparedTransaction(gid: $0.0, age: .seconds(61), database: $0.1)
                    }
                }
            }
            return verify(facts).filter { [.preparedElsewhere, .orphanedPrepared].contains($0.code) }
        }
        #expect(found.map { $0.map(\.code) } == [[.preparedElsewhere], [.preparedElsewhere]])
        #expect(found.joined().map(\.severity) == [.warning, .critical])
        #expect(found[0][0].evidence.contains("database crm") && found[0][0].evidence.contains("2 prepared"))
        #expect(found[0][0].remedy.refusal != nil && found[0][0].node == Self.worker)
        // With the other database's findings it would be there a second time.
        let second = Self.facts { facts in
            facts.database = "reports"
            facts.settings.databases = ["app", "reports"]
            Self.change(&facts, Self.worker) {
                $0.prepared = [PreparedTransaction(gid: "stray", age: .seconds(61), database: "crm")]
            }
        }
        #expect(!verify(second).contains { $0.code == .preparedElsewhere })
    }

    // MARK: - What was not looked at

    @Test func `what could not be seen is a finding, and critical after a restore`() {
        for isAfterRestore in [false, true] {
            let facts = Self.facts { facts in
                facts.isAfterRestore = isAfterRestore
                facts.leaders[1]?.others = ["a2": NodeEndpoint("10.0.1.2", 5432)]
                facts.nodes[NodeEndpoint("10.0.1.2", 5432)] = .refused(reason: "no such role")
                facts.leaders[2] = .init("b1", nil)
                facts.coordinator?.facts.unseen = [.settings: "hidden"]
            }
            let found = verify(facts)
            #expect(found.map(\.code) == [.notLookedAt, .notLookedAt, .notLookedAt])
            #expect(found.allSatisfy { $0.severity == (isAfterRestore ? .critical : .warning) })
        }
    }

    @Test func `a second primary, a coordinator that is none, versions that differ`() {
        let second = NodeEndpoint("10.0.1.2", 5432)
        let facts = Self.facts { facts in
            facts.leaders[1]?.others = ["a2": second]
            facts.nodes[second] = .answered(NodeFacts(isInRecovery: false, localGroup: 1))
            facts.coordinator?.facts.localGroup = 3
            facts.coordinator?.facts.citusVersion = "13.2-1"
            Self.change(&facts, Self.worker) { $0.citusVersion = "13.0-1" }
        }
        let found = verify(facts).filter { $0.severity > .note }
        #expect(Set(found.map(\.code)) == [.secondPrimary, .localGroupWrong, .versionsDiffer])
    }

    @Test func `critical is what was so twice`() {
        let before = verify(Self.facts { $0.coordinator?.facts.isInRecovery = true })
        #expect(before.map(\.severity) == [.critical])
        #expect(confirmed(before, before: before) == before)
        let once = confirmed(before, before: [])
        #expect(once.map(\.severity) == [.warning] && once.allSatisfy { $0.evidence.contains("seen once") })
    }
}
