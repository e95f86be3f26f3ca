// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import LenientJSON
import Testing

@testable import pharos

/// What a plan and what was done look like at a terminal, and what says yes to a plan.
struct PlanTextTests {
    private static func plan(_ more: String = "") throws -> PlanText {
        let text = """
            {"digest":"ab","summary":"switch group 0 over from n1 to n2","must_name":"n1","steps":["claim it","ask Patroni"],
             "effects":["sessions end"],"rests_on":["the leader: n1"],"hindrances":[\(more)],"objections":[
             {"name":"lag","is_grave":true,"text":"far behind","evidence":"n2 is 9 bytes behind","age_seconds":4},
             {"name":"backup-running-unseen","is_grave":false,"text":"not seen","evidence":"bad\\u001b[2Jname","age_seconds":null}]}
            """
        return PlanText(try #require(JSON.parse(text.utf8)))
    }

    @Test func `a plan is printed whole, and nothing in it steers a terminal`() throws {
        let text = try Self.plan().text
        for part in [
            "plan: switch group 0 over from n1 to n2", "  1. claim it", "  2. ask Patroni", "  - sessions end",
            "! lag (grave): far behind", "    n2 is 9 bytes behind, seen 4 s ago", "! backup-running-unseen: not seen",
        ] { #expect(text.contains(part), "\(text)") }
        #expect(!text.contains("\u{1b}"))
        let hindered = try Self.plan(#"{"code":"no_leader","text":"nobody leads","advice":"patronictl list"}"#)
        #expect(hindered.isHindered && hindered.text.contains("! it cannot be done: nobody leads"))
    }

    @Test func `objections are overridden by name, one by one`() throws {
        let plan = try Self.plan()
        #expect(plan.judge([]).open == ["lag", "backup-running-unseen"])
        #expect(plan.judge(["lag"]).open == ["backup-running-unseen"] && plan.judge(["lag"]).unknown.isEmpty)
        #expect(plan.judge(["backup-running"]).unknown == ["backup-running"])
        #expect(plan.judge(["lag", "backup-running-unseen"]).open.isEmpty)
    }

    @Test func `what was done says who, where, although what, and what came of it`() throws {
        let answer = try #require(
            JSON.parse(
                #"{"current":[{"state":"under_way","by":"ann","confirmed_by":"root","plan":{"summary":"switch"}},{"state":"planned","by":"x"}],"operations":[{"at":1800000000000,"by":"root","node":"n3","summary":"vouch for n2","overridden":["lag"],"result":"done","text":"n2 is vouched for"}],"reason":null}"#
                    .utf8))
        let text = OperationsText(answer).text
        #expect(text.contains("under way: switch, for root\n") && !text.contains("x"))
        #expect(
            text.contains("2027-01-15T08:00:00Z  root, on n3: vouch for n2, although: lag\n    done: n2 is vouched for")
        )
        let unknown = try #require(JSON.parse(#"{"current":[],"operations":null,"reason":"not read yet"}"#.utf8))
        #expect(OperationsText(unknown).text == "what is on record is not known: not read yet\n")
    }

    @Test func `the exit status says whether it is done, not done, or not known`() throws {
        func status(_ outcome: String) throws -> Int32 {
            OperationOutcome.status(try #require(JSON.parse(#"{"result":{"outcome":\#(outcome)}}"#.utf8)))
        }
        #expect(try status(#""done""#) == 0)
        for outcome in ["refused", "void", "failed"] { #expect(try status("\"\(outcome)\"") == 1) }
        #expect(try status(#""unanswered""#) == 2 && (try status("null")) == 2)
    }

    @Test(arguments: [("30m", 1800), ("2h", 7200), ("24h", 86_400), ("1m", 60)])
    func `a pause has minutes or hours`(text: String, seconds: Int64) {
        #expect(PauseReactions.seconds(text) == seconds)
    }

    @Test(arguments: ["", "h", "0h", "-1h", "+1h", "25h", "1441m", "90s", "2", "1d", "1.5h"])
    func `any other span of a pause is refused`(text: String) {
        #expect(PauseReactions.seconds(text) == nil)
        #expect(throws: (any Error).self) { try PauseReactions.parse(["--for", text, "--reason", "x"]) }
    }

    @Test func `a reason is one line, and is given`() {
        #expect(throws: (any Error).self) { try PauseReactions.parse(["--for", "1h"]) }
        for reason in ["", " x", "a\nb", String(repeating: "x", count: 201)] {
            #expect(throws: (any Error).self) { try PauseReactions.parse(["--for", "1h", "--reason", reason]) }
        }
        #expect(throws: (any Error).self) { try Switchover.parse(["--yes"]) }
    }
}
