// SPDX-License-Identifier: Apache-2.0

/// What is believed of one address in this node's kernel.
///
/// Invariant: at most one command is under way, so commands take effect in the order decided.
struct KernelSide: Sendable {
    enum Command: Hashable {
        case assigning(until: Instant)
        case removing(KernelPlace, reason: Reason)
    }

    private struct UnderWay: Hashable {
        let command: Command
        let since: Instant
        var isOverdue = false
    }

    /// Whether the address stands in its configured place.
    private(set) var isPresent = false
    /// Whether its presence is assumed only, after a command whose outcome is unknown.
    private(set) var isAssumed = false
    /// Whether it came into its configured place, or got its lifetime, by somebody else's hand while this process looked on.
    private(set) var isForeign = false
    /// Whether the kernel's duplicate detection has failed for it.
    private(set) var isDuplicate = false
    /// Other places where it was found.
    private(set) var strays: [KernelPlace] = []
    /// Whether one of them came while this process looked on.
    private var hasForeignStray = false
    /// Whether anything stands here that no process of ours can have put there.
    var holdsForeign: Bool { self.isForeign || self.isDuplicate || self.hasForeignStray && !self.strays.isEmpty }
    /// The end of the lifetime that we gave; nil: not by this process, or unknown.
    private(set) var until: Instant?
    /// When the last assignment succeeded.
    private var assignedAt: Instant
    private var underWay: UnderWay?
    var command: Command? { self.underWay?.command }
    /// Since when a command has been overdue that was begun so long ago: whether it will yet act, nobody knows.
    var stuckSince: Instant? { self.underWay.flatMap { $0.isOverdue ? $0.since : nil } }
    /// When the last command ended: listings begun earlier prove nothing.
    private var settledAt: Instant
    private(set) var retryAt: Instant?
    /// Whether a listing came while a command was under way, or had begun before the last one ended.
    private var isListingOwed = false
    /// Commands that failed since the last one that succeeded.
    private(set) var failures = 0

    /// Listings begun before `start` prove nothing.
    init(since start: Instant) { (self.settledAt, self.assignedAt) = (start, start) }

    var isClear: Bool { !self.isPresent && self.strays.isEmpty && self.command == nil }

    /// Whether the lifetime that we gave ends by `instant`: of what was left of the right, the kernel has whole seconds.
    func endsBy(_ instant: Instant) -> Bool {
        guard let until = self.until else { return false }
        let left = (until - self.assignedAt).attoseconds
        return self.assignedAt + Duration(attoseconds: left - left % Duration.seconds(1).attoseconds) <= instant
    }

    /// Whether a command may begin now.
    func isReady(at now: Instant) -> Bool {
        guard self.command == nil else { return false }
        guard let retryAt = self.retryAt else { return true }
        return retryAt <= now
    }

    mutating func begin(_ command: Command, at now: Instant) { self.underWay = UnderWay(command: command, since: now) }

    /// Since when a command has been under way that is overdue by now, when that is news.
    ///
    /// It is not given up. It may be a child that the kernel keeps in its grip, and acts when that lets go: whatever was done
    /// meanwhile, it would undo, and what was taken to be off the kernel might be on it again. Its end will be told; then the
    /// lifetime that it has set late is set right.
    mutating func becomesOverdue(after limit: Duration, at now: Instant, awakeSince: Instant) -> (
        Command, since: Instant
    )? {
        guard let underWay = self.underWay, !underWay.isOverdue, now - max(underWay.since, awakeSince) >= limit else {
            return nil
        }
        self.underWay?.isOverdue = true
        return (underWay.command, underWay.since)
    }

    /// When that is to be looked at.
    func deadline(_ limit: Duration, awakeSince: Instant) -> Instant? {
        guard let underWay = self.underWay, !underWay.isOverdue else { return nil }
        return max(underWay.since, awakeSince) + limit
    }

    /// The assignment under way succeeded; answers whether the address was absent before, as far as was known.
    mutating func assigned(at now: Instant) -> Bool {
        guard case .assigning(let until) = self.command else { return false }
        let wasAbsent = !self.isPresent || self.isAssumed
        self.isPresent = true
        self.isAssumed = false
        self.isForeign = false
        self.until = until
        self.assignedAt = now
        self.succeed(at: now)
        return wasAbsent
    }

    /// The assignment under way failed, or its outcome is unknown: it may have taken effect, even late, so the lifetime
    /// is unknown too until the next one succeeds.
    mutating func assignFailed(at now: Instant) {
        guard case .assigning = self.command else { return }
        if !self.isPresent { self.isAssumed = true }
        self.isPresent = true
        self.until = nil
        self.fail(at: now)
    }

