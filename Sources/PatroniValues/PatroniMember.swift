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
    /// Also by a `failover_priority` of 0 or less, unless `nofailover` itself is set.
    public let noFailover: Bool
    public let noLoadBalance: Bool
    /// Also by a `sync_priority` (Patroni 4.1) of 0 or less, unless `nosync` itself is set.
    public let noSync: Bool
    public let cloneFrom: Bool

    init(_ tags: [String: JSON]) {
        func flag(_ name: String) -> Bool { tags[name].flatMap(Self.isTrue) ?? false }
        func isExcluded(_ name: String, _ priority: String) -> Bool {
            tags[name].flatMap(Self.isTrue) ?? tags[priority]?.int64.map { $0 <= 0 } ?? false
        }
        self.noFailover = isExcluded("nofailover", "failover_priority")
        self.noLoadBalance = flag("noloadbalance")
        self.noSync = isExcluded("nosync", "sync_priority")
        self.cloneFrom = flag("clonefrom")
    }

    /// Patroni takes tags as Python takes values for true or false: any text but the empty one is true, also `false`. Nil: it is not
    /// set.
    private static func isTrue(_ value: JSON) -> Bool? {
        switch value {
        case .null: nil
        case .bool(let flag): flag
        case .integer(let number): number != 0
        case .unsigned: true
        case .fraction(let number): number != 0
        case .string(let text): !text.isEmpty
        case .array(let elements): !elements.isEmpty
        case .object(let members): !members.isEmpty
        }
    }
}
