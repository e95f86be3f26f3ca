// SPDX-License-Identifier: Apache-2.0
import Shell
import Testing

@testable import pharos

/// What a person pastes into PostgreSQL's configuration on the worst day.
struct RestorePointTextTests {
    private static func point(_ segments: [String], isComplete: Bool = true) -> RestorePoint {
        RestorePoint.records(
            Array(
                """
                {"id": "1", "name": "hourly", "made_ms": 1764493200000, "complete": \(isComplete), "blocked_ms": 3, "groups": [
                \(segments.enumerated().map { """
                    {"group": \($0), "member": "c\($0)", "system": "7", "lsn": "0/5000150", "segment": "\($1)"}
                    """ }.joined(separator: ","))]}
                """.utf8))?.first ?? { fatalError("no record") }()
    }

    @Test func `the timeline is a number as PostgreSQL reads it, not the digits of a file's name`() throws {
        let text = try RestorePointText.recoverySettings(
            [Self.point(["000000010000000000000005", "000000100000000000000005", "0000000A0000000000000005"])], "hourly"
        )
        let lines = text.split(separator: "\n").filter { $0.contains("timeline") }
        #expect(
            lines.map { $0.split(separator: " ").last } == ["'1'", "'16'", "'10'"],
            "0x10 is 16, and PostgreSQL reads 00000010 as octal: 8")
        #expect(text.contains("recovery_target_name = 'hourly'"))
        #expect(text.contains("recovery_target_action = 'promote'"))
    }

    @Test func `nobody is told how to restore to what proves nothing`() {
        for (points, reason) in [
            ([], "no restore point hourly is on record"),
            ([Self.point(["000000010000000000000005"], isComplete: false)], "did not come to its end"),
            (
                Array(repeating: Self.point(["000000010000000000000005"]), count: 2),
                "2 restore points are called hourly"
            ),
            ([Self.point(["what?"])], "names no timeline of group 0"),
        ] {
            do throws(RestorePointText.Refusal) {
                Issue.record("\(try RestorePointText.recoverySettings(points, "hourly"))")
            } catch {
                #expect(error.description.contains(reason))
            }
        }
    }
}
