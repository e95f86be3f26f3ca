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

    public init(
        scope: String, member: String, namespace: String = "/service/", group: Int? = nil, addresses: [Address],
        leaseTTL: Duration? = nil, margin: Duration = .seconds(2), root: String = "/pharos/", etcd: EtcdConfiguration,
        patroniURL: String, patroniTLS: TLSFiles? = nil, patroniCredentials: Credentials? = nil, conninfo: String,
        status: [StatusEndpoint], citus: Citus? = nil
    ) {
        self.citus = citus
        self.scope = scope
        self.member = member
        self.namespace = namespace
        self.group = group
        self.addresses = addresses
        self.leaseTTL = leaseTTL
        self.margin = margin
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
            }, leaseTTL: self.leaseTTL, margin: self.margin, citus: self.citus?.core)
    }

    /// Whether a running daemon can change over to `other` without a restart.
    func differsOnlyInAddresses(from other: SupervisorSettings) -> Bool {
        self.scope == other.scope && self.member == other.member && self.namespace == other.namespace
            && self.group == other.group && self.root == other.root && self.etcd.endpoints == other.etcd.endpoints
            && self.etcd.username == other.etcd.username && self.etcd.password == other.etcd.password
            && self.etcd.tls == other.etcd.tls && self.patroniURL == other.patroniURL
            && self.patroniTLS == other.patroniTLS && self.patroniCredentials == other.patroniCredentials
            && self.conninfo == other.conninfo && self.status == other.status && self.citus == other.citus
    }
}
