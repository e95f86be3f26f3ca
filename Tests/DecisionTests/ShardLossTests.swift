// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Which groups are out of reach, and what is said of the shards that they take along.
struct ShardLossTests {
    private static let loss = ShardLoss(
        shards: 24, elsewhere: 2, bytes: 3 << 29, tableCount: 7,
        tables: [
            .init(name: "public.orders", shards: 16, bytes: 1 << 30, examples: [102008, 102010, 102012]),
            .init(name: "public.items", shards: 2, bytes: nil, examples: [102100, 102102]),
        ])

    private static func found(_ change: (inout ClusterFacts) -> Void) -> [Finding] {
        verify(VerificationTests.facts(change)).filter { $0.code == .shardsOutOfReach }
    }

    private static func down(_ facts: inout ClusterFacts) {
        facts.nodes[VerificationTests.worker] = .unreachable(reason: "no route")
    }

    @Test func `a group out of reach is told with what it takes along`() throws {
        let found = Self.found { facts in
            Self.down(&facts)
            facts.coordinator?.losses = [1: Self.loss]
        }
        let finding = try #require(found.first)
        #expect(found.count == 1 && finding.group == 1 && finding.severity == .critical)
        #expect(
            finding.evidence
                == "10.0.1.1:5432 cannot be reached: no route; it takes along 24 shards (1.5 GB when Citus last measured them) that no other group has: "
                + "public.orders 16, 1.0 GB (102008, 102010, 102012, …), public.items 2 (102100, 102102), and 5 more tables; of 2 more, other groups have a copy"
        )
        #expect(finding.remedy.refusal != nil && finding.remedy.sql.first?.contains("p.groupid = 1") == true)
    }

    @Test func `what others have too is not lost, and what could not be read is not none`() {
        let none = ShardLoss(shards: 0, elsewhere: 3, bytes: nil, tableCount: 0, tables: [])
        for (losses, severity) in [([1: none], Finding.Severity.note), ([:], .note), (nil, .critical)] {
            let found = Self.found { facts in
                Self.down(&facts)
                facts.coordinator?.losses = losses
            }
            #expect(found.map(\.severity) == [severity])
            #expect(found.first?.evidence.contains("could not be read") == (losses == nil))
        }
    }

    @Test func `a group of which any server may be up is not lost`() {
        let standby = NodeEndpoint("10.0.1.2", 5432)
        let answers: [NodeAnswer?] = [
            .answered(NodeFacts(isInRecovery: true, localGroup: 1)), .refused(reason: "no such role"), nil,
        ]
        for answer in answers {
            let found = Self.found { facts in
                Self.down(&facts)
                facts.leaders[1]?.others = ["a2": standby]
                facts.nodes[standby] = answer
                facts.coordinator?.losses = [1: Self.loss]
            }
            #expect(found == [], "\(String(describing: answer))")
        }
        let empty = Self.found { $0.nodes[VerificationTests.worker] = .withoutCitus }
        #expect(empty.count == 1, "a database without Citus has no shards")
        // The row is at another place than the leader, who is up.
        #expect(Self.found { $0.coordinator?.rows[1].endpoint = NodeEndpoint("10.0.1.9", 5432) } == [])
    }

    @Test func `a group that etcd has no more, and one that pg_dist_node has no more, take theirs along`() {
        let vanished = Self.found { facts in
            Self.down(&facts)
            facts.leaders[1] = nil
            facts.coordinator?.losses = [1: Self.loss]
        }
        #expect(vanished.map(\.group) == [1] && vanished.first?.severity == .critical)
        let orphaned = Self.found { $0.coordinator?.losses = [9: Self.loss] }
        #expect(orphaned.map(\.group) == [9])
        #expect(orphaned.first?.evidence.hasPrefix("pg_dist_node does not have the group; it takes along 24") == true)
    }

    @Test func `a group without a primary is not lost, and says what no query comes to`() {
        let facts = VerificationTests.facts { facts in
            facts.coordinator?.rows[1].role = .unavailable
            facts.coordinator?.losses = [1: Self.loss]
        }
        #expect(groupsInQuestion(facts) == [1] && groupsOutOfReach(facts).isEmpty)
        let found = verify(facts)
        #expect(found.map(\.code) == [.groupWithoutPrimary])
        #expect(found.first?.evidence.contains("with XX000; that is 24 shards") == true)
    }
}
