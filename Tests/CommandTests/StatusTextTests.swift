// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import pharos

struct StatusTextTests {
    private func lines(ofLoop loop: String) throws -> [String] {
        let text = #"{"scope":"demo","has_contact":true,"loop":\#(loop)}"#
        let status = try #require(JSON.parse(Array(text.utf8)))
        return StatusText(status).text.split(separator: "\n").map(String.init).filter { $0.contains("loop") }
    }

    private func turn(_ microseconds: String, _ seconds: String) -> String {
        #"{"longest_turn_microseconds":\#(microseconds),"of_these_on_processor":1,"seconds_ago":\#(seconds)}"#
    }

    @Test func `the longest turns are told, and marked where one of the last minutes took half a second`() throws {
        let calm = #"{"last_10_minutes":\#(turn("4170", "7")),"since_start":\#(turn("900000", "86400"))}"#
        #expect(
            try lines(ofLoop: calm) == [
                "  loop       longest turn of the last 10 minutes: 4.1 ms, 7 s ago; since the start: 900.0 ms, 86400 s ago"
            ])
        let late = #"{"last_10_minutes":\#(turn("500000", "7")),"since_start":\#(turn("500000", "7"))}"#
        #expect(try lines(ofLoop: late).first?.hasPrefix("! loop") == true)
    }

    @Test(arguments: [
        "{}", "null", #"{"longest_turn_microseconds":5}"#, #"{"last_10_minutes":{},"since_start":{}}"#,
    ])
    func `a daemon that tells no such turns is shown without them`(loop: String) throws {
        #expect(try lines(ofLoop: loop).isEmpty)
    }

    @Test func `numbers that no daemon tells do no harm`() throws {
        let odd =
            #"{"last_10_minutes":\#(turn("9223372036854775807", "-5")),"since_start":\#(turn("-9223372036854775808", "0"))}"#
        #expect(try lines(ofLoop: odd).count == 1)
    }
}
