// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import EventLoop

/// Which turns of the loop are remembered, by clocks of the tests' own.
struct LoopFiguresTests {
    private static let minute: Int64 = 60_000_000
    private var figures = LoopFigures()

    private mutating func turn(_ duration: Int64, endsAt end: Int64, onProcessor: Int64 = 0) {
        self.figures.turnBegins(at: end - duration, processor: 7)
        self.figures.turnEnds(at: end, processor: 7 + onProcessor)
    }

    @Test func `before the first turn has ended there is none`() {
        var figures = LoopFigures()
        figures.turnBegins(at: 5, processor: 0)
        #expect(figures.longest == nil && figures.longestLately(at: 10) == nil && figures.count == 0)
    }

    @Test mutating func `the longest turn is told with what of it was work, and when it ended`() throws {
        self.turn(20, endsAt: 1000, onProcessor: 4)
        self.turn(300, endsAt: 2000, onProcessor: 250)
        self.turn(299, endsAt: 3000)
        let longest = try #require(self.figures.longest)
        #expect(longest.duration == 300 && longest.onProcessor == 250 && longest.endedAt == 2000)
        #expect(self.figures.longestLately(at: 3000) == longest && self.figures.count == 3)
    }

    @Test mutating func `a bad turn at boot hides those of the last minutes for ten minutes only`() {
        self.turn(900_000, endsAt: Self.minute)
        for minute in 1...30 as ClosedRange<Int64> {
            let now = Self.minute * minute + 1
            self.turn(1000 + minute, endsAt: now)
            #expect(self.figures.longest?.duration == 900_000)
            let lately = self.figures.longestLately(at: now)?.duration
            #expect(lately == (minute <= 11 ? 900_000 : 1000 + minute), "minute \(minute)")
        }
    }

    @Test mutating func `a turn is among the last ones for ten minutes at least, and eleven at most`() {
        for offset in [0, 1, Self.minute / 2, Self.minute - 1] {
            let end = 100 * Self.minute + offset
            self.figures = LoopFigures()
            self.turn(500, endsAt: end)
            #expect(self.figures.longestLately(at: end + LoopFigures.window)?.duration == 500)
            #expect(self.figures.longestLately(at: end + LoopFigures.window + Self.minute) == nil)
        }
    }

    @Test mutating func `after a long silence only what came then counts`() {
        self.turn(800, endsAt: Self.minute)
        self.turn(30, endsAt: 500 * Self.minute)
        #expect(self.figures.longestLately(at: 500 * Self.minute)?.duration == 30)
        #expect(self.figures.longest?.duration == 800)
    }
}
