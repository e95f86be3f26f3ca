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

    /// How often in a row, and since when.
    private struct Series: Hashable, Sendable {
        var count = 0
        var since: Instant

        mutating func add(at now: Instant, afresh: Bool) {
            if afresh { self = Series(since: now) }
            self.count += 1
        }
    }

    /// Times with less than ``pause`` between them, and with less than ``calm``.
    private var burst = Series(since: .beforeAll)
    private var whole = Series(since: .beforeAll)
    private var lastAt: Instant?
    private var told = Retelling<Bool>()

    /// So many times in a row are told one by one: a person who tries something, a network manager that applies what it was given.
    static let patience = 8
    static let pause: Duration = .seconds(20)
    /// And so many where they are further apart, as by a timer.
    static let longPatience = 60
    static let calm: Duration = .seconds(600)
    /// What this node does so soon after one more time, it does against that.
    static let aftermath: Duration = .seconds(5)

    /// Somebody has done something to it.
    mutating func noted(at now: Instant) -> Telling {
        let gap = self.lastAt.map { now - $0 } ?? Self.calm
        if gap >= Self.calm { self.told.over() }
        self.burst.add(at: now, afresh: gap >= Self.pause)
        self.whole.add(at: now, afresh: gap >= Self.calm)
        self.lastAt = now
        guard self.isFight else { return .thisTime }
        let series = self.burst.count > Self.patience ? self.burst : self.whole
        return self.told.tells(true, at: now) ? .fight(times: series.count, within: now - series.since) : .nothing
    }

    private var isFight: Bool { self.burst.count > Self.patience || self.whole.count > Self.longPatience }

    /// Whether what is done now is an answer in a fight, which is not told each time either.
    func isFight(at now: Instant) -> Bool {
        guard let lastAt = self.lastAt else { return false }
        return self.isFight && now - lastAt < Self.aftermath
    }
}
