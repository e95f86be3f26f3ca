// SPDX-License-Identifier: Apache-2.0
public import Decision
public import NetworkAddress
public import Secrets

/// The configuration of one daemon, complete and checked: what pharos.yml says, what it leaves to patroni.yml, and the
/// defaults for the rest. A value; reloading makes another one.
///
/// Patroni's environment variables (`PATRONI_…`) belong to another process: they are read from the files that pharos.yml names.
public struct Settings: Sendable, Equatable {
    /// Which of the host's daemons these are for, by their file's path.
    public var instance = DaemonInstance()
    /// The cluster's name: Patroni's `scope`.
    public var scope: String
    /// This node's name in the cluster: Patroni's `name`.
    public var member: String
    /// The root of Patroni's keys in etcd, with a slash at both ends: `/service/`, or `/` alone.
    public var namespace: String
    /// The Citus group of this node in Patroni's Citus mode, 0 for the coordinator; nil without that mode.
    public var group: Int?
    public var etcd: Etcd
    public var patroni: Patroni
    public var postgres: Postgres
    /// At least one unless Citus is followed, at most ``addressLimit``; no address twice.
    public var addresses: [Address]
    public var lease: Lease
    /// What is followed of Citus; nil for nothing.
    public var citus: Citus?
    public var detector: Detector
    /// Nil where nobody is to be told beside the journal.
    public var alert: Alert?
    public var status: Status
    /// Every setting as `pharos check-config` prints it, in a fixed order. Secrets are redacted.
    public var provenance: [EffectiveSetting]
    /// What can be used but deserves a look.
    public var warnings: [Diagnostic]

    public static let addressLimit = 64
    public static let endpointLimit = 16

    /// How etcd is reached.
    public struct Etcd: Sendable, Equatable {
        /// What is done with the URLs that etcd's members announce. `ignore` where the endpoints are proxies, or all that may be
        /// used: Patroni's `use_proxies`.
        public enum Members: String, Sendable, CaseIterable { case learn, ignore }

        /// A domain whose SRV records name the endpoints: Patroni's `srv` and `srv_suffix`.
        public struct Discovery: Sendable, Equatable, CustomStringConvertible {
            public var domain: String
            public var suffix: String?

            public init(domain: String, suffix: String? = nil) {
                self.domain = domain
                self.suffix = suffix
            }

            public var description: String { self.suffix.map { "\(self.domain) (suffix \($0))" } ?? self.domain }
        }

        /// URLs without a path or a slash at the end, such as `http://10.0.0.1:2379`. At least one; none twice. With `discovery`
        /// there may be none, and they count only until its records name others.
        public var endpoints: [String]
        /// Nil: `endpoints` are all that is known beforehand.
        public var discovery: Discovery?
        public var members = Members.learn
        public var username: String?
        public var password: Secret?
        public var tls: CertificatePaths
    }

    /// How this node's Patroni is reached.
    public struct Patroni: Sendable, Equatable {
        /// A URL without a path or a slash at the end, such as `http://127.0.0.1:8008`.
        public var url: String
        public var username: String?
        public var password: Secret?
        public var tls: CertificatePaths
    }

    /// PEM files for TLS as absolute paths, each readable when the settings were loaded.
    public struct CertificatePaths: Sendable, Equatable {
        /// The authorities to trust; nil for the system's.
        public var caFile: String?
        /// The client's certificate.
        public var certFile: String?
        /// The client's key; nil without a certificate, or when the certificate's file holds it too.
        public var keyFile: String?

        public init(caFile: String? = nil, certFile: String? = nil, keyFile: String? = nil) {
            self.caFile = caFile
            self.certFile = certFile
            self.keyFile = keyFile
        }
    }

    /// How this node's PostgreSQL is reached.
    public struct Postgres: Sendable, Equatable {
        /// A libpq connection string without a password.
        public var conninfo: String
    }

    /// An address that follows the leader.
    public struct Address: Sendable, Equatable {
        public var prefix: AddressPrefix
        /// The interface's name. Whether it exists is known only when it is used.
        public var interface: String
        public var acquire: AcquirePolicy
        /// Where clients connect to, tried while the address is here; nil: not tried.
        public var port: UInt16?
        /// A name for people; nil for none.
        public var label: String?
    }

    public struct Lease: Sendable, Equatable {
        /// A whole request to etcd takes this at most, and no more than this part of the TTL: one that fails can be repeated twice
        /// before the address lapses.
        package static let longestRequest: Duration = .seconds(5)
        package static let requestsPerTTL = 4

