// SPDX-License-Identifier: Apache-2.0
import Decision
import Testing

@testable import pharos

/// What `pharos check-config` says before anything is changed.
struct RowForecastTests {
    private static let (c1, a1, a2) = (NodeEndpoint("c1", 5432), NodeEndpoint("a1", 5432), NodeEndpoint("a2", 5432))
    private static let name = NodeEndpoint("worker.example.com", 5432)

    private static func lines(
        _ row: NodeEndpoint, mode: CitusMode = .own, _ change: (inout ClusterFacts) -> Void = { _ in }
    ) -> [String] {
        var facts = ClusterFacts(
            database: "app", settings: CitusSettings(group: 0, databases: ["app"], mode: mode),
            leaders: [0: .init("c1", Self.c1), 1: .init("a2", Self.a2, others: ["a1": Self.a1])])
        facts.coordinator = .init(
            rows: [
                NodeRow(id: 1, group: 0, endpoint: Self.c1, role: .primary),
                NodeRow(id: 2, group: 1, endpoint: row, role: .primary),
            ], facts: NodeFacts(isInRecovery: false, localGroup: 0))
        change(&facts)
        return RowForecastText(facts).lines
    }

    @Test func `rows that are right are left, and said to be`() {
        #expect(Self.lines(Self.a2) == ["citus: app: pg_dist_node names every leader: nothing would be changed"])
    }

    @Test func `a row that names a member which does not lead is moved, and the statement is shown`() {
        let moved = Self.lines(Self.a1)
        #expect(moved.count == 1 && moved[0].hasSuffix("select citus_update_node(2, 'a2', 5432)"))
        #expect(moved[0].contains("group 1: the daemon would run"))
        #expect(Self.lines(Self.a1, mode: .observe)[0].contains("mode observe would only tell"))
    }

    @Test func `a row that names what no member is is left alone, with the reason`() {
        #expect(Self.lines(Self.name)[0].contains("no member of the group is known to be"))
        let one = ServerIdentity.server(system: "7", started: "1")
        let same = Self.lines(Self.name) { facts in
            facts.nodes[Self.name] = .answered(NodeFacts(isInRecovery: false, localGroup: 1, server: one))
            facts.nodes[Self.a2] = .answered(NodeFacts(isInRecovery: false, localGroup: 1, server: one))
        }
        #expect(
            same == [
                "citus: app: group 1: its row is left alone: the leader, at a2:5432, answers at worker.example.com:5432 too"
            ])
    }

    @Test func `what cannot be looked at is not in order`() {
        let lines = Self.lines(Self.a2) { facts in
            (facts.coordinator, facts.coordinatorProblem) = (nil, "refused")
        }
        #expect(
            lines == [
                "citus: app: what the daemon would change in pg_dist_node is not known: the coordinator cannot be asked: refused"
            ])
        let blind = Self.lines(Self.a2) { facts in
            (facts.leaders, facts.etcdProblem) = ([:], "no answer")
        }
        #expect(blind[0].contains("etcd cannot be asked: no answer"))
        let homeless = Self.lines(Self.a2) { $0.leaders[1]?.endpoint = nil }
        #expect(homeless == ["citus: app: group 1: etcd does not say where its leader is reached"])
    }
}
