// SPDX-License-Identifier: Apache-2.0
public import LenientJSON

/// Patroni's dynamic configuration as it is stored, and as Patroni uses it.
public struct DynamicConfiguration: Sendable {
    let json: JSON

    public init(_ json: JSON) { self.json = json }

    /// What stands there; nil: nothing, and Patroni's default counts.
    func number(_ name: String) -> Int64? { self.json[name]?.int64 }

    /// Whether something stands there.
    func has(_ name: String) -> Bool { self.json[name] != nil }

    /// What stands there as text; nil: nothing.
    func text(_ name: String) -> String? { Self.text(self.json[name]) }

    /// As Patroni reads a flag.
    func flag(_ name: String, default usual: Bool = false) -> Bool {
        Self.flag(self.json[name]) ?? usual
    }

    /// A flag or a text of the section `postgresql`.
    func postgresFlag(_ name: String) -> Bool? { Self.flag(self.json["postgresql"]?[name]) }
    func postgresText(_ name: String) -> String? { Self.text(self.json["postgresql"]?[name]) }

    /// A key of `postgresql.recovery_conf`, as earlier configurations have it.
    func recoveryText(_ name: String) -> String? { Self.text(self.json["postgresql"]?["recovery_conf"]?[name]) }

    /// Every value that is no section of its own, by its name.
    var scalars: [String: String] { (self.json.object ?? [:]).compactMapValues { Self.text($0) } }

    private static func flag(_ value: JSON?) -> Bool? {
        switch value {
        case .bool(let flag)?: flag
        case .integer(let number)?: number != 0
        case .string(let text)?: ["on", "true", "yes", "1"].contains(text.lowercased())
        case .null?, .unsigned?, .fraction?, .array?, .object?, nil: nil
        }
    }

    private static func text(_ value: JSON?) -> String? {
        switch value {
        case .bool(let flag)?: flag ? "true" : "false"
        case .integer(let number)?: "\(number)"
        case .fraction(let number)?: "\(number)"
        case .string(let text)?: text
        case .null?, .unsigned?, .array?, .object?, nil: nil
        }
    }

    /// Seconds, as Patroni uses them.
    struct Times: Equatable {
        var ttl: Int64
        var loopWait: Int64
        var retryTimeout: Int64

        /// As stored, with Patroni's defaults.
        init(stored config: DynamicConfiguration) {
            self.ttl = config.number("ttl") ?? 30
            self.loopWait = config.number("loop_wait") ?? 10
            self.retryTimeout = config.number("retry_timeout") ?? 10
        }

        /// What Patroni makes of them: minima of 20, 1 and 3, and loop_wait + 2 x retry_timeout <= ttl.
        var used: Times {
            var used = self
            used.ttl = max(20, self.ttl)
            used.loopWait = max(1, self.loopWait)
            used.retryTimeout = max(3, self.retryTimeout)
            if 1 + 2 * used.retryTimeout > used.ttl {
                used.loopWait = 1
                used.retryTimeout = (used.ttl - 1) / 2
            } else if used.loopWait + 2 * used.retryTimeout > used.ttl {
                used.loopWait = used.ttl - 2 * used.retryTimeout
            }
            return used
        }

        var text: String { "ttl \(self.ttl), loop_wait \(self.loopWait), retry_timeout \(self.retryTimeout)" }
    }

    var times: Times { Times(stored: self) }

    enum Synchronous: Equatable { case off, on, quorum }

    var synchronous: Synchronous {
        if self.text("synchronous_mode")?.lowercased() == "quorum" { return .quorum }
        return self.flag("synchronous_mode") ? .on : .off
    }

    var isPaused: Bool { self.flag("pause") }

    /// Bytes.
    var lagLimit: Int64 { self.number("maximum_lag_on_failover") ?? 1 << 20 }
}

extension AuditFacts {
    /// What Patroni's own file on this node says of what the rules look at. Holds no secret.
    public struct PatroniLocal: Sendable {
        /// `off`, `automatic` or `required`.
        public var watchdogMode = "automatic"
        public var watchdogDevice = "/dev/watchdog"
        /// `restapi.listen`.
        public var restListen: String?
        public var hasRestAuthentication = false
        public var hasRestTLS = false
        public var hasRestAllowlist = false
        /// `none`, `optional` or `required`.
        public var restVerifiesClients = "none"
        /// What is run on events, by event.
        public var callbacks: [String: String] = [:]
        /// Whether a section `etcd`, of the v2 API, is the one that counts.
        public var usesEtcdV2 = false
        /// The plain values of `bootstrap.dcs`.
        public var bootstrap: [String: String] = [:]
        /// The names of logins whose password is the one of a template.
        public var templatePasswords: [String] = []
        /// Whether an old primary's data may be deleted without a question.
        public var removesDataOnRewindFailure = false
        public var removesDataOnDivergence = false
        public var replicationUser: String?

        public init() {}
    }

    /// Patroni's keys of one group.
    public struct PatroniState: Sendable {
        public struct Member: Sendable {
            public var name = ""
            /// `primary`, `replica`, …
            public var role: String?
            /// `running`, `streaming`, …
            public var state: String?
            /// Where clients and standbys reach its PostgreSQL.
            public var host: String?
            public var port = 5432
            public var apiURL: String?
            public var timeline: Int64?
            /// Bytes in the write-ahead log.
            public var position: Int64?
            public var replicationState: String?
            public var version: String?
            public var mayLead = true
            public var maySync = true

            public init() {}

            var isRunning: Bool { ["running", "streaming", "in archive recovery"].contains(self.state ?? "") }
        }

        public var leader: String?
        public var members: [Member] = []
        /// The synchronous standbys.
        public var synchronous: [String] = []
        /// Members whose REST API must answer for a primary to stay one without etcd, with their URLs; nil: no such key.
        public var failsafe: [String: String]?
        /// A switchover that is planned for later: when, in Patroni's words.
        public var scheduled: String?
        public var systemIdentifier: String?

        public init() {}

        func member(_ name: String) -> Member? { self.members.first { $0.name == name } }
        var others: [Member] { self.members.filter { $0.name != self.leader } }
    }

    /// What a member's Patroni answers to `/patroni`.
    public struct RestAnswer: Sendable {
        public var version: String?
        public var systemIdentifier: String?
        public var isRestartPending = false
        /// The settings that wait for a restart, where Patroni names them.
        public var pendingSettings: [String] = []
        /// A restart that is planned: when.
        public var scheduledRestart: String?

        public init() {}
    }
}
