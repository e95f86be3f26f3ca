// SPDX-License-Identifier: Apache-2.0

/// What is known here of one group's write-ahead log, leadership by leadership: enough to say after a change of leader what of
/// the old leader's log the new one lacks.
///
/// Facts come by several watches, so in any order among keys: revisions tell what belongs to which leadership. It remembers two of
/// them, the present one and the one before; what is written while nobody leads belongs to the last leader's.
struct LogTrail: Sendable {
    private var current: Leadership?
    private var former: Leadership?
    private var clusterID: UInt64?
    /// The newest revision of a leader key that is known, and of what is written besides.
    private var leaderRevision: Int64 = 0
    private var writtenUpTo: Int64 = 0
    /// `status`, as it came last: its revision, when the last one came by a watch, and when the last one before that did which was no
    /// part of the same burst.
    private var status: (revision: Int64, at: Instant?, before: Instant?) = (0, nil, nil)
    /// Who confirmed from which revision on: the last values, the newest last.
    private var confirming: [(value: LogFact.Confirming?, revision: Int64)] = []
    private var ended: (timeline: Int64, position: Int64, promoted: String?, revision: Int64)?

    private static let confirmingLimit = 8
    /// Patroni writes at most so often, as a rule.
    private static let burst: Duration = .seconds(1)

    // MARK: - What is learned

    mutating func learn(_ event: GroupsEvent, of group: Int, at now: Instant) {
        switch event {
        case .unread, .heldRead, .held: break
        case .changed(let clusterID, let revision, let changes):
            guard clusterID == self.clusterID else { return }
            for change in changes where change.group == group {
                self.learn(change.fact, at: revision, now: now, isSeen: true)
            }
        case .read(let snapshot, _): self.learn(snapshot, of: group, at: now)
        }
    }

    private mutating func learn(_ snapshot: GroupsSnapshot, of group: Int, at now: Instant) {
        if snapshot.clusterID != self.clusterID {
            self = LogTrail()
            self.clusterID = snapshot.clusterID
        }
        // Where a watch has shown more of who leads, that stays.
        guard snapshot.revision >= self.leaderRevision else { return }
        let facts = snapshot.facts.filter { $0.group == group }.map(\.fact)
        let leader = facts.first { if case .leader = $0 { true } else { false } }
        self.learn(leader ?? .noLeader, at: snapshot.revision, now: now, isSeen: false)
        var isConfirming = false
        for case .log(let fact) in facts {
            if case .confirming = fact { isConfirming = true }
            self.learn(fact, at: nil)
        }
        if !isConfirming { self.learn(.confirming(nil, writtenAt: snapshot.revision), at: nil) }
    }

    /// - Parameter isSeen: a watch has shown it, so nothing is lacking before it.
    private mutating func learn(_ fact: GroupFact, at revision: Int64, now: Instant, isSeen: Bool) {
        switch fact {
        case .leader(let name, let since, _):
            self.leaderRevision = max(self.leaderRevision, revision)
            if let current = self.current, current.name != name {
                self.former = current
                self.former?.end(at: since, isSeen: isSeen, isDeletion: false)
                self.current = Leadership(name: name, since: since)
            } else if self.current?.since != since {
                // One that leads again after a pause goes on with its own log.
                self.current = self.current?.again(since) ?? Leadership(name: name, since: since)
            }
        case .noLeader:
            self.leaderRevision = max(self.leaderRevision, revision)
            self.current?.end(at: revision, isSeen: isSeen, isDeletion: true)
        case .member(let name, nil):
            if self.current?.name == name { self.current?.noteGone(at: revision) }
            if self.former?.name == name { self.former?.noteGone(at: revision) }
        case .log(let fact): self.learn(fact, at: now)
        case .member, .requested, .synchronous: break
        }
    }

