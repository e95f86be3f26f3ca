// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// What `GET /patroni` answers. A field that is absent or does not fit is nil; why, is in `problems`.
///
/// None of it proves that writes are accepted: role and state lag behind PostgreSQL by up to 12 s.
public struct PatroniStatus: Sendable, Equatable {
    public let role: PatroniRole?
    /// `running`, `starting`, `stopping`, `stopped`, …
    public let state: String?
    public let timeline: Int64?
    /// Maintenance mode.
    public let isPaused: Bool
    /// etcd cannot be reached, and the primary stays primary because all members confirmed it.
    public let failsafeModeIsActive: Bool
    /// Nobody holds the leader key, as far as this member knows.
    public let isClusterUnlocked: Bool
    /// Seconds since 1970 when this member last read etcd.
    public let dcsLastSeen: Int64?
    public let name: String?
    public let scope: String?
    /// Patroni's.
    public let version: String?
    /// PostgreSQL's, as a number such as 150020.
    public let serverVersion: Int64?
    public let isRestartPending: Bool
    public let systemIdentifier: String?
    public let replicationState: String?
    public let problems: [String]

    /// Says that it is the primary and runs: necessary, not sufficient, for writes.
    public var isRunningPrimary: Bool { self.role == .primary && self.state == "running" }

    public init(body: some Collection<UInt8>) {
        var reader = FieldReader(body)
        self.role = reader.text("role").map(PatroniRole.init)
        self.state = reader.text("state")
        self.timeline = reader.count("timeline")
        self.isPaused = reader.flag("pause") ?? false
        self.failsafeModeIsActive = reader.flag("failsafe_mode_is_active") ?? false
        self.isClusterUnlocked = reader.flag("cluster_unlocked") ?? false
        self.dcsLastSeen = reader.count("dcs_last_seen")
        self.serverVersion = reader.count("server_version")
        self.isRestartPending = reader.flag("pending_restart") ?? false
        self.systemIdentifier = reader.text("database_system_identifier")
        self.replicationState = reader.text("replication_state")
        let patroni = reader.object("patroni") ?? [:]
        self.name = patroni["name"]?.string
        self.scope = patroni["scope"]?.string
        self.version = patroni["version"]?.string
        self.problems = reader.problems
    }
}

/// What `GET /cluster` answers: from a cache of the asked member, its own Citus group only.
public struct PatroniCluster: Sendable, Equatable {
    public struct Member: Sendable, Equatable {
        public let name: String
        public let role: PatroniRole?
        public let state: String?
        public let host: String?
        public let port: Int64?
        public let apiURL: String?
        public let timeline: Int64?
        /// Bytes behind the leader; nil for the leader and where it is unknown.
        public let lag: Int64?
    }
    public let members: [Member]
    public let isPaused: Bool
    public let scope: String?
    public let problems: [String]

    /// Members beyond this number are ignored.
    private static let memberLimit = 256

    public init(body: some Collection<UInt8>) {
        var reader = FieldReader(body)
        var members: [Member] = []
        for element in (reader.list("members") ?? []).prefix(Self.memberLimit) {
            var fields = FieldReader(element)
            guard let name = fields.text("name") else {
                reader.note("a member without name")
                continue
            }
            members.append(
                Member(
                    name: name,
                    role: fields.text("role").map(PatroniRole.init),
                    state: fields.text("state"),
                    host: fields.text("host"),
                    port: fields.count("port"),
                    apiURL: fields.text("api_url"),
                    timeline: fields.count("timeline"),
                    // `unknown` where Patroni cannot tell.
                    lag: element["lag"]?.int64
                )
            )
            for problem in fields.problems { reader.note("\(name.prefix(64)): \(problem)") }
        }
        self.members = members
        self.isPaused = reader.flag("pause") ?? false
        self.scope = reader.text("scope")
        self.problems = reader.problems
    }
}
