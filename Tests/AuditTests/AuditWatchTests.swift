// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import Audit

/// What is told of readiness and of red findings, and when.
struct AuditWatchTests {
    /// A daemon's minutes: what it sees, and what it tells.
    private struct Play {
        var watch = AuditWatch()
        var facts = AuditFacts.healthy
        var accepted: [AcceptedFinding] = []

        private static func text(_ news: AuditWatch.News) -> [String] {
            news.lost.values.flatMap { $0.map { "lost: \($0.text)" } }
                + news.survivedAgain.map { "again: \($0.text) after \($0.lasted.components.seconds)" }
                + news.found.map { "found: \($0[0].code) x\($0.count)" }
                + news.gone.map { "gone: \($0.text) after \($0.lasted.components.seconds)" }
        }

        mutating func look(at seconds: Int, own: Int = 0) throws -> [String] {
            let day = try #require(AuditDate("2027-01-01"))
            let report = AuditReport(self.facts, accepted: self.accepted, today: day, rules: AuditRule.ofDaemon)
            return Self.text(self.watch.look(report, own: own, at: .seconds(seconds)))
        }

        mutating func etcd(answers: Bool) {
            self.facts.etcd.change {
                $0.statuses["https://10.0.0.3:2379"] = answers ? .known(.init(), source: "test") : .unlooked(why: "no")
            }
        }

        var due: Int64? { self.watch.due?.components.seconds }
    }

    private static let lost = ["lost: the leader's node is lost", "lost: the leader's network is lost"]

    @Test func `what lasts is told once, and its end when that has lasted`() throws {
        var play = Play()
        #expect(try play.look(at: 0).isEmpty && play.due == nil)
        play.etcd(answers: false)
        #expect(try play.look(at: 10).isEmpty)
        #expect(play.due == 40, "the next word of it is due")
        #expect(try play.look(at: 39).isEmpty)
        #expect(try play.look(at: 40) == Self.lost + ["found: etcd-member-down x1"])
        #expect(try play.look(at: 100).isEmpty && play.due == nil)
        play.etcd(answers: true)
        #expect(try play.look(at: 200).isEmpty && play.due == 230)
        #expect(
            try play.look(at: 230) == [
                "again: the leader's node is lost after 190", "again: the leader's network is lost after 190",
                "gone: etcd-member-down after 190",
            ])
        #expect(play.due == nil)
    }

    @Test func `a single probe that failed is not told`() throws {
        var play = Play()
        play.etcd(answers: false)
        #expect(try play.look(at: 0).isEmpty)
        play.etcd(answers: true)
        #expect(try play.look(at: 29).isEmpty)
        #expect(try play.look(at: 90).isEmpty && play.due == nil)
    }

    @Test func `what comes and goes is told ever more seldom`() throws {
        var play = Play()
        var told = 0
        for turn in 0..<60 {
            // A minute gone, a minute back.
            play.etcd(answers: turn % 2 == 1)
            for second in [0, 30, 59] {
                told += try play.look(at: turn * 60 + second).count { $0.hasPrefix("lost: the leader's node") }
            }
        }
        #expect(told == 2, "of 30 times within an hour")
    }

    @Test func `what is not known neither begins nor ends anything`() throws {
        var play = Play()
        play.etcd(answers: false)
        _ = try play.look(at: 0)
        #expect(try play.look(at: 30).count == 3)
        let etcd = play.facts.etcd
        play.facts.etcd = .unlooked(why: "nobody has been asked")
        #expect(try play.look(at: 90).isEmpty)
        #expect(try play.look(at: 900).isEmpty, "that nobody looks any more is no all-clear")
        play.facts.etcd = etcd
        #expect(try play.look(at: 960).isEmpty, "it has been told")
    }

    @Test func `what was accepted is not told, and not as survived either`() throws {
        var play = Play()
        play.etcd(answers: false)
        _ = try play.look(at: 0)
        #expect(try play.look(at: 30).count == 3)
        let until = try #require(AuditDate("2027-01-01"))
        play.accepted = [AcceptedFinding(code: "etcd-member-down", reason: "moving", until: until)]
        #expect(try play.look(at: 60).isEmpty)
        #expect(try play.look(at: 600).isEmpty)
        play.accepted = []
        #expect(try play.look(at: 660).isEmpty)
        #expect(try play.look(at: 690).count == 3, "the acceptance has ended, and it still is so")
    }

    @Test func `a standby that is none any more has ended`() throws {
        var play = Play()
        play.facts.set(["synchronous_mode_strict": .bool(true)])
        play.facts.keys.change { for index in 1...2 { $0.members[index].maySync = index == 1 } }
        _ = try play.look(at: 0)
        #expect(try play.look(at: 30).contains("lost: the standby n2 is lost"))
        let keys = play.facts.keys
        play.facts.keys = .unlooked(why: "etcd is silent")
        #expect(try play.look(at: 90).isEmpty)
        #expect(try play.look(at: 190).isEmpty, "nobody knows the standbys")
        play.facts.keys = keys
        play.facts.keys.change { $0.members.remove(at: 1) }
        _ = try play.look(at: 200)
        #expect(try play.look(at: 230).contains("again: the standby n2 is lost after 200"))
    }

    @Test func `of other groups their own nodes tell`() throws {
        var play = Play()
        play.facts.daemon.change { for index in 1...2 { $0.groups[1].members[index].verdict = "node failed" } }
        _ = try play.look(at: 0)
        let report = AuditReport(
            play.facts, today: try #require(AuditDate("2027-01-01")), rules: AuditRule.ofDaemon)
        let line = try #require(report.readiness.first { $0.group == 1 }?.lines.first)
        #expect(line.outcome.word == "not_survived")
        #expect(try play.look(at: 30).isEmpty)
        #expect(play.watch.since(line, group: 1) == .zero && play.watch.since(line, group: 0) == nil)
    }
}
