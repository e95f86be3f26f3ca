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

    @Test func `who leads is not told before etcd has said anything`() throws {
        func text(_ revision: Int) throws -> String {
            let text =
                #"{"scope":"demo","member":"n2","has_contact":false,"leader":null,"etcd":{"endpoint":"https://a:1","revision":\#(revision)},"addresses":[{"address":"10.0.0.3","prefix_length":24,"is_here":false,"holder":null,"explanation":"waits"}]}"#
            return StatusText(try #require(JSON.parse(Array(text.utf8)))).text
        }
        #expect(try text(0).hasPrefix("demo/n2: who leads is not known yet\n"))
        #expect(try text(0).contains("not here, its holder is not known yet; waits"))
        #expect(try text(7).hasPrefix("demo/n2: nobody leads\n"))
        #expect(try text(7).contains("not here, held by nobody; waits"))
    }

    @Test(arguments: [("usable", true), ("unlisted", true), ("no_carrier", false), ("down", false), ("missing", false)])
    func `an address that nobody finds on its interface is marked`(state: String, isInOrder: Bool) throws {
        let text =
            #"{"has_contact":true,"is_leader":true,"etcd":{"is_watching":true},"addresses":[{"address":"10.0.0.3","is_here":true,"interface_state":"\#(state)"}]}"#
        let status = StatusText(try #require(JSON.parse(Array(text.utf8))))
        #expect(status.isInOrder == isInOrder)
        #expect(status.text.contains("\n! 10.0.0.3/0") == !isInOrder)
    }

    @Test(arguments: [("well", true), ("degraded", true), ("slow", true), ("no_quorum", false), ("alarm", false)])
    func `an etcd in which nothing can be acquired is not in order`(condition: String, isInOrder: Bool) throws {
        let text =
            #"{"has_contact":true,"etcd":{"is_watching":true},"detector":{"etcd":"why","is_etcd_well":false,"etcd_condition":"\#(condition)"}}"#
        let status = StatusText(try #require(JSON.parse(Array(text.utf8))))
        #expect(status.isInOrder == isInOrder && status.text.contains("! etcd       why"))
    }

    @Test func `addresses that nobody could list are not in order`() throws {
        let text = #"{"has_contact":true,"etcd":{"is_watching":true},"listing_failure":"no ip"}"#
        let status = StatusText(try #require(JSON.parse(Array(text.utf8))))
        #expect(!status.isInOrder && status.text.contains("\n! kernel     its addresses cannot be listed"))
    }

    @Test func `several endpoints of etcd are told, and where they come from`() throws {
        let text = #"""
            {"has_contact":true,"etcd":{"is_watching":true,"endpoint":"http://b:1","endpoints":[
            {"url":"http://a:1","source":"configuration","is_in_use":false,"has_failed":true},
            {"url":"http://b:1","source":"etcd","is_in_use":true,"has_failed":false}]}}
            """#
        let status = StatusText(try #require(JSON.parse(Array(text.utf8))))
        #expect(status.text.contains("\n!            http://a:1 (failed last)\n"))
        #expect(status.text.contains("\n             http://b:1 (in use, told by etcd)\n"))
        #expect(status.isInOrder)
    }

    @Test(
        arguments: [
            ("open", "true", "accepts connections", "null", true, " port 5432 accepts connections"),
            ("untried", "false", "has not been tried yet", "null", true, " port 5432 has not been tried yet"),
            (
                "refused", "false", "refuses connections", "1", true,
                " port 5432 refuses connections, for 1 s (once; it is tried again)"
            ),
            (
                "refused", "true", "refuses connections", "6", false,
                "!            port 5432 refuses connections, for 6 s"
            ),
            ("silent", "true", "says nothing", "9", false, "!            port 5432 says nothing, for 9 s"),
            (
                "unknown", "true", "could not be tried", "40", false,
                "!            port 5432 could not be tried, for 40 s"
            ),
        ])
    func `the port of an address is told, and marked where clients are turned away or it cannot be tried`(
        state: String, isBelieved: String, explanation: String, seconds: String, isInOrder: Bool, line: String
    ) throws {
        let port =
            #"{"number":5432,"state":"\#(state)","is_believed":\#(isBelieved),"explanation":"\#(explanation)","for_seconds":\#(seconds)}"#
        let text =
            #"{"has_contact":true,"is_leader":true,"etcd":{"is_watching":true},"addresses":[{"address":"10.0.0.3","is_here":true,"port":\#(port)}]}"#
        let status = try #require(JSON.parse(Array(text.utf8)))
        #expect(StatusText(status).text.contains("\(line)\n"), "\(StatusText(status).text)")
        #expect(StatusText(status).isInOrder == isInOrder)
        #expect(WhyText(status).text.contains("port 5432 \(explanation)"))
    }

    @Test func `of a daemon that tries no port none is told`() throws {
        let text =
            #"{"has_contact":true,"is_leader":true,"etcd":{"is_watching":true},"addresses":[{"is_here":true,"port":null},{"is_here":true}]}"#
        let status = StatusText(try #require(JSON.parse(Array(text.utf8))))
        #expect(status.isInOrder && !status.text.contains("port "))
    }

    @Test func `numbers that no daemon tells do no harm`() throws {
        let odd =
            #"{"last_10_minutes":\#(turn("9223372036854775807", "-5")),"since_start":\#(turn("-9223372036854775808", "0"))}"#
        #expect(try lines(ofLoop: odd).count == 1)
    }
}

/// What `pharos status` says of a verification.
struct VerificationTextTests {
    private static func text(_ verification: String) throws -> CitusStatusText {
        let status = #"{"mode":"own","is_writer":true,"groups":[],"databases":[],"verification":\#(verification)}"#
        return CitusStatusText(try #require(JSON.parse(Array(status.utf8))))
    }

    @Test func `what was found is told, with its age, and counts against the order if it is critical`() throws {
        let found =
            #"{"seconds_ago":90,"failure":null,"databases":[{"database":"app","critical":1,"warnings":2,"notes":0,"codes":["inactive","shard-missing"],"not_looked_at":["x"]}]}"#
        let text = try Self.text(found)
        #expect(!text.isInOrder)
        #expect(
            text.lines.contains(
                "! app: verified, 1 critical, 2 warnings: inactive, shard-missing (pharos verify); 1 things could not be looked at"
            ))
        #expect(text.lines.contains("  verified 1 min ago"))
        let well =
            #"{"seconds_ago":86400,"failure":null,"databases":[{"database":"app","critical":0,"warnings":0,"notes":3,"codes":[],"not_looked_at":[]}]}"#
        #expect(try Self.text(well).isInOrder)
        #expect(try Self.text(well).lines.suffix(2) == ["  app: verified, nothing is wrong", "  verified 24 h ago"])
    }

    @Test func `one that came to no end says why, and none says nothing`() throws {
        let failed = try Self.text(#"{"seconds_ago":1,"failure":"late","databases":[]}"#)
        #expect(failed.lines.last == "! the last verification, 0 min ago, came to no end: late")
        #expect(try Self.text("null").lines.count == 1)
    }
}
