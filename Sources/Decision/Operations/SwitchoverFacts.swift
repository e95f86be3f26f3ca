// SPDX-License-Identifier: Apache-2.0

/// What a switchover is judged by.
public struct SwitchoverFacts: Hashable, Sendable {
    /// A member as Patroni's key describes it.
    public struct Member: Hashable, Sendable {
        public var isRunning: Bool
        public var mayLead: Bool
        public var timeline: Int64?
        /// Bytes of the write-ahead log.
        public var position: Int64?
        public var isRestartPending: Bool

        public init(
            isRunning: Bool = true, mayLead: Bool = true, timeline: Int64? = nil, position: Int64? = nil,
            isRestartPending: Bool = false
        ) {
            (self.isRunning, self.mayLead, self.timeline) = (isRunning, mayLead, timeline)
            (self.position, self.isRestartPending) = (position, isRestartPending)
        }
    }

    /// Patroni's keys, by one linearizable read.
    public struct Keys: Hashable, Sendable {
        /// The leader key's value, and the revision at which it was created.
        public var leader: (name: String, since: Int64)? {
            get { self.leaderName.map { ($0, self.leaderSince) } }
            set { (self.leaderName, self.leaderSince) = (newValue?.name, newValue?.since ?? 0) }
        }
        private var leaderName: String?
        private var leaderSince: Int64 = 0
        public var revisions: PatroniRevisions
        public var isPaused = false
        public var isSynchronousMode = false
        /// `maximum_lag_on_failover`, bytes.
        public var maximumLag: Int64 = 1 << 20
        /// Whether somebody has asked Patroni for another leader already.
        public var isRequested = false
        /// The standbys that Patroni holds synchronous; nil: it names none.
        public var synchronous: Set<String>?
        public var members: [String: Member] = [:]
        /// The member whose daemon has a switchover under way.
        public var claimant: String?

        public init(revisions: PatroniRevisions) { self.revisions = revisions }
    }

    /// What one PostgreSQL says of itself.
    public struct Server: Hashable, Sendable {
        /// Transactions that have been open for more than a minute, and for how long the oldest has; nil: this role may not see them.
        public var longTransactions: Int?
        public var oldestTransaction: Duration = .zero
        public var preparedTransactions = 0
        /// Base backups that it sends, and sessions of backup programs; nil: this role may not see them.
        public var backups: Int?
        /// Names of its logical replication slots.
        public var logicalSlots: Set<String> = []

        public init() {}
    }

    /// etcd's members.
    public struct EtcdMembers: Hashable, Sendable {
        /// Those that vote.
        public var count: Int
        /// Those of them that do not answer.
        public var lost: Int

        public init(count: Int, lost: Int) { (self.count, self.lost) = (count, lost) }

        /// Whether it would still have a majority with one member less.
        public var hasSpare: Bool { self.count - self.lost - 1 >= self.count / 2 + 1 }
    }

    public var keys: Looked<Keys>
    /// What this daemon itself sees of the group.
    public var sight: SwitchoverSight
    public var etcd: Looked<EtcdMembers>
    /// PostgreSQL of the leader, and of the candidate.
    public var leader: Looked<Server>
    public var candidate: Looked<Server>

    public init(
        keys: Looked<Keys>, sight: SwitchoverSight, etcd: Looked<EtcdMembers>, leader: Looked<Server>,
        candidate: Looked<Server>
    ) {
        (self.keys, self.sight, self.etcd, self.leader, self.candidate) = (keys, sight, etcd, leader, candidate)
    }
}

/// What a daemon sees of a group by itself: its own probes, and what others publish.
public struct SwitchoverSight: Hashable, Sendable {
    public struct Member: Hashable, Sendable {
        public var verdict: DetectorVerdict
        public var reason: String
        public var isSuppressed: Bool
        /// Bytes behind the leader, as this daemon measured it; nil: not known.
        public var lag: Int64?
        /// How long ago that was.
        public var lagAge: Duration?
        /// Where its PostgreSQL is reached.
        public var endpoint: NodeEndpoint?

        public init(
            verdict: DetectorVerdict, reason: String = "", isSuppressed: Bool = false, lag: Int64? = nil,
            lagAge: Duration? = nil, endpoint: NodeEndpoint? = nil
        ) {
            (self.verdict, self.reason, self.isSuppressed) = (verdict, reason, isSuppressed)
            (self.lag, self.lagAge, self.endpoint) = (lag, lagAge, endpoint)
        }
    }

    /// The group of this daemon's own member, for which alone it asks its Patroni.
    public var ownGroup: Int
    /// By name.
    public var members: [String: Member]
    /// The addresses of the group.
    public var addresses: [AddressID]
    /// Names of members of another group, where that is the one in question.
    public var strangers: [String]
    /// What is wrong with Citus's metadata, as the last verification here has found it; nil: no Citus is followed.
    public var citus: Looked<[String]>?

    public init(
        ownGroup: Int, members: [String: Member] = [:], addresses: [AddressID] = [], strangers: [String] = [],
        citus: Looked<[String]>? = nil
    ) {
        (self.ownGroup, self.members, self.addresses) = (ownGroup, members, addresses)
        (self.strangers, self.citus) = (strangers, citus)
    }
}
