// SPDX-License-Identifier: Apache-2.0

/// A member of a group, as etcd names it.
public struct MemberID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let group: Int
    public let name: String

    public init(_ group: Int, _ name: String) {
        self.group = group
        self.name = name
    }

    public static func < (a: MemberID, b: MemberID) -> Bool { (a.group, a.name) < (b.group, b.name) }
    public var description: String { "\(self.name) (group \(self.group))" }
}

/// Everything that the failure detector can learn.
public enum DetectorEvent: Hashable, Sendable {
    /// What a probe found; `askedAt`: when it began.
    indirect case probed(MemberID, ProbeFindings, askedAt: Instant)
    /// It could not be asked, for this node's own reasons: nothing is known of it.
    case notProbed(MemberID)
    case walReceiver(WALReceiverAnswer, askedAt: Instant)
    /// What each of etcd's endpoints said of itself.
    case etcdProbed([EtcdEndpointFinding])
    /// What another member's daemon has published; nil: its key has ended.
    indirect case observed(MemberID, Observation?)
    /// All that other daemons have published: what is not named does not exist.
    indirect case observationsRead([MemberID: Observation])
    /// Whose daemon has a switchover of the group under way, as its key in etcd says; nil: nobody's.
    /// `person`: for whom it acts; nil: for itself, on a verdict.
    case switchoverClaimed(group: Int, by: String?, person: String? = nil)
    /// All such keys that there are.
    case claimsRead([Int: String], persons: [Int: String] = [:])
    /// That reactions are paused, as a group's key in etcd says; nil: the key is gone.
    indirect case reactionsPaused(group: Int, ReactionPause?)
    /// All such keys that there are.
    indirect case pausesRead([Int: ReactionPause])
    indirect case switchoverEnded(SwitchoverOrder, SwitchoverOutcome)
    /// An operator vouches for a member; `at` tells one time from another.
    case acknowledged(MemberID, at: Int64)
}

public enum DetectorAction: Hashable, Sendable {
    /// Ask Patroni and PostgreSQL of a member; answered by ``DetectorEvent/probed(_:_:askedAt:)`` or
    /// ``DetectorEvent/notProbed(_:)`` within the timeout.
    case probe(MemberID, api: String?, endpoint: NodeEndpoint?, timeout: Duration)
    /// Ask the local standby's WAL receiver when it heard of its primary; answered by ``DetectorEvent/walReceiver(_:askedAt:)``.
    case askWALReceiver(timeout: Duration)
    /// Ask each of etcd's endpoints for its health; answered by ``DetectorEvent/etcdProbed(_:)`` within the timeout.
    case probeEtcd(timeout: Duration)
    /// Publish what this daemon holds of others, in place of what it has published, under a lease of `ttl`.
    indirect case publish(Observation, ttl: Duration)
    /// Claim the one switchover that a group may have, then ask Patroni for it; answered by
    /// ``DetectorEvent/switchoverEnded(_:_:)``.
    indirect case switchOver(SwitchoverOrder)
}

/// What came of one question to a member.
public enum ProbeOutcome: Hashable, Sendable {
    case answered
    /// Why nothing answers, or not as it should.
    case failed(String)
    /// It could not be asked, for a reason of this node's or of what etcd says of it: a certificate, a name, an address that cannot be
    /// read. That says nothing of the member.
    case unasked(String)
}

/// One round of questions to one member.
public struct ProbeFindings: Hashable, Sendable {
    public var patroni: ProbeOutcome
    public var postgres: ProbeOutcome
    /// Whether its PostgreSQL is out of recovery and has taken a write; nil: not known.
    public var isPrimary: Bool?
    /// How far its write-ahead log has come, in bytes: on a primary what is written, on a standby what is replayed; nil: not
    /// known.
    public var position: Int64?
    /// Whether its PostgreSQL answers that it has no connection left.
    public var isOutOfConnections: Bool

