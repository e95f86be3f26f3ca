// SPDX-License-Identifier: Apache-2.0
public import NetworkAddress

extension AuditFacts {
    /// etcd, as its endpoints answer.
    public struct Etcd: Sendable {
        public struct Status: Sendable {
            public var version = ""
            public var memberID: UInt64 = 0
            public var leaderID: UInt64 = 0
            /// Bytes.
            public var size: Int64 = 0
            /// Bytes that are used of it; nil: this version does not say.
            public var sizeInUse: Int64?
            public var alarms: [String] = []

            public init() {}
        }

        /// What an endpoint serves for Prometheus.
        public struct Figures: Sendable {
            /// Seconds that 99 of 100 writes of the log to the disk take at most.
            public var slowestSync: Double?
            public var leaderChanges: Double?
            /// Bytes.
            public var quota: Double?
            /// Seconds since the process began.
            public var uptime: Double?

            public init() {}
        }

        public struct Member: Sendable {
            public var name = ""
            public var id: UInt64 = 0
            public var clientURLs: [String] = []
            public var isLearner = false

            public init() {}
        }

        /// By URL.
        public var statuses: [String: Fact<Status>] = [:]
        public var figures: [String: Fact<Figures>] = [:]
        public var members: Fact<[Member]> = .unlooked(why: notAsked)

        public init() {}

        /// Those that vote.
        func voters() throws(Unlooked) -> [Member] { try self.members.get().filter { !$0.isLearner } }

        /// Whether a member answers at one of its URLs, or by its number at another.
        func answers(_ member: Member) -> Bool {
            self.statuses.values.contains { $0.value?.memberID == member.id }
                || member.clientURLs.contains { self.statuses[$0]?.value != nil }
        }
    }

    /// This node: kernel, systemd, files.
    public struct Node: Sendable {
        public struct Disk: Sendable {
            public var path = ""
            public var size: Int64 = 0
            public var free: Int64 = 0
            /// Parts of the inodes that are free; nil: the file system counts none.
            public var freeInodes: Double?

            public init() {}
        }

        public struct Interface: Sendable {
            public var name = ""
            public var addresses: [AddressPrefix] = []

            public init() {}
        }

        public struct Certificate: Sendable {
            public var path = ""
            /// Seconds until it is not valid any more.
            public var left: Int64 = 0

            public init() {}
        }

        public struct KeyFile: Sendable {
            public var path = ""
            /// Permission bits.
            public var mode: UInt32 = 0o600

            public init() {}
        }

        /// What `systemctl show` says, by property; by unit without `.service`.
        public var units: [String: Fact<[String: String]>] = [:]
        /// Units of PostgreSQL's own that systemd starts.
        public var postgresUnits: Fact<[String]> = .unlooked(why: notAsked)
        /// Debian's clusters whose start.conf says `auto`.
        public var automaticClusters: Fact<[String]> = .unlooked(why: notAsked)
        /// Whether the watchdog's device is there.
        public var hasWatchdog: Fact<Bool> = .unlooked(why: notAsked)
        /// By name, such as `net.ipv4.ip_nonlocal_bind`.
        public var sysctls: [String: Fact<String>] = [:]
        public var dataDisk: Fact<Disk> = .unlooked(why: notAsked)
        public var walDisk: Fact<Disk> = .unlooked(why: notAsked)
        public var isClockSynchronized: Fact<Bool> = .unlooked(why: notAsked)
        /// Bytes.
        public var swap: Fact<(total: Int64, free: Int64)> = .unlooked(why: notAsked)
        /// Percent of the last 5 minutes in which everything waited for memory.
        public var memoryPressure: Fact<Double> = .unlooked(why: notAsked)
        /// `oom_score_adj` of the postmaster.
        public var postmasterScore: Fact<Int> = .unlooked(why: notAsked)
        public var interfaces: Fact<[Interface]> = .unlooked(why: notAsked)
        public var certificates: Fact<[Certificate]> = .unlooked(why: notAsked)
        public var keyFiles: Fact<[KeyFile]> = .unlooked(why: notAsked)

        public init() {}

        func unit(_ name: String) throws(Unlooked) -> [String: String] {
            guard let fact = self.units[name] else { throw Unlooked("the unit \(name): \(notAsked)") }
            return try fact.get()
        }

        func sysctl(_ name: String) throws(Unlooked) -> String {
            guard let fact = self.sysctls[name] else { throw Unlooked("\(name): \(notAsked)") }
            return try fact.get()
        }
    }
}
