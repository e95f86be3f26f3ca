// SPDX-License-Identifier: Apache-2.0

/// What others do to one address in this node's kernel: each time is told, until it is a fight. Who takes an address for its own, as
/// another program for virtual addresses does, may change it every second; that is told as what it is, with growing pauses.
struct Meddling: Hashable, Sendable {
    /// What is to be told of one more time.
    enum Telling: Hashable, Sendable {
        case thisTime
        /// So many times by now, the first so long ago.
        case fight(times: Int, within: Duration)
        case nothing
    }

    private var count = 0
    private var firstAt: Instant?
    private var lastAt: Instant?
    private var told = Retelling<Bool>()

    /// So many times are told one by one: a person who tries something, or puts it right.
    static let patience = 3
    /// Nobody has touched it for so long: the next time is told by itself.
    static let calm: Duration = .seconds(600)

    /// Somebody has done something to it.
    mutating func noted(at now: Instant) -> Telling {
        if !self.isRecent(at: now) { self = Meddling() }
        let first = self.firstAt ?? now
        (self.count, self.firstAt, self.lastAt) = (self.count + 1, first, now)
        if self.count <= Self.patience { return .thisTime }
        return self.told.tells(true, at: now) ? .fight(times: self.count, within: now - first) : .nothing
    }

    /// What this node does so soon after one more time, it does against that.
    static let aftermath: Duration = .seconds(5)

    /// Whether what is done now is an answer in a fight, which is not told each time either.
    func isFight(at now: Instant) -> Bool {
        guard let lastAt = self.lastAt else { return false }
        return self.count > Self.patience && now - lastAt < Self.aftermath
    }

    private func isRecent(at now: Instant) -> Bool {
        guard let lastAt = self.lastAt else { return false }
        return now - lastAt < Self.calm
    }
}
