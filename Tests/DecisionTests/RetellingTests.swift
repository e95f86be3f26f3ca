// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// When what goes on is told again.
struct RetellingTests {
    private static func at(_ seconds: Int) -> Instant { Instant(sinceBoot: .seconds(seconds)) }

    @Test func `at once, after ten minutes, an hour, and then once a day`() {
        var told: [Int] = []
        var retelling = Retelling<String>()
        for second in stride(from: 0, through: 3 * 86_400, by: 60) where retelling.tells("x", at: Self.at(second)) {
            told.append(second)
        }
        #expect(told == [0, 600, 4200, 4200 + 86_400, 4200 + 2 * 86_400])
    }

    @Test func `what was over is news, and so is what had gone for a while`() {
        var retelling = Retelling<String>()
        let (first, second) = (retelling.tells("x", at: Self.at(0)), retelling.tells("x", at: Self.at(1)))
        #expect(first && !second)
        retelling.over()
        let anew = retelling.tells("x", at: Self.at(2))
        #expect(anew)
        let soon = retelling.tells("x", at: Self.at(2 + 599))
        let later = retelling.tells("x", at: Self.at(2 + 599 + 900))
        #expect(!soon && later)
    }

    @Test func `a thousand causes are told some, and remembered not at all`() {
        var retelling = Retelling<Int>()
        var told = 0
        for cause in 0..<1000 where retelling.tells(cause, at: Self.at(0)) { told += 1 }
        #expect(told == Retelling<Int>.limit)
        let last = retelling.tells(5000, at: Self.at(60))
        #expect(last, "an old one makes room")
    }
}
