// SPDX-License-Identifier: Apache-2.0

extension Core {
    /// Whether etcd's history is known to continue what this node remembers, for every address.
    package var trustsHistory: Bool { self.leases.allSatisfy { $0.trust == .trusted } }

    /// What is believed of etcd, by reads and watch events; nil before the first read.
    public var believedSnapshot: Snapshot? {
        guard let view = self.node.view else { return nil }
        return Snapshot(
            clusterID: view.clusterID, revision: view.revision, leader: view.leader.value,
            patroni: view.isConfigKnown ? self.node.config : nil, mark: view.mark.value,
            isQuarantined: view.isQuarantined.value,
            holders: self.leases.compactMap { lease in
                lease.holder.value.map { AddressHolder(address: lease.id, holder: $0) }
            })
    }

    /// Whether etcd answered the last read.
    public var hasContact: Bool { self.node.hasView && self.node.contactLostAt == nil }

    /// Whether it was told to stop, and to give everything back.
    public var isStopping: Bool { self.node.isStopping }

    /// The member that the leader key names, as far as is known.
    public var leader: String? { self.node.leader }

    /// What the local PostgreSQL said last; nil where it is not asked now, since what it said before may be long past.
    public var postgres: PostgresState? {
        self.node.isLeader || self.leases.contains(where: \.isInMaintenance) ? self.node.postgres : nil
    }

    /// Why the kernel's addresses cannot be listed at present, so that nobody has looked where they are; nil: they were.
    public var listingFailure: String? { self.inspectionFailure }

    /// For so long a right to an address may be in force at most, whichever etcd cluster it came from.
    public func longestTTL(at now: Instant) -> Duration {
        self.leases.map(\.longestTrailTTL).reduce(self.node.longestTTL(at: now), max)
    }

    /// Whether Patroni's failsafe mode covers this node's addresses: a right that came from no etcd, and that none ends by being
    /// another one.
    public func isCoveredByFailsafe(at now: Instant) -> Bool { self.node.isCoveredByFailsafe(at: now) }

    /// How many addresses are looked after, retired ones included until they are gone.
    public var addressCount: Int { self.leases.count }

    public var addressStatuses: [AddressStatus] {
        self.leases.map { lease in
            AddressStatus(
                id: lease.id, prefixLength: lease.spec.prefixLength, interface: lease.spec.interface,
                stance: lease.stance, isHere: lease.isHere,
                holder: lease.holder.value?.member, lease: lease.key.lease?.id,
                until: lease.kernel.until, interfaceState: lease.interfaceState,
                port: self.ports.first { $0.address == lease.id }?.status)
        }
    }
}

/// What is known and thought of one address.
public struct AddressStatus: Hashable, Sendable {
    public let id: AddressID
    public let prefixLength: Int
    public let interface: String
    public let stance: Stance
    /// Whether this node's kernel holds it.
    public let isHere: Bool
    /// The member that its key names.
    public let holder: String?
    /// Our lease, if there is one.
    public let lease: LeaseID?
    /// The end of the lifetime that the kernel was given.
    public let until: Instant?
    public let interfaceState: InterfaceState
    /// Whether clients find somebody there; nil where that is not tried.
    public let port: PortStatus?
}