    public init(
        patroni: ProbeOutcome, postgres: ProbeOutcome, isPrimary: Bool? = nil, position: Int64? = nil,
        isOutOfConnections: Bool = false
    ) {
        self.isOutOfConnections = isOutOfConnections
        self.patroni = patroni
        self.postgres = postgres
        self.isPrimary = isPrimary
        self.position = position
    }
}

/// What a standby's own WAL receiver says of the server that it streams from.
public enum WALReceiverAnswer: Hashable, Sendable {
    /// It streams from `sender`, whose last message came `silence` ago. Messages may rightly be `patience` apart: where there
    /// is nothing to send, the receiver asks after half of `wal_receiver_timeout`.
    case streaming(sender: NodeEndpoint, silence: Duration, patience: Duration)
    case notStreaming
    /// This is no standby, or the question could not be answered.
    case unknown
}

/// What a daemon holds of the members that it watches. Those that it does not name are well.
public struct Observation: Hashable, Sendable {
    public struct Doubt: Hashable, Sendable {
        public var patroni: DetectorState
        public var postgres: DetectorState

        public init(patroni: DetectorState, postgres: DetectorState) {
            self.patroni = patroni
            self.postgres = postgres
        }
    }
    /// The group that it watches; nil: all of them.
    public var group: Int?
    public var doubts: [MemberID: Doubt]
    /// Whether it believes itself to be cut off; then it says nothing of others.
    public var isIsolated: Bool
    /// For whom an operator has vouched there, and which time it was: for every daemon.
    public var acknowledged: [MemberID: Int64]
    /// The addresses that it looks after, sorted, and its version; nil where its version does not say so yet.
    public var addresses: [AddressID]?
    public var version: String?

    public init(
        group: Int?, doubts: [MemberID: Doubt] = [:], isIsolated: Bool = false, acknowledged: [MemberID: Int64] = [:],
        addresses: [AddressID]? = nil, version: String? = nil
    ) {
        self.acknowledged = acknowledged
        self.addresses = addresses
        self.version = version
        self.group = group
        self.doubts = doubts
        self.isIsolated = isIsolated
    }

    /// What it says of a member; nil: nothing. One that is cut off says nothing of others; of itself it does not speak well.
    public func states(of member: MemberID) -> Doubt? {
        guard !self.isIsolated, self.group == nil || self.group == member.group else { return nil }
        return self.doubts[member] ?? Doubt(patroni: .healthy, postgres: .healthy)
    }
}

public enum DetectorReport: Hashable, Sendable {
    /// See ``Report/unanswered(_:after:)``.
    indirect case unanswered(Asked, after: Duration)
    /// The verdict on a member is another one.
    indirect case verdict(MemberID, DetectorVerdict, before: DetectorVerdict, reason: String, evidence: [Evidence])
    /// Nothing follows from what is held of a member's aspect any more, since it comes and goes; or it counts again.
    case suppressed(MemberID, DetectorAspect, Bool)
    case etcd(EtcdCondition)
    indirect case switchingOver(SwitchoverOrder)
    indirect case switchoverEnded(SwitchoverOrder, SwitchoverOutcome)
    /// The leader cannot be used, and this forbids to switch over.
    indirect case notSwitchingOver(MemberID, SwitchoverObstacle)
    /// Nobody can be reached from here any more, or somebody again: it is this node that is cut off.
    case isolated(Bool)
    /// Several members of one group accept writes; empty: that is over.
    case splitBrain(group: Int, [MemberID])
    /// Reactions are paused, or, nil, not any more; and what was told of it before.
    indirect case reactionsPaused(ReactionPause?, before: ReactionPause?)
}

/// What one source holds of one aspect.
public struct Evidence: Hashable, Sendable {
    public let aspect: DetectorAspect
    public let source: DetectorSource
    public let state: DetectorState
    /// Why a probe failed, where this daemon knows.
    public let reason: String?

    public init(aspect: DetectorAspect, source: DetectorSource, state: DetectorState, reason: String?) {
        self.aspect = aspect
        self.source = source
        self.state = state
        self.reason = reason
    }
}
