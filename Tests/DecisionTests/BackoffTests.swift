// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

struct BackoffTests {
    @Test func `each pause is twice the one before, up to the longest`() {
        let backoff = Backoff(first: .milliseconds(200), longest: .milliseconds(1500))
        let pauses = (1...6).map { backoff.pause(after: $0) }
        #expect(pauses == [200, 400, 800, 1500, 1500, 1500].map { .milliseconds($0) })
    }

    @Test func `after no failure, and after any number of them, there is a pause`() {
        let backoff = Backoff(first: .milliseconds(50), longest: .seconds(2))
        #expect(backoff.pause(after: 0) == .milliseconds(50) && backoff.pause(after: -3) == .milliseconds(50))
        #expect(backoff.pause(after: .max) == .seconds(2))
        #expect(Backoff(first: .seconds(60), longest: .seconds(1 << 40)).pause(after: .max) == .seconds(1 << 40))
    }

    @Test func `an address that cannot be put on is tried again ever later, at last every 1600 ms`() {
        var kernel = KernelSide(since: .beforeAll)
        var pauses: [Duration] = []
        for second in 1...6 {
            let now = Instant(sinceBoot: .seconds(100 * second))
            kernel.begin(.assigning(until: now + .seconds(20)), at: now)
            kernel.assignFailed(at: now)
            pauses.append((kernel.retryAt ?? now) - now)
        }
        #expect(pauses == [200, 400, 800, 1600, 1600, 1600].map { .milliseconds($0) })
    }
}
