// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import LeaseKeys
import PatroniValues
import PostgresClient
import Settings
import StatusServer
import VirtualAddress

/// What the limits come to together, when everything that is limited is at its limit at the same moment.
extension Limits {
    /// A part of a sum.
    struct Share {
        let what: String
        let amount: Int

        init(_ what: String, _ amount: Int) { (self.what, self.amount) = (what, amount) }
    }

    private static let namespace = "/service/"
    /// As many groups as may be, each a scope of its own.
    private static let layout = GroupKeys.Layout.scopes(
        Dictionary(uniqueKeysWithValues: (0..<Settings.Citus.groupLimit).map { ($0, "scope\($0)") }))

    /// Watches of the plane on which the leases hang: ranges that do not touch each other.
    static var leaseWatches: [KeyRange] {
        let keys = PharosKeys(root: "/pharos/", namespace: self.namespace, scope: "scope0", group: nil)
        return KeyRange.joined(EtcdLink.watched(keys))
    }

    /// Watches of the plane that looks at others.
    static var lookingWatches: [KeyRange] {
        let groups = GroupKeys(namespace: self.namespace, scope: "scope0", self.layout)
        let others = DetectorKeys(root: "/pharos/", namespace: self.namespace, scope: "scope0", self.layout)
        return KeyRange.joined(groups.ranges + others.ranges).flatMap { $0.subtracting(self.leaseWatches) }
    }

    /// Requests of the lease's plane at a time: of each address a new lease, a keep-alive, a transaction and a revocation (see
    /// `Asked`); besides the read, the mark, a token, and Patroni.
    static let leaseRequests = Settings.addressLimit * 4 + 4
    /// Of the plane that looks at others: a read of the groups for the follower and one for the core, a token, an observation, the
    /// ledger and its copy, a switchover's claim and its Patroni, the members' names, and the version of each endpoint. For persons: a
    /// plan's facts, a switchover's claim and its Patroni, the record and its copy, and the members that each endpoint knows.
    static let lookingRequests = 9 + 5 + 2 * Settings.endpointLimit + EtcdClient.learnedLimit
    /// A probe asks the member's Patroni; beside all probes each endpoint of etcd is asked whether it is well.
    static let probeRequests = DetectorCore.probeLimit + EtcdHealthProbe.limit

    /// Connections to PostgreSQL: this node's for the address and for the standby's own state; a plan's to the leader and to the
    /// candidate; one of each probe; what Citus takes.
    static let postgresConnections = 4 + DetectorCore.probeLimit + Limits.citusConnections
    /// Leaders and other coordinators that are asked, connections to them that are kept, nodes that are verified, places where they were; and of each database: the one for
    /// reading and writing, a held transaction, who looks for what blocks it, its own digest, its settings, and copies.
    static let citusConnections =
        CitusCore.askedLimit + ServerIdentities.limit + RivalCoordinators.limit + NodeConnections.limit
        + ClusterVerifier.nodesAtOnce + ClusterVerifier.formerAtOnce + Settings.Citus.databaseLimit
        * (5 + CoordinatorDatabase.copiesAtOnce)

    /// Listeners of the status: a Unix socket and an address.
    static let statusListeners = 2
    /// Children of all kinds but `ip`.
    static let others = ChildKind.allCases.filter { !$0.hasRights }.reduce(0) { $0 + ChildBudget.limit(of: $1).running }

    /// Open files, but for those that are kept for `ip`.
    static var descriptors: [Share] {
        [
            Share("etcd and Patroni, for the leases", self.leaseWatches.count + self.leaseRequests),
            Share("of these, kept while nothing uses them", ConnectionLimits.unlimited.kept),
            Share("etcd, to look at others", self.lookingWatches.count + self.lookingRequests),
            Share("of these, kept while nothing uses them", ConnectionLimits.unlimited.kept),
            Share("probes by HTTP", self.probing.total ?? .max),
            Share("PostgreSQL", self.postgresConnections),
            // The listening socket and an epoll descriptor.
            Share("tries of the addresses' ports", Settings.addressLimit),
            Share("status", self.statusListeners * (StatusServer.openConnections + 2)),
            // A pipe's end and a descriptor of the process each; one that is being started needs four.
            Share("children but `ip`", self.others * 2 + 4),
            // One that listens for each search for another holder, one that sends; two for routes.
            Share("packets and routes", Settings.addressLimit + 3),
            // Standard streams, the loop's epoll, eventfd, timers and signals, a wake-up pair of each HTTP client, journal, systemd,
            // the lock, a file that is being read.
            Share("fixed", 32),
        ]
    }

    /// Bytes of the largest buffers. What a library keeps for a connection is estimated: 64 KiB with TLS.
    static var memory: [Share] {
        let connections =
            self.leaseWatches.count + self.leaseRequests + self.lookingWatches.count + self.lookingRequests
            + self.probeRequests + self.postgresConnections
        // libpq keeps about twice of what a question accepts.
        let postgres =
            2
            * (2 * PostgresConnection.usualByteLimit + DetectorCore.probeLimit * MemberProbe.answerLimit
                + Settings.Citus.databaseLimit * CitusCatalog.rowsLimit
                + (self.citusConnections - Settings.Citus.databaseLimit) * CitusCatalog.valueLimit)
        return [
            Share("answers that arrive, of three HTTP clients", 3 * ConnectionLimits.unlimited.buffered),
            Share(
                "streams that wait for their reader",
                (self.leaseWatches.count + self.lookingWatches.count) * HTTPClient.streamBuffer),
            Share("unfinished lines, of two planes", 2 * EtcdClient.unfinishedLimit),
            // One at a time: 8 MiB become some 100 MB.
            Share("JSON that is being read", 100 << 20),
            Share("PostgreSQL's answers", postgres),
            Share("connections", connections * 64 << 10),
            Share(
                "output of children",
                AddressCommands.listOutputLimit + ChildBudget.reservedTasks * AddressCommands.changeOutputLimit
                    + self.others << 20),
            Share("status", self.statusListeners * StatusServer.openConnections * StatusServer.connectionMemory),
            Share("the daemon itself", 24 << 20),
        ]
    }
}