    /// How a removal that succeeded came about.
    enum Removal: Hashable {
        case decided(Reason), lapsed, unexpected
        /// There was nothing in that place any more: a listing must show where it went, if anywhere.
        case notFound
    }

    /// A removal succeeded; `wasPresent` tells whether the address was still there.
    mutating func removed(
        _ place: KernelPlace, wasPresent: Bool, configured: KernelPlace, at now: Instant
    ) -> Removal {
        guard case .removing(place, let reason) = self.command else { return .unexpected }
        guard wasPresent || place == configured else {
            self.fail(at: now)
            return .notFound
        }
        var removal = Removal.decided(reason)
        if place == configured {
            if !wasPresent, let until = self.until, until <= now { removal = .lapsed }
            self.isPresent = false
            self.isAssumed = false
            self.isForeign = false
            self.isDuplicate = false
            self.until = nil
        }
        self.strays.removeAll { $0 == place }
        self.succeed(at: now)
        return removal
    }

    /// A stray that cannot be removed gives way to the next. The configured place may be empty by now: if the address may
    /// stay after all, its lifetime is set anew at once.
    mutating func removeFailed(configured: KernelPlace, at now: Instant) {
        if case .removing(let place, _) = self.command {
            if self.strays.first == place { self.strays.append(self.strays.removeFirst()) }
            if place == configured, let until = self.until, until > now { self.until = nil }
        }
        self.fail(at: now)
    }

    private mutating func succeed(at now: Instant) {
        self.underWay = nil
        self.settledAt = now
        self.retryAt = nil
        self.failures = 0
    }

    private static let backoff = Backoff(first: .milliseconds(200), longest: .milliseconds(1600))

    private mutating func fail(at now: Instant) {
        self.underWay = nil
        self.settledAt = now
        self.failures += 1
        self.retryAt = now + Self.backoff.pause(after: self.failures)
    }

    /// Whether a listing is to be asked for, because the last one proved nothing and the next one would; then it is owed no more. As
    /// long as the kernel holds a command none would, which may be for minutes.
    mutating func takeOwedListing() -> Bool {
        guard self.isListingOwed, self.command == nil else { return false }
        self.isListingOwed = false
        return true
    }

    /// What a listing showed beyond what was believed.
    struct Surprise {
        var hasVanished = false
        var appeared: [KernelPlace] = []
    }

    /// Takes over a listing that began at `since`; nil: it came too early to prove anything, and one is owed when no command is
    /// under way (see ``takeOwedListing()``). What the first one shows is an earlier process's.
    mutating func learn(
        _ places: [KernelPlace], configured: KernelPlace, since: Instant, isFirst: Bool
    ) -> Surprise? {
        guard self.command == nil, self.settledAt <= since else {
            self.isListingOwed = true
            return nil
        }
        self.isListingOwed = false
        var surprise = Surprise()
        let isPresent = places.contains(configured)
        if self.isPresent, !self.isAssumed, !isPresent { surprise.hasVanished = true }
        if !self.isPresent, isPresent {
            surprise.appeared.append(configured)
            self.isForeign = !isFirst
        }
        if !isPresent { self.isForeign = false }
        self.isDuplicate = false
        let strays = places.filter { $0 != configured }
        let newcomers = strays.filter { !self.strays.contains($0) }
        if !isFirst, !newcomers.isEmpty { self.hasForeignStray = true }
        if strays.isEmpty { self.hasForeignStray = false }
        surprise.appeared += newcomers
        if !isPresent || !self.isPresent { self.until = nil }
        self.isPresent = isPresent
        // Found: there, but with a lifetime that nobody knows, and not announced.
        if !isPresent { self.isAssumed = false }
        self.strays = strays
        return surprise
    }

    /// A listing showed the address in its configured place with a lifetime that is longer than ours, so somebody else's.
    /// Answers whether ours was known. Until it is set anew, the address is somebody else's.
    mutating func lostLifetime() -> Bool {
        defer { (self.until, self.isForeign) = (nil, true) }
        return self.until != nil
    }

    /// A listing showed the address in its configured place, and dead.
    mutating func foundDuplicate() { self.isDuplicate = self.isPresent }

    /// Whether a change that the kernel reported agrees with what is believed or under way.
    func expects(isPresent: Bool, at place: KernelPlace, configured: KernelPlace) -> Bool {
        guard place == configured else { return self.strays.contains(place) == isPresent }
        switch self.command {
        case .assigning: return isPresent
        case .removing(place, _): return !isPresent
        case .removing, nil: return isPresent == self.isPresent
        }
    }
}
