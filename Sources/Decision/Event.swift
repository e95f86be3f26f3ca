// SPDX-License-Identifier: Apache-2.0

/// Everything that the core can learn. The shell delivers each with the current time.
public enum Event: Hashable, Sendable {
    /// The time that ``Core/wakeAt`` named has come.
    case tick
    indirect case reconfigured(CoreSettings)
    /// The operator or systemd wants the daemon to stop.
    case stop
    /// The daemon shall end, and another process of this boot follows at once: everything is left to that one.
    case handOver

    // etcd
    /// A linearizable read, and when it was sent.
    indirect case readAnswered(Snapshot, sentAt: Instant)
    case readFailed(reason: String)
    /// The shell's own read, behind whose revision its watch begins. It answers no ``Action/read``.
    indirect case followed(Snapshot, sentAt: Instant)
    /// A watch delivered changes; `revision` is the newest among them.
    case watched(clusterID: UInt64, revision: Int64, changes: [KeyChange])
    case leaseGranted(AddressID, lease: LeaseID, ttl: Duration, sentAt: Instant)
    case leaseRefused(AddressID, reason: String)
    /// A keep-alive was answered: the lease lives for `ttl` from some moment after `sentAt`, if a leader with a quorum was asked.
    case leaseKept(AddressID, lease: LeaseID, ttl: Duration, sentAt: Instant, by: Answerer)
    /// The lease has ended, says etcd.
    case leaseGone(AddressID, lease: LeaseID)
    /// A keep-alive or a revocation got no usable answer.
    case leaseUnanswered(AddressID, lease: LeaseID, reason: String)
    case leaseRevoked(AddressID, lease: LeaseID)
    /// The acquire transaction was committed at `revision`.
    case acquired(AddressID, lease: LeaseID, revision: Int64, sentAt: Instant, by: Answerer)
    /// The acquire transaction's comparisons failed; this is what stood there instead.
    indirect case acquireRefused(AddressID, lease: LeaseID, found: Snapshot, sentAt: Instant)
    /// The acquire transaction was refused: its lease has ended.
    case acquireFoundNoLease(AddressID, lease: LeaseID)
    /// Whether it was committed is not known.
    case acquireUnanswered(AddressID, lease: LeaseID, reason: String)
    /// The request to mark the etcd cluster, made at `sentAt`, has ended, whatever came of it.
    case markAnswered(reason: String?, sentAt: Instant)

    // The node
    /// What the kernel holds, as listed by a command that began at `since`.
    case inspected(KernelState, since: Instant)
    case inspectionFailed(reason: String)
    /// The kernel reported that a configured address appeared somewhere, or has another lifetime.
    case kernelSaw(KernelState.Found)
    /// The kernel reported that a configured address vanished from there.
    case kernelLost(AddressID, KernelPlace)
    /// The kernel reported a change that may concern us, without saying exactly what.
    case kernelChanged
    /// The interface has its carrier back.
    case linkReturned(interface: String)
    case assigned(AddressID)
    case assignFailed(AddressID, reason: String)
    /// `wasPresent`: false where there was nothing to remove.
    case removed(AddressID, KernelPlace, wasPresent: Bool)
    case removeFailed(AddressID, KernelPlace, reason: String)
    /// Another node answered for an address that we hold.
    case duplicateSeen(AddressID, linkAddress: String)
    case postgres(PostgresState, askedAt: Instant)
    /// The local PostgreSQL has ended the connection over which it is asked.
    case postgresDisconnected
    /// By how much this node's clock runs faster than its hardware since the last time, in parts per million; negative:
    /// slower.
    case clockMeasured(partsPerMillion: Int)
    case patroni(PatroniAnswer, askedAt: Instant)
    case portTried(AddressID, port: UInt16, PortAnswer, askedAt: Instant)

    // Other members, and their groups
    case groups(GroupsEvent)
    indirect case citus(CitusEvent)
    indirect case detector(DetectorEvent)
}

/// A 64-bit lease number of etcd.
public typealias LeaseID = Int64

/// Which etcd gave an answer, as the answer's header says.
public struct Answerer: Hashable, Sendable {
    public let clusterID: UInt64
    /// The term of raft in which the answering member applied its last entry; 0 where it has applied none since its start.
    /// Its leader at that moment was elected in this term, or in a later one.
    public let raftTerm: UInt64

    public init(clusterID: UInt64, raftTerm: UInt64) {
        self.clusterID = clusterID
        self.raftTerm = raftTerm
    }
}

/// What etcd keeps under an address's key.
public struct Holder: Hashable, Sendable {
    public let member: String
    public let node: String
    public let lease: LeaseID
    /// The lease's TTL: a kernel may have been given a lifetime of nearly that. Nil where the key does not tell.
    public let ttl: Duration?

    public init(member: String, node: String, lease: LeaseID, ttl: Duration? = nil) {
        self.member = member
        self.node = node
        self.lease = lease
        self.ttl = ttl
    }
}

/// What matters here of Patroni's dynamic configuration (its key `config`).
public struct DynamicConfig: Hashable, Sendable {
    /// Maintenance mode.
    public var isPaused: Bool
    public var isFailsafeEnabled: Bool
    public var ttl: Duration
    public var loopWait: Duration
    /// What stands in etcd but cannot be read: the values here are not to be used.
    public var unreadable: Fields

