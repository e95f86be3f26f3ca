// SPDX-License-Identifier: Apache-2.0
public import Decision
public import EtcdClient
public import HTTPClient
public import NetworkAddress
public import StatusServer

/// All that the daemon works with, resolved from its configuration files.
public struct SupervisorSettings: Sendable {
    /// One virtual address.
    public struct Address: Hashable, Sendable {
        public var prefix: AddressPrefix
        public var interface: String
        public var acquire: AcquirePolicy
        /// What the operator calls it, for the log and the status.
        public var label: String?

        public init(prefix: AddressPrefix, interface: String, acquire: AcquirePolicy = .writable, label: String? = nil)
        {
            self.prefix = prefix
            self.interface = interface
            self.acquire = acquire
            self.label = label
        }
    }

    public var scope: String
    public var member: String
    /// Patroni's namespace in etcd, such as `/service/`.
    public var namespace: String
    /// The Citus group of this node, where Patroni's Citus mode is in use.
    public var group: Int?
    public var addresses: [Address]
    /// nil: Patroni's own `ttl`.
    public var leaseTTL: Duration?
    public var margin: Duration
    /// By how much clocks may differ in rate, in parts per million; see ``CoreSettings/clockDrift``.
    public var clockDrift: Int
    /// Under which Pharos keeps its keys, such as `/pharos/`.
    public var root: String
    public var etcd: EtcdConfiguration
    public var patroniURL: String
    public var patroniTLS: TLSFiles?
    public var patroniCredentials: Credentials?
    /// libpq's connection string for the local PostgreSQL.
    public var conninfo: String
    public var status: [StatusEndpoint]
    /// Nil where nothing of Citus is to be followed.
    public var citus: Citus?
    public var detector: Detector
    /// Nil where nobody is to be told beside the journal.
    public var alert: Alert?

    /// What is to be followed of Citus.
    public struct Citus: Hashable, Sendable {
        /// The groups' scopes, where each is a Patroni cluster of its own; nil: Patroni's Citus mode.
        public var scopes: [Int: String]?
        /// How other nodes' PostgreSQL is reached: libpq's connection string without host, port and database.
        public var nodeConninfo: String
        /// What the core is told.
        public var core: CitusSettings

        public init(scopes: [Int: String]? = nil, nodeConninfo: String = "user=pharos", core: CitusSettings) {
            self.scopes = scopes
            self.nodeConninfo = nodeConninfo
            self.core = core
        }

        var layout: GroupKeys.Layout { self.scopes.map { .scopes($0) } ?? .citusMode }
        var databases: [String] { self.core.databases }
    }

    /// A command that is run for grave records.
    public struct Alert: Hashable, Sendable {
        /// The absolute path of a program, and its arguments.
        public var command: [String]
        public var timeout: Duration
        /// Records at least as grave are told.
        public var priority: LogPriority

        public init(command: [String], timeout: Duration = .seconds(10), priority: LogPriority = .error) {
            self.command = command
            self.timeout = timeout
            self.priority = priority
        }
    }

    /// How other members are watched.
    public struct Detector: Hashable, Sendable {
        public var profile: DetectorProfile
        /// How many bytes of the write-ahead log a standby may be behind.
        public var lagLimit: Int64
        public var onGrayFailure: GrayPolicy
        /// How other members' PostgreSQL is reached: libpq's connection string without host and port.
        public var nodeConninfo: String

        public init(
            profile: DetectorProfile = .hyperscale, lagLimit: Int64 = 16 << 20, onGrayFailure: GrayPolicy = .alert,
            nodeConninfo: String = "user=pharos"
        ) {
            self.onGrayFailure = onGrayFailure
            self.profile = profile
            self.lagLimit = lagLimit
            self.nodeConninfo = nodeConninfo
        }
    }

    public init(
        scope: String, member: String, namespace: String = "/service/", group: Int? = nil, addresses: [Address],
        leaseTTL: Duration? = nil, margin: Duration = .seconds(2), clockDrift: Int = CoreSettings.usualClockDrift,
        root: String = "/pharos/", etcd: EtcdConfiguration,
        patroniURL: String, patroniTLS: TLSFiles? = nil, patroniCredentials: Credentials? = nil, conninfo: String,
        status: [StatusEndpoint], citus: Citus? = nil, detector: Detector = Detector(),
        alert: Alert? = nil
    ) {
        self.alert = alert
        self.detector = detector
        self.citus = citus
        self.scope = scope
        self.member = member
        self.namespace = namespace
        self.group = group
        self.addresses = addresses
        self.leaseTTL = leaseTTL
        self.margin = margin
        self.clockDrift = clockDrift
        self.root = root
        self.etcd = etcd
        self.patroniURL = patroniURL
        self.patroniTLS = patroniTLS
        self.patroniCredentials = patroniCredentials
        self.conninfo = conninfo
        self.status = status
    }

    /// What the core needs to know of it; `node` identifies this boot.
    func core(node: String) -> CoreSettings {
        CoreSettings(
            member: self.member, node: node,
            addresses: self.addresses.map {
                AddressSpec(
                    id: $0.prefix.address.description, prefixLength: $0.prefix.prefixLength, interface: $0.interface,
                    acquire: $0.acquire)
            }, leaseTTL: self.leaseTTL, margin: self.margin, clockDrift: self.clockDrift, citus: self.citus?.core,
            detector: DetectorSettings(
                self.detector.profile, group: self.memberID.group, watchesAllGroups: self.watchesAllGroups,
                seed: self.seed, lagLimit: self.detector.lagLimit,
                onGrayFailure: self.detector.onGrayFailure))
    }

    /// The groups and where their keys are. Without Citus the cluster is one group, number 0.
    var layout: GroupKeys.Layout {
        if let citus = self.citus { return citus.layout }
        return self.group == nil ? .scopes([0: self.scope]) : .citusMode
    }

    /// This node's member and its group.
    var memberID: MemberID { MemberID(self.citus?.core.group ?? self.group ?? 0, self.member) }

    /// The coordinator's nodes watch every group: what befalls a worker, its own neighbors alone may not live to tell.
    private var watchesAllGroups: Bool { self.memberID.group == 0 && (self.citus != nil || self.group != nil) }

    /// The same for one member, and different for others: FNV-1a, 64 bits.
    private var seed: UInt64 {
        "\(self.scope)/\(self.member)".utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// Whether a running daemon can change over to `other` without a restart.
    func differsOnlyInAddresses(from other: SupervisorSettings) -> Bool {
        self.scope == other.scope && self.member == other.member && self.namespace == other.namespace
            && self.group == other.group && self.root == other.root && self.etcd.endpoints == other.etcd.endpoints
            && self.etcd.username == other.etcd.username && self.etcd.password == other.etcd.password
            && self.etcd.tls == other.etcd.tls && self.patroniURL == other.patroniURL
            && self.patroniTLS == other.patroniTLS && self.patroniCredentials == other.patroniCredentials
            && self.conninfo == other.conninfo && self.status == other.status && self.citus == other.citus
            && self.detector == other.detector && self.alert == other.alert
    }
}
