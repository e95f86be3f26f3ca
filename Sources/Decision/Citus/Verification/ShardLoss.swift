// SPDX-License-Identifier: Apache-2.0

/// What the coordinator's catalogs say of the shards that stand or fall with one group.
public struct ShardLoss: Hashable, Sendable {
    /// Shards of which no group in reach has another placement that is in use.
    public var shards: Int
    /// Shards of this group of which some group in reach has one: reference tables, and what is replicated.
    public var elsewhere: Int
    /// Of ``shards``, as Citus last measured them; nil where it has measured none.
    public var bytes: Int64?
    /// How many tables ``shards`` are of, and those with the most of them, at most ``tableLimit``.
    public var tableCount: Int
    public var tables: [Table]

    public struct Table: Hashable, Sendable {
        public var name: String
        public var shards: Int
        public var bytes: Int64?
        /// A few of the shards.
        public var examples: [ShardID]

        public init(name: String, shards: Int, bytes: Int64?, examples: [ShardID]) {
            (self.name, self.shards, self.bytes, self.examples) = (name, shards, bytes, examples)
        }
    }

    public static let tableLimit = 20

    public init(shards: Int, elsewhere: Int, bytes: Int64?, tableCount: Int, tables: [Table]) {
        (self.shards, self.elsewhere, self.bytes) = (shards, elsewhere, bytes)
        (self.tableCount, self.tables) = (tableCount, Array(tables.prefix(Self.tableLimit)))
    }
}

/// The workers' groups of which no server is in reach: none that a row names, no leader and no other member. What does not let
/// the role in is up; where nothing was asked, nothing is said.
public func groupsOutOfReach(_ facts: ClusterFacts) -> [Int: String] {
    guard let coordinator = facts.coordinator else { return [:] }
    let rows = coordinator.rows.filter { !$0.isClone && $0.group != 0 }
    return Dictionary(grouping: rows, by: \.group).compactMapValues { rows in
        guard let row = rows.first(where: { $0.role == .primary }) ?? rows.first else { return nil }
        let leader = facts.leaders[row.group]
        let places = [leader?.endpoint].compactMap { $0 } + (leader.map { Array($0.others.values) } ?? [])
        var reason: String?
        for place in rows.map(\.endpoint) + places {
            switch facts.nodes[place] {
            case .unreachable(let why)?: reason = reason ?? "\(place) cannot be reached: \(why)"
            case .withoutCitus?: reason = reason ?? "the database of \(place) has no extension citus"
            case .answered?, .refused?, nil: return nil
            }
        }
        return reason
    }
}

/// Groups of which the shards are to be listed: those out of reach, and those that no query comes to, though their servers are up.
public func groupsInQuestion(_ facts: ClusterFacts) -> Set<Int> {
    let rows = (facts.coordinator?.rows ?? []).filter { !$0.isClone && $0.group != 0 }
    let withPrimary = Set(rows.filter { $0.role == .primary }.map(\.group))
    return Set(rows.map(\.group)).subtracting(withPrimary).union(groupsOutOfReach(facts).keys)
}

/// Which shards a group takes along that is lost: out of reach, or gone from `pg_dist_node` while placements are there still.
func checkLosses(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    var reasons = groupsOutOfReach(facts)
    let registered = Set(coordinator.rows.map(\.group))
    for group in (coordinator.losses ?? [:]).keys where !registered.contains(group) {
        reasons[group] = "pg_dist_node does not have the group"
    }
    return reasons.sorted { $0.key < $1.key }.map { group, reason in
        guard let losses = coordinator.losses else {
            return Finding(
                .shardsOutOfReach, .critical, group: group,
                "\(reason); which shards it takes along could not be read", remedy(group, facts))
        }
        guard let loss = losses[group], loss.shards > 0 else {
            let copies = losses[group].map { ": other groups have all \($0.elsewhere) that it has" } ?? ""
            return Finding(
                .shardsOutOfReach, .note, group: group, "\(reason); it takes no shard along\(copies)",
                remedy(group, facts))
        }
        return Finding(
            .shardsOutOfReach, .critical, group: group, "\(reason); it takes along \(loss.text)", remedy(group, facts)
        )
    }
}

private func remedy(_ group: Int, _ facts: ClusterFacts) -> Finding.Remedy {
    .init(
        "Bring one of its servers up: then everything is there again. If none is left, restore the group from its backup (docs/restore.md); the shards that other groups have need no backup.",
        sql: [
            "select s.logicalrelid, p.shardid, p.shardlength from pg_dist_placement p join pg_dist_shard s using (shardid) where p.groupid = \(group) order by 1, 2"
        ], on: facts.coordinatorPlace, refusal: "only a server that has the data, or a backup, brings them back")
}

extension ShardLoss {
    /// Such as `24 shards (1.2 GB) of 3 tables that no other group has: app.orders 16 (102008, 102009, …), …`.
    var text: String {
        let tables = self.tables.prefix(5).map { table in
            let list = table.examples.prefix(3).map(String.init).joined(separator: ", ")
            let more = table.shards > min(3, table.examples.count) ? ", …" : ""
            return "\(table.name) \(table.shards)\(table.bytes.map { ", \(bytesText($0))" } ?? "") (\(list)\(more))"
        }
        let more = self.tableCount > tables.count ? ", and \(self.tableCount - tables.count) more tables" : ""
        let size = self.bytes.map { " (\(bytesText($0)) when Citus last measured them)" } ?? ""
        let copies = self.elsewhere > 0 ? "; of \(self.elsewhere) more, other groups have a copy" : ""
        let count = self.shards == 1 ? "1 shard" : "\(self.shards) shards"
        return "\(count)\(size) that no other group has: \(tables.joined(separator: ", "))\(more)\(copies)"
    }
}

/// Bytes for people: `512 kB`, `1.5 GB`; a kB is 1024 bytes, as in PostgreSQL.
private func bytesText(_ bytes: Int64) -> String {
    var (value, unit) = (Double(bytes), "bytes")
    for next in ["kB", "MB", "GB", "TB"] where value >= 1024 { (value, unit) = (value / 1024, next) }
    guard unit != "bytes", value < 100 else { return "\(Int64(value)) \(unit)" }
    let tenths = Int64(value * 10)
    return "\(tenths / 10).\(tenths % 10) \(unit)"
}
