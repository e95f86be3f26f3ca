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

    public init(
        scope: String, member: String, namespace: String = "/service/", group: Int? = nil, addresses: [Address],
        leaseTTL: Duration? = nil, margin: Duration = .seconds(2), root: String = "/pharos/", etcd: EtcdConfiguration,
        patroniURL: String, patroniTLS: TLSFiles? = nil, patroniCredentials: Credentials? = nil, conninfo: String,
        status: [StatusEndpoint]
    ) {
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
            }, leaseTTL: self.leaseTTL, margin: self.margin)
    }

    /// Whether a running daemon can change over to `other` without a restart.
    func differsOnlyInAddresses(from other: SupervisorSettings) -> Bool {
        self.scope == other.scope && self.member == other.member && self.namespace == other.namespace
            && self.group == other.group && self.root == other.root && self.etcd.endpoints == other.etcd.endpoints
            && self.etcd.username == other.etcd.username && self.etcd.password == other.etcd.password
            && self.etcd.tls == other.etcd.tls && self.patroniURL == other.patroniURL
            && self.patroniTLS == other.patroniTLS && self.patroniCredentials == other.patroniCredentials
            && self.conninfo == other.conninfo && self.status == other.status
    }
}
