// SPDX-License-Identifier: Apache-2.0

extension AuditFacts {
    /// What one PostgreSQL says of itself.
    public struct Server: Sendable {
        /// As `pg_settings` shows it, in the unit that stands beside it.
        public struct Setting: Sendable, Equatable {
            public var value: String
            public var unit: String?
            /// It takes effect with a restart.
            public var isPending: Bool

            public init(_ value: String, unit: String? = nil, isPending: Bool = false) {
                self.value = value
                self.unit = unit
                self.isPending = isPending
            }
        }

        public struct Sender: Sendable {
            public var name = ""
            public var state = "streaming"
            public var isSynchronous = false
            /// Bytes that its replay is behind.
            public var lag: Int64?

            public init() {}
        }

        public struct Slot: Sendable {
            public var name = ""
            public var isActive = true
            /// Bytes of the write-ahead log that it keeps.
            public var retained: Int64?
            /// `reserved`, `extended`, `unreserved`, `lost`.
            public var walStatus: String?

            public init() {}
        }

        public struct Archiver: Sendable {
            public var failures: Int64 = 0
            /// Seconds since; nil: never.
            public var lastSuccess: Double?
            public var lastFailure: Double?

            public init() {}
        }

        /// A line of pg_hba.conf, as the server has read it.
        public struct HBALine: Sendable {
            public var type = "host"
            public var databases: [String] = []
            public var users: [String] = []
            /// An address, a name, `all`, `samenet` or `samehost`.
            public var address: String?
            public var mask: String?
            public var method = ""
            /// Why the server cannot use it.
            public var error: String?

            public init() {}
        }

        public var isInRecovery = false
        /// Such as 150020.
        public var version = 0
        public var settings: [String: Setting] = [:]
        /// Settings that there are and that the role may not see.
        public var hidden: Set<String> = []
        public var senders: Fact<[Sender]> = .unlooked(why: notAsked)
        public var slots: Fact<[Slot]> = .unlooked(why: notAsked)
        public var archiver: Fact<Archiver> = .unlooked(why: notAsked)
        /// Sessions of clients.
        public var connections: Fact<Int64> = .unlooked(why: notAsked)
        /// Background workers that run, of those that `max_worker_processes` counts.
        public var workers: Fact<Int64> = .unlooked(why: notAsked)
        /// Ages of prepared transactions in seconds.
        public var prepared: Fact<[Double]> = .unlooked(why: notAsked)
        /// Bytes of the write-ahead log per second, on average since its statistics began.
        public var walRate: Fact<Double> = .unlooked(why: notAsked)
        /// Age of the oldest transaction id of any database.
        public var transactionAge: Fact<Int64> = .unlooked(why: notAsked)
        /// Databases whose collation is of another version than the one that the system has now.
        public var collations: Fact<[String]> = .unlooked(why: notAsked)
        public var hba: Fact<[HBALine]> = .unlooked(why: notAsked)
        /// Seconds that its clock is ahead of this node's, as far as the way there lets it be told.
        public var clockOffset: Fact<Double> = .unlooked(why: notAsked)
        /// The version of Citus's extension; nil: not in the database that was asked.
        public var citusVersion: String?

        public init() {}

        /// Its major version: 15.
        var major: Int { self.version / 10_000 }

        /// A setting; nil where this version has none of that name.
        func setting(_ name: String) throws(Unlooked) -> Setting? {
            if self.hidden.contains(name) {
                throw Unlooked(
                    "\(name) is shown only to members of pg_read_all_settings (GRANT pg_read_all_settings TO the role that asks)"
                )
            }
            guard !self.settings.isEmpty else { throw Unlooked("its settings could not be read") }
            return self.settings[name]
        }

        func text(_ name: String) throws(Unlooked) -> String? { try self.setting(name)?.value }

        func number(_ name: String) throws(Unlooked) -> Int64? { try self.text(name).flatMap { Int64($0) } }

        func isOn(_ name: String) throws(Unlooked) -> Bool? { try self.text(name).map { $0 == "on" } }

        /// A size, in bytes; what is negative stays as it is.
        func bytes(_ name: String) throws(Unlooked) -> Int64? {
            guard let setting = try self.setting(name), let number = Int64(setting.value) else { return nil }
            guard number > 0 else { return number }
            let factors: [String: Int64] = [
                "B": 1, "kB": 1 << 10, "8kB": 1 << 13, "16kB": 1 << 14, "32kB": 1 << 15, "MB": 1 << 20, "16MB": 1 << 24,
                "GB": 1 << 30,
            ]
            let (bytes, overflows) = number.multipliedReportingOverflow(by: factors[setting.unit ?? "B"] ?? 1)
            return overflows ? .max : bytes
        }

        /// A time, in milliseconds.
        func milliseconds(_ name: String) throws(Unlooked) -> Int64? {
            guard let setting = try self.setting(name), let number = Int64(setting.value) else { return nil }
            let factors: [String: Int64] = ["ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000]
            let (time, overflows) = number.multipliedReportingOverflow(by: factors[setting.unit ?? "ms"] ?? 1)
            return overflows ? .max : time
        }
    }
}
