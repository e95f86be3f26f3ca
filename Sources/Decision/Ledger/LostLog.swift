// SPDX-License-Identifier: Apache-2.0

/// What the new leader lacks of the write-ahead log that the leader before had written.
///
/// Never less than the truth: "nothing" only where it is proven, a number only as the least, and otherwise that it is not known.
public struct LostLog: Hashable, Sendable {
    public enum Finding: Hashable, Sendable {
        case nothing(Proof)
        /// The old leader was seen further than its timeline goes on the new one. It may have written more, that nobody saw.
        case atLeast(bytes: Int64)
        case notKnown(Reason)

        /// As it stands in the ledger.
        public var code: String {
            switch self {
            case .nothing: "nothing"
            case .atLeast: "at_least"
            case .notKnown: "not_known"
            }
        }
    }

    /// Why nothing can be missing.
    public enum Proof: String, Hashable, Sendable, CaseIterable {
        /// When the old leader's key ended, the new leader was its synchronous standby, as Patroni's key `sync` said: a commit was
        /// acknowledged only after the new leader had it. Not those under a `synchronous_commit` of `local` or `off`.
        case synchronous
        /// The old leader was shut down in order, and the new one has the record with which its log ends.
        case shutdown
    }

    /// Why it is not known.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        /// The new leader has all that was seen of the old one's log; what came after the last look, nobody saw.
        case notSeenFurther = "not_seen_further"
        /// Nobody here knows how far the old leader's log was.
        case notSeen = "not_seen"
        /// Patroni has not said where the old leader's timeline ends.
        case noEnd = "no_end"
        /// In a standby cluster neither leader accepts writes.
        case standbyCluster = "standby_cluster"
        /// What a later version may say.
        case other
    }

    public var finding: Finding
    /// What the old leader had acknowledged by then, the new one has: the old leader's log was seen within what the new one has, at
    /// the earliest then. What it acknowledged from then until its key was lost may be missing. nil: not known.
    ///
    /// A probe's position counts from the probe's beginning. One that Patroni writes counts from when its position before that came
    /// here, a second before at least: it was looked up between the two. Commits under a `synchronous_commit` of `off` are
    /// acknowledged up to three `wal_writer_delay` before they are written, so they may be missing from that much earlier on.
    public var keptUntil: Instant?
    /// The old leader's timeline, and where it ends on the new one, in bytes; nil: not known.
    public var timeline: Int64?
    public var end: Int64?
    /// How far the old leader's log was seen, by Patroni's keys, of a standby too, or by a probe; nil: nobody saw it.
    public var seen: Int64?

    public init(
        _ finding: Finding, keptUntil: Instant? = nil, timeline: Int64? = nil, end: Int64? = nil, seen: Int64? = nil
    ) {
        self.finding = finding
        self.keptUntil = keptUntil
        self.timeline = timeline
        self.end = end
        self.seen = seen
    }

    /// A position as PostgreSQL writes it.
    public static func text(_ position: Int64) -> String {
        let text = { (half: UInt64) in String(half, radix: 16, uppercase: true) }
        let bits = UInt64(bitPattern: position)
        return "\(text(bits >> 32))/\(text(bits & 0xffff_ffff))"
    }
}

extension FailoverRecord {
    /// The span before the old leader's key was lost whose acknowledged writes may be missing; nil: not known.
    public var lostSpan: Duration? {
        guard let until = self.lost?.keptUntil, let keyLost = self.phases[.keyLost] else { return nil }
        return max(keyLost - until, .zero)
    }
}
