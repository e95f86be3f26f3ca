// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Testing

@testable import Shell

/// What two clocks say of a time service's doing.
struct ClockRateTests {
    private static func pair(_ raw: Int64, gained: Int64) -> ClockPair {
        ClockPair(corrected: 77 + raw + gained, raw: raw)
    }

    @Test func `a rate is told when it changes, once, and when it is usual again`() {
        var rate = ClockRate()
        #expect(rate.measure(Self.pair(0, gained: 0)) == nil)
        #expect(rate.measure(Self.pair(5_000_000, gained: 2_500)) == nil, "500 millionths are usual")
        // chrony slows down by its most.
        #expect(rate.measure(Self.pair(10_000_000, gained: 2_500 - 416_665)) == -83_333)
        #expect(rate.measure(Self.pair(15_000_000, gained: 2_500 - 833_330)) == nil)
        #expect(rate.measure(Self.pair(20_000_000, gained: 2_500 - 833_330)) == 0)
        #expect(rate.measure(Self.pair(25_000_000, gained: 2_500 - 833_330 + 500_000)) == 100_000)
    }

    @Test func `readings close together say nothing, and are not lost`() {
        var rate = ClockRate()
        _ = rate.measure(Self.pair(0, gained: 0))
        for microseconds in stride(from: Int64(1000), to: 199_000, by: 1000) {
            #expect(rate.measure(Self.pair(microseconds, gained: -microseconds / 12)) == nil)
        }
        #expect(rate.measure(Self.pair(240_000, gained: -20_000)) == -83_333)
    }

    @Test func `this machine's clocks run on together`() throws {
        // A busy machine interrupts whoever reads them.
        func read() throws -> ClockPair {
            for _ in 0..<10_000 { if let pair = ClockPair.read() { return pair } }
            return try #require(nil as ClockPair?)
        }
        let (first, second) = (try read(), try read())
        #expect(second.raw >= first.raw && second.corrected >= first.corrected)
    }
}