    /// - Parameter now: when it came here by a watch; nil: by a read, some time after it was written.
    private mutating func learn(_ fact: LogFact, at now: Instant?) {
        switch fact {
        case .position(let position, let revision):
            guard revision > self.status.revision else { return }
            // It was looked up after the one before had been written. What a watch that was late brings in one burst came too
            // late to say when that was.
            if let now, let at = self.status.at, now - at >= Self.burst { self.status.before = at }
            let notBefore = self.status.before
            self.update(revision) { $0.note(position, of: .status, notBefore: notBefore, writtenAt: revision) }
            (self.status.revision, self.status.at) = (revision, now ?? self.status.at)
        case .member(let name, let position, let timeline, let revision):
            self.update(revision) { leadership in
                if name == leadership.name { leadership.noteOwnWrite(at: revision) }
                guard let position, let timeline else { return }
                leadership.note(position, of: .member(timeline: timeline), notBefore: nil, writtenAt: revision)
            }
        case .ended(let timeline, let position, let promoted, let revision):
            guard revision >= self.ended?.revision ?? 0 else { return }
            self.ended = (timeline, position, promoted, revision)
        case .confirming(let value, let revision):
            self.writtenUpTo = max(self.writtenUpTo, revision)
            guard revision > self.confirming.last?.revision ?? 0 else { return }
            self.confirming = (self.confirming + [(value, revision)]).suffix(Self.confirmingLimit)
        }
    }

    /// Changes the leadership in which something was written.
    private mutating func update(_ revision: Int64, _ change: (inout Leadership) -> Void) {
        self.writtenUpTo = max(self.writtenUpTo, revision)
        if let since = self.current?.since, revision > since {
            self.current?.apply(change)
        } else if let since = self.former?.since, revision > since {
            self.former?.apply(change)
        }
    }

    /// A primary said how far its log is. One that leads no more may still write.
    mutating func probed(_ name: String, position: Int64, askedAt: Instant) {
        if self.current?.name == name {
            self.current?.note(position, of: .probe, notBefore: askedAt, writtenAt: nil)
        } else if self.former?.name == name {
            self.former?.note(position, of: .probe, notBefore: askedAt, writtenAt: nil)
        }
    }

    // MARK: - What follows

    /// What `leader` lacks of the log of `before`; nil: that cannot be told yet.
    func loss(from before: String, to leader: String) -> LostLog? {
        guard let current = self.current, current.name == leader, let former = self.former, former.name == before,
            let end = former.end, let ended = self.ended, ended.revision > current.since,
            ended.promoted == nil || ended.promoted == leader,
            // What was written before the key ended has come, too.
            self.writtenUpTo >= end.revision
        else { return nil }
        let sightings = former.sightings(on: ended.timeline, before: current.since)
        let seen = sightings.map(\.position).max()
        let within = sightings.filter { $0.position <= ended.position }
        var loss = LostLog(
            .notKnown(seen == nil ? .notSeen : .notSeenFurther), keptUntil: within.compactMap(\.notBefore).max(),
            timeline: ended.timeline, end: ended.position, seen: seen)
        if self.isConfirmed(by: leader, former, until: end) {
            loss.finding = .nothing(.synchronous)
        } else if let seen, seen > ended.position {
            loss.finding = .atLeast(bytes: seen - ended.position)
        } else if former.wasShutDown(in: sightings, endingAt: ended.position) {
            loss.finding = .nothing(.shutdown)
        }
        return loss
    }

    /// Whether each commit was confirmed by `standby` when the leader key ended. Patroni names a standby only after PostgreSQL waits
    /// for it, and no more before PostgreSQL ceases to.
    private func isConfirmed(by standby: String, _ former: Leadership, until end: Leadership.End) -> Bool {
        // Where something was missed, the last value must still be the old leader's own.
        let last = end.isSeen ? self.confirming.last { $0.revision < end.revision } : self.confirming.last
        guard let value = last?.value, value.leader == former.name else { return false }
        return value.standbys.contains(standby)
    }
}
