// SPDX-License-Identifier: Apache-2.0

/// What is believed of one address in this node's kernel.
///
/// Invariant: at most one command is under way, so commands take effect in the order decided.
struct KernelSide: Sendable {
    enum Command: Hashable {
        case assigning(until: Instant)
        case removing(KernelPlace, reason: Reason)
    }

    /// Whether the address stands in its configured place.
    private(set) var isPresent = false
    /// Other places where it was found.
    private(set) var strays: [KernelPlace] = []
    /// The end of the lifetime that we gave; nil: not by this process.
    private(set) var until: Instant?
    private(set) var command: Command?
    /// When the last command ended: listings begun earlier prove nothing.
    private var settledAt: Instant?
    private(set) var retryAt: Instant?

    var isClear: Bool { !self.isPresent && self.strays.isEmpty && self.command == nil }

    /// Whether a command may begin now.
    func isReady(at now: Instant) -> Bool {
        guard self.command == nil else { return false }
        guard let retryAt = self.retryAt else { return true }
        return retryAt <= now
    }

    mutating func begin(_ command: Command) { self.command = command }

    /// The assignment under way succeeded; answers whether the address was absent before.
    mutating func assigned(at now: Instant) -> Bool {
        guard case .assigning(let until) = self.command else { return false }
        let wasPresent = self.isPresent
        self.isPresent = true
        self.until = until
        self.settle(at: now)
        return !wasPresent
    }

    mutating func assignFailed(at now: Instant) {
        // It may have taken effect all the same.
        if case .assigning(let until) = self.command {
            self.isPresent = true
            self.until = max(self.until ?? until, until)
        }
        self.settle(at: now, retryAfter: .milliseconds(200))
    }

    /// How a removal that succeeded came about.
    enum Removal: Hashable { case decided(Reason), lapsed, unexpected }

    /// A removal succeeded; `wasPresent` tells whether the address was still there.
    mutating func removed(
        _ place: KernelPlace, wasPresent: Bool, configured: KernelPlace, at now: Instant
    ) -> Removal {
        guard case .removing(place, let reason) = self.command else { return .unexpected }
        var removal = Removal.decided(reason)
        if place == configured {
            if !wasPresent, let until = self.until, until <= now { removal = .lapsed }
            self.isPresent = false
            self.until = nil
        }
        self.strays.removeAll { $0 == place }
        self.settle(at: now)
        return removal
    }

    mutating func removeFailed(at now: Instant) { self.settle(at: now, retryAfter: .milliseconds(200)) }

    private mutating func settle(at now: Instant, retryAfter delay: Duration? = nil) {
        self.command = nil
        self.settledAt = now
        self.retryAt = delay.map { now + $0 }
    }

    /// What a listing showed beyond what was believed.
    struct Surprise {
        var hasVanished = false
        var appeared: [KernelPlace] = []
    }

    /// Takes over a listing that began at `since`; nil: it came too early to prove anything.
    mutating func learn(_ places: [KernelPlace], configured: KernelPlace, since: Instant) -> Surprise? {
        if self.command != nil { return nil }
        if let settledAt = self.settledAt, settledAt > since { return nil }
        var surprise = Surprise()
        let isPresent = places.contains(configured)
        if self.isPresent, !isPresent { surprise.hasVanished = true }
        if !self.isPresent, isPresent { surprise.appeared.append(configured) }
        let strays = places.filter { $0 != configured }
        surprise.appeared += strays.filter { !self.strays.contains($0) }
        if !isPresent || !self.isPresent { self.until = nil }
        self.isPresent = isPresent
        self.strays = strays
        return surprise
    }

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
