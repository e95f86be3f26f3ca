// SPDX-License-Identifier: Apache-2.0
public import Decision
public import NetworkAddress
public import Secrets

/// The configuration of one daemon, complete and checked: what pharos.yml says, what it leaves to patroni.yml, and the
/// defaults for the rest. A value; reloading makes another one.
///
/// Patroni's environment variables (`PATRONI_…`) are not read: they belong to another process. What Patroni is told
/// through them has to be said in pharos.yml.
public struct Settings: Sendable, Equatable {
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
    /// What Patroni's file says about its timing. Only a hint: the truth is in etcd and can change at any time.
    public var hints: Hints
    /// Every setting as `pharos check-config` prints it, in a fixed order. Secrets are redacted.
    public var provenance: [EffectiveSetting]
    /// What can be used but deserves a look.
    public var warnings: [Diagnostic]

    public static let addressLimit = 64
    public static let endpointLimit = 16

    /// How etcd is reached.
    public struct Etcd: Sendable, Equatable {
        /// URLs without a path or a slash at the end, such as `http://10.0.0.1:2379`. At least one; none twice.
        public var endpoints: [String]
        public var username: String?
        public var password: Secret?
        public var tls: TLSFiles
    }

    /// How this node's Patroni is reached.
    public struct Patroni: Sendable, Equatable {
        /// A URL without a path or a slash at the end, such as `http://127.0.0.1:8008`.
        public var url: String
        public var username: String?
        public var password: Secret?
        public var tls: TLSFiles
    }

    /// PEM files for TLS as absolute paths, each readable when the settings were loaded.
    public struct TLSFiles: Sendable, Equatable {
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
        public var acquire: Acquire
        /// A name for people; nil for none.
        public var label: String?
    }

    /// When the leader's node may take an address.
    public enum Acquire: String, Sendable, Equatable, CaseIterable {
        /// Once PostgreSQL there is out of recovery.
        case writable
        /// As soon as Patroni's leader key names the member.
        case leaderKey = "leader_key"
    }

    public struct Lease: Sendable, Equatable {
        public var ttl: TTL
        /// How much earlier than the etcd lease the kernel's lifetime ends, at least 1.5 s.
        public var margin: Duration
        /// By how much the clocks of two machines may differ in rate, in parts per million.
        public var clockDrift: Int
        /// The root of Pharos's own keys, with a slash at both ends.
        public var root: String
    }

    /// How long an address's lease in etcd lives.
    public enum TTL: Sendable, Equatable {
        /// As long as Patroni's, whatever that is at the time; somewhat longer with its `failsafe_mode`.
        case patroni
        /// Whole seconds, 5 at least.
        case fixed(seconds: Int)
    }

    /// How `pg_dist_node` is kept.
    public struct Citus: Sendable, Equatable {
        public static let databaseLimit = 32
        public static let groupLimit = 64

        /// Who writes.
        public enum Mode: String, Sendable, CaseIterable { case own, reconcile, observe }
        /// Whether standbys are registered for reading.
        public enum Secondaries: String, Sendable, CaseIterable { case ignore, register }
        /// What is done about groups that `pg_dist_node` does not have.
        public enum AddGroups: String, Sendable, CaseIterable { case never, ask, auto }

        /// This node's group; 0 is the coordinator's.
        public var group: Int
        /// At least one; none twice.
        public var databases: [String]
        public var mode: Mode
        /// How long something must have been wrong before Pharos acts beside another writer.
        public var settle: Duration
        /// The groups' scopes where each is a Patroni cluster of its own; nil in Patroni's Citus mode.
        public var scopes: [Int: String]?
        public var secondaries: Secondaries
        public var addGroups: AddGroups
        /// Per group, the text for `pg_dist_poolinfo`, with `{host}` and `{port}` for the leader's.
        public var poolInfo: [Int: String]
        /// How other nodes' PostgreSQL is reached: a libpq connection string without a password.
        public var nodeConninfo: String
    }

    /// A command that is run for grave records.
    public struct Alert: Sendable, Equatable {
        /// syslog's names of priorities.
        public enum Priority: String, Sendable, CaseIterable { case critical, error, warning, notice }

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

    /// What `bootstrap.dcs` of Patroni's file said when the cluster was made.
    public struct Hints: Sendable, Equatable {
        /// Seconds.
        public var ttl: Int?
        /// Seconds.
        public var loopWait: Int?
    }

    /// What the keys of this node's Patroni begin with: `/service/demo/`, in Citus mode `/service/demo/0/`.
    public var patroniKeys: String {
        "\(self.namespace)\(self.scope)/" + (self.group.map { "\($0)/" } ?? "")
    }

    /// What the keys of the cluster's addresses begin with: `/pharos/demo/address/`.
    public var addressKeys: String { "\(self.lease.root)\(self.scope)/address/" }

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
