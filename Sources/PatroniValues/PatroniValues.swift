// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// The value of `leader`: a member's name, in plain text; nil for what cannot be a name. At most 255 bytes.
public func patroniLeader(_ value: [UInt8]) -> String? {
    guard !value.isEmpty, value.count <= 255, let name = String(validating: value, as: UTF8.self) else { return nil }
    return name.unicodeScalars.contains { $0.value < 32 || $0.value == 127 } ? nil : name
}

/// The value of `status`: where the primary's log was at its last loop.
public struct PatroniLog: Sendable, Equatable {
    /// Bytes.
    public let position: Int64?
    /// Where each replication slot is, in bytes.
    public let slots: [String: Int64]
    public let problems: [String]

    public init(value: some Collection<UInt8>) {
        var reader = FieldReader(value)
        self.position = reader.count("optime")
        self.slots = (reader.object("slots") ?? [:]).compactMapValues { $0.int64 }
        self.problems = reader.problems
    }
}

/// The value of `sync`: whom the primary waits for.
public struct PatroniSync: Sendable, Equatable {
    public let leader: String?
    public let standbys: [String]
    /// How many of them must confirm, in quorum mode.
    public let quorum: Int64?
    public let problems: [String]

    public init(value: some Collection<UInt8>) {
        var reader = FieldReader(value)
        self.leader = reader.text("leader")
        let names = reader.text("sync_standby") ?? ""
        self.standbys = names.split(separator: ",").map { String($0.trimmed) }.filter { !$0.isEmpty }
        self.quorum = reader.count("quorum")
        self.problems = reader.problems
    }
}

/// The value of `failsafe`: the members that the primary must reach to stay primary without etcd.
public struct PatroniFailsafe: Sendable, Equatable {
    /// API URLs by the member's name.
    public let members: [String: String]
    public let problems: [String]

    public init(value: some Collection<UInt8>) {
        let json = JSON.parse(value, limit: 1 << 20) ?? .null
        var reader = FieldReader(json)
        var members: [String: String] = [:]
        for (name, url) in json.object ?? [:] {
            if let url = url.string {
                members[name] = url
            } else {
                reader.note("a member's URL is \(url.kind)")
            }
        }
        self.members = members
        self.problems = reader.problems
    }
}

/// The value of `failover`: a switchover or failover that was asked for and not yet done.
public struct PatroniFailover: Sendable, Equatable {
    public let leader: String?
    public let candidate: String?
    /// ISO 8601, as Patroni wrote it.
    public let scheduledAt: String?
    public let problems: [String]

    /// Patroni clears the key by writing `{}`.
    public var isPending: Bool { self.leader != nil || self.candidate != nil }

    public init(value: some Collection<UInt8>) {
        var reader = FieldReader(value)
        self.leader = reader.text("leader")
        self.candidate = reader.text("member")
        self.scheduledAt = reader.text("scheduled_at")
        self.problems = reader.problems
    }
}

/// The value of `history`: every timeline that ended.
public struct PatroniHistory: Sendable, Equatable {
    public struct Entry: Sendable, Equatable {
        public let timeline: Int64
        /// Where the timeline ended, in bytes.
        public let position: Int64
        public let reason: String
        /// ISO 8601; absent in old entries.
        public let time: String?
        /// The member that was promoted; absent in old entries.
        public let leader: String?
    }
    public let entries: [Entry]
    public let problems: [String]

    public init(value: some Collection<UInt8>) {
        guard let list = JSON.parse(value, limit: 1 << 20)?.array else {
            self.entries = []
            self.problems = ["not a list"]
            return
        }
        self.entries = list.compactMap { element in
            guard let fields = element.array, fields.count >= 3, let timeline = fields[0].int64,
                let position = fields[1].int64, let reason = fields[2].string
            else { return nil }
            let time = fields.count > 3 ? fields[3].string : nil
            let leader = fields.count > 4 ? fields[4].string : nil
            return Entry(timeline: timeline, position: position, reason: reason, time: time, leader: leader)
        }
        let odd = list.count - self.entries.count
        self.problems = odd == 0 ? [] : ["\(odd) entries do not fit"]
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = self.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return text
    }
}
