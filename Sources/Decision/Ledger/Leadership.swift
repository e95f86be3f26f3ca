// SPDX-License-Identifier: Apache-2.0

/// What was seen of the write-ahead log while one member led.
struct Leadership: Sendable {
    /// Who said how far the log was.
    enum Source: Hashable, Sendable {
        /// Patroni's key `status`, which the leader writes.
        case status
        /// A member's key, which says on which timeline.
        case member(timeline: Int64)
        /// A probe of this leader, while it was a primary.
        case probe
    }

    /// The log was so far; not before `notBefore` (nil: not known). `writtenAt`: the revision; nil: no key says it.
    struct Sighting: Sendable {
        var position: Int64
        var source: Source
        var notBefore: Instant?
        var writtenAt: Int64?
    }

    /// How its leader key ended: `isSeen`: a watch has shown it, so nothing is lacking before.
    struct End: Sendable {
        var revision: Int64
        var isSeen: Bool
        var isDeletion: Bool
    }

    let name: String
    /// The revision at which its leader key was created.
    private(set) var since: Int64
    private(set) var end: End?
    /// The last revisions at which its member key ended.
    private var goneAt: [Int64] = []
    /// What itself was seen to have written, and which sighting each of them was.
    private var own: [Sighting] = []
    private var numbers: [Int] = []
    private var members: [Sighting] = []
    /// The last revisions at which it wrote its member key.
    private var ownWrites: [Int64] = []

    private static let limit = 64
    private static let revisionLimit = 8

    init(name: String, since: Int64) {
        self.name = name
        self.since = since
    }

    func again(_ since: Int64) -> Leadership {
        var again = self
        (again.since, again.end) = (since, nil)
        return again
    }

    mutating func end(at revision: Int64, isSeen: Bool, isDeletion: Bool) {
        self.end = self.end ?? End(revision: revision, isSeen: isSeen, isDeletion: isDeletion)
    }

    mutating func apply(_ change: (inout Leadership) -> Void) { change(&self) }

    mutating func noteGone(at revision: Int64) {
        self.goneAt = (self.goneAt + [revision]).suffix(Self.revisionLimit)
    }

    mutating func noteOwnWrite(at revision: Int64) {
        self.ownWrites = (self.ownWrites + [revision]).suffix(Self.revisionLimit)
    }

    mutating func note(_ position: Int64, of source: Source, notBefore: Instant?, writtenAt: Int64?) {
        let sighting = Sighting(position: position, source: source, notBefore: notBefore, writtenAt: writtenAt)
        if case .member = source {
            guard !self.members.contains(where: { $0.writtenAt == writtenAt }) else { return }
            self.members = (self.members + [sighting]).suffix(Self.limit)
            return
        }
        self.own.append(sighting)
        self.numbers.append((self.numbers.last ?? 0) + 1)
        guard self.own.count > Self.limit, let index = self.densest else { return }
        self.own.remove(at: index)
        self.numbers.remove(at: index)
    }

    /// The sighting that is missed least. The older they are, the sparser they may be: a standby may be far behind, and the last
    /// sighting that it has passed long ago.
    private var densest: Int? {
        guard let newest = self.numbers.last else { return nil }
        let share = { (index: Int) in
            Double(self.numbers[index + 1] - self.numbers[index - 1]) / Double(newest - self.numbers[index] + 1)
        }
        return (1..<self.numbers.count - 1).min { share($0) < share($1) }
    }

    /// What is to be believed of its log, on this timeline, once it is known at which revision the next leadership began.
    func sightings(on timeline: Int64, before next: Int64) -> [Sighting] {
        (self.own + self.members).filter { sighting in
            if case .member(let other) = sighting.source, other != timeline { return false }
            return sighting.writtenAt.map { $0 < next } ?? true
        }
    }

    /// Whether PostgreSQL was shut down in order, and its last record is before `position`. Patroni then writes to `status` where
    /// that record is, and deletes the leader key right after, its lease and its member key still there.
    func wasShutDown(in sightings: [Sighting], endingAt position: Int64) -> Bool {
        guard let end, end.isSeen, end.isDeletion, !self.goneAt.contains(end.revision) else { return false }
        let written = sightings.filter { $0.source == .status && $0.writtenAt ?? Int64.max < end.revision }
        guard let last = written.max(by: { $0.writtenAt ?? 0 < $1.writtenAt ?? 0 }), let writtenAt = last.writtenAt,
            let ownWrite = self.ownWrites.filter({ $0 < end.revision }).max(), ownWrite < writtenAt
        else { return false }
        return Self.isShutdown(record: last.position, endingAt: position)
    }

    /// Whether the log from `record` to `position` is what a shutdown leaves behind: a checkpoint and nothing else (120 bytes, and
    /// the header of a page, where one begins in it); or, with `archive_mode`, a change of segment, and the checkpoint right at
    /// the beginning of the next one, if it came that far. A segment is some whole number of MiB, 1 GiB at most.
    static func isShutdown(record: Int64, endingAt position: Int64) -> Bool {
        let (segment, longest): (Int64, Int64) = (1 << 20, 1 << 30)
        let length = position - record
        guard length > 0, length <= longest + 200 else { return false }
        if (100...200).contains(length) { return true }
        return position % segment <= 200 && record < position - position % segment
    }
}
