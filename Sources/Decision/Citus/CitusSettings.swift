// SPDX-License-Identifier: Apache-2.0

/// Who writes `pg_dist_node`.
public enum CitusMode: String, Hashable, Sendable, CaseIterable {
    /// Pharos alone: a leader change is followed at once.
    case own
    /// Somebody else too, such as Patroni's Citus mode: Pharos repairs what has been wrong for longer than `settle`.
    case reconcile
    /// Somebody else alone: Pharos tells what has been wrong for longer than `settle`.
    case observe
}

/// What is done about a group that Patroni has and `pg_dist_node` has not.
public enum GroupAdmission: String, Hashable, Sendable, CaseIterable {
    case never
    /// It is reported, with the statement that adds it.
    case ask
}

/// What the core is told of Citus.
public struct CitusSettings: Hashable, Sendable {
    /// This node's group; 0 is the coordinator's.
    public var group: Int
    /// The databases with the extension, each with a `pg_dist_node` of its own.
    public var databases: [String]
    public var mode: CitusMode
    /// Those among them that nobody else writes, though somebody else writes the others: Patroni's Citus mode knows one database.
    public var ownDatabases: Set<String>
    /// How long something must have been wrong in the modes that leave the writing to somebody else.
    public var settle: Duration
    /// Whether standbys are registered as secondaries.
    public var registersSecondaries: Bool
    public var admission: GroupAdmission
    /// Per group, the text that `pg_dist_poolinfo` holds for its primary; `{host}` and `{port}` stand for the leader's.
    public var poolInfo: [Int: String]
    /// What the groups' clusters are called.
    public var layout: PatroniLayout

    public init(
        group: Int, databases: [String], mode: CitusMode, ownDatabases: Set<String> = [],
        settle: Duration = .seconds(30),
        registersSecondaries: Bool = false, admission: GroupAdmission = .never, poolInfo: [Int: String] = [:],
        layout: PatroniLayout = .scopes([:])
    ) {
        self.layout = layout
        self.group = group
        self.databases = databases
        self.mode = mode
        self.ownDatabases = ownDatabases
        self.settle = settle
        self.registersSecondaries = registersSecondaries
        self.admission = admission
        self.poolInfo = poolInfo
    }

    /// The same, as they are for one database.
    func of(_ database: String) -> CitusSettings {
        guard self.ownDatabases.contains(database) else { return self }
        var settings = self
        settings.mode = .own
        return settings
    }
}
