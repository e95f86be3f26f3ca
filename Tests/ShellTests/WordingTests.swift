// SPDX-License-Identifier: Apache-2.0
import Decision
import Testing

@testable import Shell

struct WordingTests {
    @Test(
        arguments: [
            (.milliseconds(45), "45 ms"), (.milliseconds(-45), "-45 ms"), (.milliseconds(12_345), "12.3 s"),
            (.seconds(-61), "-61.0 s"), (.zero, "0 ms"), (.seconds(Int64.max), "315360000000.0 s"),
            (.seconds(Int64.min), "-315360000000.0 s"), (.seconds(9_000_000_000), "9000000000.0 s"),
        ] as [(Duration, String)])
    func `a time is said in a bearable unit, however long it is`(duration: Duration, text: String) {
        #expect(Wording.text(duration) == text)
    }

    @Test func `no instant is too late for a clock`() {
        #expect(Instant.distantFuture.microseconds > 1 << 62)
        #expect(Instant(sinceBoot: .milliseconds(1500)).microseconds == 1_500_000)
    }
}
