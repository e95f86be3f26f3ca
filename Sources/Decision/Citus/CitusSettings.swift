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
    case auto
}

/// What the core is told of Citus.
public struct CitusSettings: Hashable, Sendable {
    /// This node's group; 0 is the coordinator's.
    public var group: Int
    /// The databases with the extension, each with a `pg_dist_node` of its own.
    public var databases: [String]
    public var mode: CitusMode
    /// How long something must have been wrong in the modes that leave the writing to somebody else.
    public var settle: Duration
    /// Whether standbys are registered as secondaries.
    public var registersSecondaries: Bool
    public var admission: GroupAdmission
    /// Per group, the text that `pg_dist_poolinfo` holds for its primary; `{host}` and `{port}` stand for the leader's.
    public var poolInfo: [Int: String]

    public init(
        group: Int, databases: [String], mode: CitusMode, settle: Duration = .seconds(30),
        registersSecondaries: Bool = false, admission: GroupAdmission = .never, poolInfo: [Int: String] = [:]
    ) {
        self.group = group
        self.databases = databases
        self.mode = mode
        self.settle = settle
        self.registersSecondaries = registersSecondaries
        self.admission = admission
        self.poolInfo = poolInfo
    }
}