    public struct Fields: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let isPaused = Fields(rawValue: 1)
        public static let isFailsafeEnabled = Fields(rawValue: 2)
        public static let ttl = Fields(rawValue: 4)
        public static let loopWait = Fields(rawValue: 8)
    }

    public init(
        isPaused: Bool = false, isFailsafeEnabled: Bool = false, ttl: Duration = .seconds(30),
        loopWait: Duration = .seconds(10), unreadable: Fields = []
    ) {
        self.unreadable = unreadable
        self.isPaused = isPaused
        self.isFailsafeEnabled = isFailsafeEnabled
        self.ttl = ttl
        self.loopWait = loopWait
    }

    /// The TTL of an address's lease, where the operator has chosen none: Patroni's own; with `failsafe_mode` enough to last
    /// until that begins.
    ///
    /// Patroni enters it up to `loop_wait` + 2 x `retry_timeout` after etcd has ceased to answer, which it keeps at most at
    /// `ttl`. By then a sixth of the lease may be gone (the time between two renewals), and 2 s and the clock's drift of
    /// margin, and it may take 1 s until it is asked: (`ttl` + 3 s) / (1 - 1/6 - drift), rounded up to whole seconds.
    public func addressTTL(clockDrift: Int) -> Duration {
        guard self.isFailsafeEnabled else { return self.ttl }
        let share = 5_000_000 - 6 * Int64(clockDrift)
        return .seconds(((self.ttl.components.seconds + 3) * 6_000_000 + share - 1) / share)
    }
}

/// Everything that a linearizable read saw, at one revision.
public struct Snapshot: Hashable, Sendable {
    public var clusterID: UInt64
    public var revision: Int64
    /// See ``Answerer/raftTerm``; 0: not known.
    public var raftTerm: UInt64
    /// The value of Patroni's leader key.
    public var leader: String?
    public var patroni: DynamicConfig?
    /// Nil in a new cluster.
    public var mark: ClusterMark?
    public var isQuarantined: Bool
    /// The holder of each address that has a key; sorted by address.
    public var holders: [AddressHolder]
    /// The trail of each address that has one; sorted by address.
    public var trails: [Addressed<TrailInEtcd>]
    /// Addresses that another Patroni cluster of this etcd holds, and which: only in the answer to an acquisition.
    public var rivals: [Addressed<String>] = []

    public init(
        clusterID: UInt64, revision: Int64, raftTerm: UInt64 = 0, leader: String? = nil, patroni: DynamicConfig? = nil,
        mark: ClusterMark? = nil,
        isQuarantined: Bool = false, holders: [AddressHolder] = [], trails: [Addressed<TrailInEtcd>] = []
    ) {
        self.raftTerm = raftTerm
        self.trails = trails
        self.clusterID = clusterID
        self.revision = revision
        self.leader = leader
        self.patroni = patroni
        self.mark = mark
        self.isQuarantined = isQuarantined
        self.holders = holders
    }
}

/// The etcd cluster that Pharos has settled in, as its key in etcd says.
public struct ClusterMark: Hashable, Sendable {
    /// Nil where what stands there cannot be read: it names no cluster.
    public let clusterID: UInt64?
    /// The revision of its last change: a mark of another revision is another mark.
    public let revision: Int64

    public init(clusterID: UInt64?, revision: Int64) {
        self.clusterID = clusterID
        self.revision = revision
    }
}

public struct AddressHolder: Hashable, Sendable {
    public let address: AddressID
    public let holder: Holder
    public init(address: AddressID, holder: Holder) {
        self.address = address
        self.holder = holder
    }
}

/// What belongs to one address.
public struct Addressed<Value: Hashable & Sendable>: Hashable, Sendable {
    public let address: AddressID
    public let value: Value

    public init(_ address: AddressID, _ value: Value) {
        self.address = address
        self.value = value
    }
}

/// One key's new content; nil where it was deleted.
public enum KeyChange: Hashable, Sendable {
    case leader(String?)
    case patroni(DynamicConfig?)
    case mark(ClusterMark?)
    case quarantine(Bool)
    case holder(AddressID, Holder?)
    case trail(AddressID, TrailInEtcd)
}

/// A place where an address can stand in a kernel.
public struct KernelPlace: Hashable, Sendable {
    public let interface: String
    public let prefixLength: Int
    public init(interface: String, prefixLength: Int) {
        self.interface = interface
        self.prefixLength = prefixLength
    }
}

/// The configured addresses that the kernel holds, wherever they stand, and the interfaces they need.
public struct KernelState: Hashable, Sendable {
    public struct Found: Hashable, Sendable {
        public let address: AddressID
        public let place: KernelPlace
        /// What was left of its lifetime, in whole seconds; nil: it never ends.
        public let lifetime: Duration?
        /// IPv6: the kernel's duplicate detection has failed for it. It is there, and answers nobody.
        public let isDuplicate: Bool
        public init(
            address: AddressID, place: KernelPlace, lifetime: Duration? = .zero, isDuplicate: Bool = false
        ) {
            self.address = address
            self.place = place
            self.lifetime = lifetime
            self.isDuplicate = isDuplicate
        }
    }
    public var found: [Found]
    /// Names of the interfaces that exist and are up.
    public var usableInterfaces: Set<String>
    public var downInterfaces: Set<String>
    /// Those of the interfaces that are up which have no carrier.
    public var severedInterfaces: Set<String>

    public init(
        found: [Found], usableInterfaces: Set<String>, downInterfaces: Set<String> = [],
        severedInterfaces: Set<String> = []
    ) {
        self.found = found
        self.severedInterfaces = severedInterfaces
        self.usableInterfaces = usableInterfaces
        self.downInterfaces = downInterfaces
    }
}

/// What the local PostgreSQL said of itself.
public enum PostgresState: Hashable, Sendable {
    case primary
    /// In recovery: it accepts no writes.
    case standby
    case unreachable(reason: String)
}

/// What the local Patroni's REST API said.
public enum PatroniAnswer: Hashable, Sendable {
    case answered(isRunningPrimary: Bool, isFailsafeActive: Bool)
    case unreachable(reason: String)
}