        /// Whole seconds, 5 at least. Nil: as long as Patroni's, whatever that is at the time; somewhat longer with its
        /// `failsafe_mode`.
        public var ttl: Duration?
        /// How much earlier than the etcd lease the kernel's lifetime ends, at least 1.5 s.
        public var margin: Duration
        /// By how much the clocks of two machines may differ in rate, in parts per million.
        public var clockDrift: Int
        /// The root of Pharos's own keys, with a slash at both ends.
        public var root: String
        /// Limit on a whole request to etcd. No key of its own: it follows from the TTL.
        public var requestTimeout: Duration
    }

    /// How `pg_dist_node` is kept.
    public struct Citus: Sendable, Equatable {
        public static let databaseLimit = 32
        public static let groupLimit = 64

        /// What the core is told. At least one database; none twice.
        public var core: CitusSettings
        /// The groups' scopes where each is a Patroni cluster of its own; nil in Patroni's Citus mode.
        public var scopes: [Int: String]?
        /// How other nodes' PostgreSQL is reached: a libpq connection string without a password.
        public var nodeConninfo: String
    }

    /// A command that is run for grave records.
    public struct Alert: Sendable, Equatable {
        /// syslog's names of priorities.
        public enum Priority: String, Sendable, CaseIterable {
            case critical, error, warning, notice

            /// syslog's number: the smaller, the graver.
            public var severity: Int {
                switch self {
                case .critical: 2
                case .error: 3
                case .warning: 4
                case .notice: 5
                }
            }
        }

        /// The absolute path of a program, and its arguments.
        public var command: [String]
        public var timeout: Duration
        /// Records at least as grave are told.
        public var priority: Priority
    }

    /// How other members are watched.
    public struct Detector: Sendable, Equatable {
        public var profile: DetectorProfile
        /// How many bytes of the write-ahead log a standby may be behind.
        public var lagLimit: Int64
        /// What is done about a leader that holds its key and cannot be used.
        public var onGrayFailure: GrayPolicy
        /// How other members' PostgreSQL is reached: a libpq connection string without a password.
        public var nodeConninfo: String
    }

    public struct Status: Sendable, Equatable {
        /// The path of the unix socket that answers `pharos status`.
        public var socket: String
        /// Where to answer HTTP over TCP; nil for nowhere.
        public var listen: ListenAddress?
    }

    /// Whether a running daemon can change over to `other` without a restart: whether they differ in nothing but addresses and
    /// lease (but for its root). Whatever is not named here needs a restart, and so does every setting that is added to this type.
    public func differsOnlyInAddresses(from other: Settings) -> Bool {
        var changed = self
        changed.addresses = other.addresses
        changed.lease.ttl = other.lease.ttl
        changed.lease.margin = other.lease.margin
        changed.lease.clockDrift = other.lease.clockDrift
        changed.lease.requestTimeout = other.lease.requestTimeout
        changed.provenance = other.provenance
        changed.warnings = other.warnings
        return changed == other
    }

    /// The keys, other than of what can change in a running daemon, whose values are others there; without values. Empty where only
    /// secrets are.
    public func keysOfDifferences(from other: Settings) -> [String] {
        func fixed(_ settings: Settings) -> [String: String] {
            let changeable = ["addresses[", "lease.ttl", "lease.margin", "lease.clock_drift"]
            let kept = settings.provenance.filter { setting in
                !changeable.contains { setting.key.hasPrefix($0) }
            }
            return Dictionary(kept.map { ($0.key, $0.value) }) { $1 }
        }
        let (one, two) = (fixed(self), fixed(other))
        return Set(one.keys).union(two.keys).filter { one[$0] != two[$0] }.sorted()
    }

    /// Every secret in here, to be kept out of logs.
    public var secrets: [Secret] { [self.etcd.password, self.patroni.password].compactMap(\.self) }
}

/// An address of this host and a TCP port.
public struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    public var address: IPAddress
    public var port: UInt16

    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// `127.0.0.1:8009` or `[::1]:8009`.
    public var description: String {
        self.address.isIPv6 ? "[\(self.address)]:\(self.port)" : "\(self.address):\(self.port)"
    }
}

/// One setting in effect, as text, and where it came from.
public struct EffectiveSetting: Sendable, Hashable, CustomStringConvertible {
    /// Dotted, such as `etcd.endpoints` or `addresses[0].interface`.
    public var key: String
    /// Empty when the setting is not set; `[redacted]` for a secret.
    public var value: String
    /// `FILE:LINE`, or `default`.
    public var source: String

    public init(key: String, value: String, source: String) {
        self.key = key
        self.value = value
        self.source = source
    }

    public var description: String { "\(self.key) = \(self.value)  (\(self.source))" }
}
