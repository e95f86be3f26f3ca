// SPDX-License-Identifier: Apache-2.0

/// One change of leader: what led to it, when each of its phases was reached, and who decided what.
public struct FailoverRecord: Hashable, Sendable {
    /// Why the leader before leads no more, as far as it is known.
    public enum Cause: Hashable, Sendable {
        /// Somebody asked Patroni for it.
        case switchover
        /// The daemon of this member asked Patroni for it, since the leader could not be used.
        case grayFailure(by: String)
        /// The leader's key ended; what the failure detector held of it by then.
        case failure(DetectorVerdict)
        /// The leader's key ended, and nothing was known against it.
        case unknown
    }

    /// What is reached one after another, as a rule in this order.
    public enum Phase: String, Hashable, Sendable, CaseIterable {
        case lastHealthy = "last healthy sign"
        case firstFailure = "first failure"
        case verdict
        case keyLost = "leader key lost"
        case keyGained = "new leader key"
        case writable = "accepts writes"
        case addressMoved = "address moved"
        case announced
        case metadataCommitted = "metadata committed"
        case metadataSynced = "metadata synced"
        case standbyBack = "standbys back"
    }

    /// Something that was decided on the way.
    public struct Note: Hashable, Sendable {
        public let at: Instant
        public let text: String

        public init(at: Instant, text: String) {
            self.at = at
            self.text = text
        }
    }

    /// What names it: the revision at which the new leader's key was created.
    public var revision: Int64
    public let group: Int
    public let from: String?
    public let to: String
    public var cause: Cause
    public var phases: [Phase: Instant]
    public var notes: [Note]
    /// What detection may take, as the profile promises.
    public var detectionBudget: Duration
    /// The phases that are to come where they have not: of a group with addresses, that they move; empty in records of earlier
    /// versions.
    public var expected: Set<Phase>
    /// Whose daemon has written it, so by whose clock its phases are told; nil in records of earlier versions.
    public var by: String?
    /// Phases that another daemon has told, by its own clock.
    public var clocks: [Phase: String]
    /// What the new leader lacks of the old one's log; nil: not judged yet, or the record is of an earlier version.
    public var lost: LostLog?

    public init(
        revision: Int64, group: Int, from: String?, to: String, cause: Cause = .unknown, phases: [Phase: Instant] = [:],
        notes: [Note] = [], detectionBudget: Duration = .seconds(150), expected: Set<Phase> = [], by: String? = nil,
        clocks: [Phase: String] = [:], lost: LostLog? = nil
    ) {
        self.lost = lost
        self.expected = expected
        self.by = by
        self.clocks = clocks
        self.revision = revision
        self.group = group
        self.from = from
        self.to = to
        self.cause = cause
        self.phases = phases
        self.notes = notes
        self.detectionBudget = detectionBudget
    }
}

/// What is written to the ledger, and by whom.
public enum LedgerEntry: Hashable, Sendable {
    /// By the new leader's daemon, which sees the most: again with each phase that is reached.
    case own(FailoverRecord)
    /// By any other daemon, once and only where nothing stands: the new leader's may be down.
    case witnessed(FailoverRecord)
    /// By the daemon that keeps `pg_dist_node`, beside the record of the group's leadership that began at `revision`.
    case metadata(group: Int, revision: Int64, phases: [FailoverRecord.Phase: Instant], by: String)
}

/// A span of a failover that has a budget.
public struct FailoverSpan: Hashable, Sendable, CaseIterable {
    public let name: String
    /// From the first of these that was reached …
    public let from: [FailoverRecord.Phase]
    /// … to the last of these.
    public let to: [FailoverRecord.Phase]
    /// nil: the profile's own.
    public let budget: Duration?

    /// The promises: a failure is found within 150 s, a failover takes at most 90 s, both at most 240 s, and within an hour there
    /// are as many standbys as before.
    public static let allCases: [FailoverSpan] = [
        FailoverSpan(name: "detection", from: [.firstFailure], to: [.verdict, .keyLost], budget: nil),
        FailoverSpan(name: "failover", from: [.keyLost], to: [.writable, .addressMoved], budget: .seconds(90)),
        FailoverSpan(
            name: "in all", from: [.firstFailure, .keyLost], to: [.writable, .addressMoved], budget: .seconds(240)),
        FailoverSpan(
            name: "metadata", from: [.writable], to: [.metadataCommitted, .metadataSynced], budget: .seconds(90)),
        FailoverSpan(name: "standbys", from: [.keyGained], to: [.standbyBack], budget: .seconds(3600)),
    ]

    /// What is known of how long it took.
    public enum Length: Hashable, Sendable {
        case took(Duration)
        /// It has begun, and these phases, which were to come, have not.
        case notFinished([FailoverRecord.Phase])
        case unknown
    }

    /// Of a detection the first end counts: a key that has ended needs no verdict any more.
    public func length(in record: FailoverRecord) -> Length {
        guard let start = self.from.compactMap({ record.phases[$0] }).first else { return .unknown }
        let ends = self.to.compactMap { record.phases[$0] }
        if self.name != "detection" {
            let missing = self.to.filter { record.phases[$0] == nil && record.expected.contains($0) }
            guard missing.isEmpty else { return .notFinished(missing) }
        }
        guard let end = self.name == "detection" ? ends.min() : ends.max() else { return .unknown }
        return .took(max(end - start, .zero))
    }
}

extension FailoverRecord {
    /// Whether something that was to come of it has not.
    var isUnderWay: Bool {
        FailoverSpan.allCases.contains { if case .notFinished = $0.length(in: self) { true } else { false } }
    }
}
