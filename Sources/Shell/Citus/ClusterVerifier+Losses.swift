// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision

extension ClusterVerifier {
    /// Which shards the groups take along that are out of reach, from the coordinator's catalogs. After all servers were asked.
    func readLosses(_ facts: inout ClusterFacts) async {
        do {
            let catalog = CitusCatalog(try await self.connectToCoordinator(facts))
            try await catalog.prepareToLook()
            let found = try await catalog.losses(
                of: groupsInQuestion(facts), lost: Set(groupsOutOfReach(facts).keys), tables: ShardLoss.tableLimit)
            facts.coordinator?.losses = Dictionary(grouping: found, by: \.group).compactMapValues { ShardLoss($0) }
        } catch {
            facts.coordinator?.losses = nil
            facts.coordinator?.facts.unseen[.losses] = Self.reason(error)
        }
    }
}

extension ShardLoss {
    /// Of one group's tables; nil where there are none.
    fileprivate init?(_ tables: [CitusTableLoss]) {
        guard let first = tables.first else { return nil }
        func size(_ count: CitusTableLoss.Count) -> Int64? { count.bytes > 0 ? count.bytes : nil }
        self.init(
            shards: first.total.shards, elsewhere: first.total.elsewhere, bytes: size(first.total),
            tableCount: first.tableCount,
            tables: tables.filter { $0.count.shards > 0 }.map {
                Table(name: $0.table, shards: $0.count.shards, bytes: size($0.count), examples: $0.examples)
            })
    }
}
