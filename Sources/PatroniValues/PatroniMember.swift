// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// The value of `members/NAME`: what a member says about itself every loop_wait. A field that is absent or does not fit
/// is nil; why, is in `problems`.
public struct PatroniMember: Sendable, Equatable {
    public let name: String
    public let role: PatroniRole?
    /// As Patroni says it: `running`, `starting`, `stopping`, `stopped`, `start failed`, …
    public let state: String?
    public let connURL: String?
    public let apiURL: String?
    public let timeline: Int64?
    /// The position in the write-ahead log, in bytes.
    public let xlogLocation: Int64?
    public let replicationState: String?
    public let version: String?
    public let isPaused: Bool
    public let isRestartPending: Bool
    public let tags: PatroniTags
    public let problems: [String]

    public init(name: String, value: some Collection<UInt8>) {
        var reader = FieldReader(value)
        self.name = name
        self.role = reader.text("role").map(PatroniRole.init)
        self.state = reader.text("state")
        self.connURL = reader.text("conn_url")
        self.apiURL = reader.text("api_url")
        self.timeline = reader.count("timeline")
        self.xlogLocation = reader.count("xlog_location")
        self.replicationState = reader.text("replication_state")
        self.version = reader.text("version")
        self.isPaused = reader.flag("pause") ?? false
        self.isRestartPending = reader.flag("pending_restart") ?? false
        self.tags = PatroniTags(reader.object("tags") ?? [:])
        self.problems = reader.problems
    }
}

/// A member's tags: what it may be used for.
public struct PatroniTags: Sendable, Equatable {
    public let noFailover: Bool
    public let noLoadBalance: Bool
    public let noSync: Bool
    public let cloneFrom: Bool
    public let failoverPriority: Int64?

    init(_ tags: [String: JSON]) {
        func flag(_ name: String) -> Bool { tags[name].flatMap(FieldReader.flag) ?? false }
        self.noFailover = flag("nofailover")
        self.noLoadBalance = flag("noloadbalance")
        self.noSync = flag("nosync")
        self.cloneFrom = flag("clonefrom")
        self.failoverPriority = tags["failover_priority"]?.int64
    }
}
