// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import pharos

/// What `pharos cluster` and `pharos crosscheck` print.
struct ClusterTextTests {
    private static func cluster(problems: String = "", read: String = "3") throws -> JSON {
        func member(_ name: String, _ more: String) -> String {
            #"{"member":"\#(name)","verdict":"well","has_daemon":true,"version":"0.1.0",\#(more)}"#
        }
        let n1 = member(
            "n1", #""role":"leader","opinions":[{"of":"n1","of_group":0,"patroni":"unknown","postgres":"unknown"}]"#)
        let n2 = member(
            "n2",
            #""role":"standby","is_synchronous":true,"lag_bytes":2097152,"opinions":[{"of":"n1","of_group":0,"patroni":"healthy","postgres":"failed"}]"#
        )
        let text = #"""
            {"scope":"demo","seen_by":"n1","is_current":true,"read_seconds_ago":\#(read),"problems":[\#(problems)],
            "groups":[{"group":0,"leader":"n1","addresses":[{"address":"10.0.0.9","holder":"n1"}],"members":[\#(n1),\#(n2)]}]}
            """#
        return try #require(JSON.parse(Array(text.utf8)))
    }

    private static let critical =
        #"{"severity":"critical","code":"no_leader","text":"group 0: nobody | leads","advice":"patronictl list"}"#
    private static let warning =
        #"{"severity":"warning","code":"paused","text":"maintenance","advice":"patronictl resume"}"#

    @Test func `one line for each member, with what it holds`() throws {
        #expect(
            ClusterText(try Self.cluster()).text == """
                demo, as the daemon of n1 knows it (etcd is watched, read 3 s ago)
                GROUP  MEMBER  ROLE          STATE  LAG    PHAROS  ADDRESSES
                0      n1      leader        well          0.1.0   10.0.0.9
                0      n2      sync standby  well   2 MiB  0.1.0

                """)
    }

    @Test func `problems come first, each with what to do`() throws {
        let text = ClusterText(try Self.cluster(problems: Self.critical + "," + Self.warning)).text
        let lines = text.split(separator: "\n").dropFirst().prefix(4)
        #expect(
            Array(lines) == [
                "! group 0: nobody | leads", "    patronictl list", "- maintenance", "    patronictl resume",
            ])
    }

    @Test(arguments: [
        ("", "3", 0, "PHAROS OK - 1 groups, 2 members, 1 of 1 addresses held | critical=0 warning=0"),
        (Self.warning, "3", 1, "PHAROS WARNING - maintenance | critical=0 warning=1"),
        (
            Self.critical + "," + Self.warning, "3", 2,
            "PHAROS CRITICAL - group 0: nobody / leads (and 1 more) | critical=1 warning=1"
        ), (Self.critical, "null", 3, "PHAROS UNKNOWN - the daemon has not read the groups yet"),
    ]) func `a monitoring system is told in one line, and by the exit status`(
        problems: String, read: String, status: Int32, line: String
    ) throws {
        let text = ClusterText(try Self.cluster(problems: problems, read: read))
        #expect(text.exitStatus == status && text.check.hasPrefix(line), "\(text.check)")
    }

    @Test func `who reaches whom is a table of members by daemons`() throws {
        let text = CrosscheckText(try Self.cluster())
        #expect(text.text.hasPrefix("MEMBER  by n1/0\nn1/0    itself\nn2/0    PostgreSQL: failed\n"))
        #expect(text.exitStatus == 1)
    }

    @Test func `what other programs wrote does not steer the terminal`() throws {
        let problem = #"{"severity":"warning","text":"a\u001b[2Jb","advice":"c\rd"}"#
        let cluster = try Self.cluster(problems: problem)
        for text in [ClusterText(cluster).text, ClusterText(cluster).check, CrosscheckText(cluster).text] {
            #expect(!text.contains("\u{1b}") && !text.contains("\r"))
        }
    }
}
