// SPDX-License-Identifier: Apache-2.0

/// The canonical text of a virtual address, without prefix length: `10.10.10.3`, `fd00::3`. Also the name of its key.
public typealias AddressID = String

/// What an address's holder must be, besides the member that Patroni's leader key names.
public enum AcquirePolicy: String, Hashable, Sendable, CaseIterable {
    /// Its PostgreSQL must be out of recovery: an address that answers is an address that accepts writes.
    case writable
    /// Nothing more.
    case leaderKey = "leader_key"
}

/// One virtual address as configured.
public struct AddressSpec: Hashable, Sendable {
    public let id: AddressID
    public let prefixLength: Int
    public let interface: String
    public let acquire: AcquirePolicy
    /// Where clients connect to: tried while the address is here; nil: not tried.
    public let port: UInt16?

    public init(
        id: AddressID, prefixLength: Int, interface: String, acquire: AcquirePolicy, port: UInt16? = nil
    ) {
        self.port = port
        self.id = id
        self.prefixLength = prefixLength
        self.interface = interface
        self.acquire = acquire
    }

    /// The place in the kernel where the address belongs.
    public var place: KernelPlace { KernelPlace(interface: self.interface, prefixLength: self.prefixLength) }

    /// Whether the address belongs there: on its interface, with the configured prefix length or alone (IPv4 /32, IPv6
    /// /128), as it stands beside addresses of the node's own. Whoever carries ``Action/assign(_:until:isPresent:)`` out
    /// chooses between the two.
    func belongs(in place: KernelPlace) -> Bool {
        guard place.interface == self.interface else { return false }
        return place.prefixLength == self.prefixLength || place.prefixLength == (self.id.contains(":") ? 128 : 32)
    }
}

/// What the core is told once, and again at each reload.
public struct CoreSettings: Hashable, Sendable {
    /// This node's name in Patroni.
    public var member: String
    /// Identifies this boot of this node; a lease is adopted only by the boot that acquired it.
    public var node: String
    public var addresses: [AddressSpec]
    /// Time to live of the address leases; nil: what Patroni's dynamic configuration says (`ttl`).
    public var leaseTTL: Duration?
    /// How much earlier than the lease the kernel's lifetime ends, before ``clockDrift`` of the TTL is added.
    ///
    /// It must cover the kernel's lateness in removing an address (up to 1.0 s: its timer runs for all addresses together,
    /// and after each run not again for one second) and the guard on the command that sets the lifetime (0.5 s): at least
    /// 1.5 s.
    public var margin: Duration
    /// By how much this node's clock may run slower than that of etcd's leader, in parts per million.
    public var clockDrift: Int
    /// How long answers may take.
    public var limits: AnswerLimits
    /// Nil where nothing of Citus is to be followed.
    public var citus: CitusSettings?
    /// Nil where no other member is watched.
    public var detector: DetectorSettings?

    public init(
        member: String, node: String, addresses: [AddressSpec], leaseTTL: Duration? = nil,
        margin: Duration = .seconds(2), clockDrift: Int = Self.usualClockDrift,
        limits: AnswerLimits = AnswerLimits(), citus: CitusSettings? = nil, detector: DetectorSettings? = nil
    ) {
        self.clockDrift = clockDrift
        self.limits = limits
        self.detector = detector
        self.citus = citus
        self.member = member
        self.node = node
        self.addresses = addresses
        self.leaseTTL = leaseTTL
        self.margin = margin
    }

    /// 9 %: one clock that chrony corrects as fast as its default allows (`maxslewrate`, 83 333 ppm), and one that is right.
    public static let usualClockDrift = 90_000
}

/// What each address's decision takes from the settings. It is passed with every event, and therefore small.
struct LeaseSettings: Sendable {
    let member: String
    let node: String
    let leaseTTL: Duration?
    private let margin: Duration
    /// In parts per million.
    let clockDrift: Int

    init(_ settings: CoreSettings) {
        self.clockDrift = settings.clockDrift
        self.member = settings.member
        self.node = settings.node
        self.leaseTTL = settings.leaseTTL
        self.margin = settings.margin
    }

    /// The whole margin for a lease of `ttl`.
    func margin(for ttl: Duration) -> Duration { self.margin + ttl.share(self.clockDrift) }
}

extension Duration {
    /// So many parts per million of it, at most all of it. Divided first: a peer may have sent the longest duration there is.
    func share(_ partsPerMillion: Int) -> Duration {
        // By its attoseconds: the library's operators take several times as long, and every decision asks.
        Duration(attoseconds: self.attoseconds / 1_000_000 * Int128(partsPerMillion))
    }
}
