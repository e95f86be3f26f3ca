// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What a change of leader from n2 to n1 has lost, as Patroni's keys and the probes of this node show it.
struct LogTrailTests {
    /// etcd and its watches, seconds being counted from when this daemon began.
    private struct Scene {
        var trail = LogTrail()
        var revision: Int64 = 100

        /// n2 leads since revision 90, and its member key was written at 95.
        init(_ facts: LogFact...) {
            self.read([.leader("n2", since: 90), .log(.member("n2", position: 10, timeline: 3, writtenAt: 95))], facts)
        }

        mutating func read(_ keys: [GroupFact], _ facts: [LogFact] = [], at seconds: Int64 = 0, cluster: UInt64 = 7) {
            let all = (keys + facts.map { .log($0) }).map { GroupChange(4, $0) }
            let snapshot = GroupsSnapshot(clusterID: cluster, revision: self.revision, facts: all)
            self.trail.learn(.read(snapshot, sentAt: Self.at(seconds)), of: 4, at: Self.at(seconds))
        }

        /// A watch shows it; a fact bears the revision at which it comes.
        mutating func see(_ facts: GroupFact..., at seconds: Int64, revision: Int64? = nil, cluster: UInt64 = 7) {
            self.revision = max(self.revision + 1, revision ?? 0)
            let changes = facts.map { GroupChange(4, $0) }
            self.trail.learn(
                .changed(clusterID: cluster, revision: revision ?? self.revision, changes), of: 4, at: Self.at(seconds))
        }

        mutating func status(_ position: Int64, at seconds: Int64) {
            self.see(.log(.position(position, writtenAt: self.revision + 1)), at: seconds)
        }

        mutating func member(_ name: String, _ position: Int64?, _ timeline: Int64? = 3, at seconds: Int64) {
            let fact = LogFact.member(name, position: position, timeline: timeline, writtenAt: self.revision + 1)
            self.see(.log(fact), at: seconds)
        }

        mutating func confirming(_ leader: String?, _ standbys: Set<String> = [], at seconds: Int64) {
            let value = leader.map { LogFact.Confirming(leader: $0, standbys: standbys) }
            self.see(.log(.confirming(value, writtenAt: self.revision + 1)), at: seconds)
        }

        /// Its lease ends, and with it both keys.
        mutating func expire(at seconds: Int64) { self.see(.noLeader, .member("n2", nil), at: seconds) }

        /// n1 gets the leader key, and says a second later where timeline 3 ended.
        mutating func promote(endingAt end: Int64, at seconds: Int64) -> LostLog? {
            self.see(.leader("n1", since: self.revision + 1), at: seconds)
            #expect(self.loss == nil, "nobody has said where the timeline ends")
            self.status(end + 500, at: seconds + 1)
            let fact = LogFact.ended(timeline: 3, at: end, promoted: "n1", writtenAt: self.revision + 1)
            self.see(.log(fact), at: seconds + 1)
            return self.loss
        }

        var loss: LostLog? { self.trail.loss(from: "n2", to: "n1") }

        static func at(_ seconds: Int64) -> Instant { Instant(sinceBoot: .seconds(1000 + seconds)) }
    }

    // MARK: - Cases

    @Test func `what a new leader has all of, as far as it was seen, may yet have lost the last seconds`() {
        var scene = Scene()
        scene.status(500, at: 10)
        scene.status(1000, at: 20)
        scene.expire(at: 48)
        // The position 1000 was looked up after the one before had come.
        #expect(
            scene.promote(endingAt: 1200, at: 50)
                == LostLog(.notKnown(.notSeenFurther), keptUntil: Scene.at(10), timeline: 3, end: 1200, seen: 1000))
    }

    @Test func `a probe is exact: what was acknowledged before it began is there`() {
        var scene = Scene()
        scene.status(500, at: 10)
        scene.trail.probed("n2", position: 1100, askedAt: Scene.at(17))
        scene.status(1000, at: 20)
        scene.expire(at: 48)
        #expect(
            scene.promote(endingAt: 1200, at: 50)
                == LostLog(.notKnown(.notSeenFurther), keptUntil: Scene.at(17), timeline: 3, end: 1200, seen: 1100))
    }

    @Test func `what comes in one burst, by a watch that was late, does not say when it was looked up`() {
        var scene = Scene()
        scene.status(500, at: 10)
        for position in [600, 700, 800] as [Int64] { scene.status(position, at: 30) }
        scene.expire(at: 48)
        #expect(scene.promote(endingAt: 1200, at: 50)?.keptUntil == Scene.at(10))
        scene = Scene()
        scene.status(500, at: 10)
        scene.status(600, at: 30)
        scene.revision += 5
        scene.read([.leader("n2", since: 90)], [.position(700, writtenAt: scene.revision)], at: 40)
        scene.expire(at: 48)
        #expect(scene.promote(endingAt: 1200, at: 50)?.keptUntil == Scene.at(10), "600 is the last whose time is known")
    }

    @Test func `what was seen beyond the end of the timeline is lost at least`() {
        var scene = Scene()
        scene.status(500, at: 10)
        scene.status(800, at: 20)
        scene.status(1000, at: 30)
        scene.expire(at: 48)
        #expect(
            scene.promote(endingAt: 900, at: 50)
                == LostLog(.atLeast(bytes: 100), keptUntil: Scene.at(10), timeline: 3, end: 900, seen: 1000))
        // It is frozen, or cut off from etcd, and its clients go on writing.
        scene.trail.probed("n2", position: 5000, askedAt: Scene.at(60))
        #expect(scene.loss?.finding == .atLeast(bytes: 4100))
    }

    @Test func `another standby was further than the one that leads now`() {
        var scene = Scene()
        scene.status(500, at: 10)
        scene.member("n3", 1300, at: 12)
        // It has not been rewound since the failover before, or says what it has of the next timeline.
        scene.member("n4", 9000, 2, at: 13)
        scene.expire(at: 48)
        let loss = scene.promote(endingAt: 1200, at: 50)
        #expect(loss?.finding == .atLeast(bytes: 100) && loss?.seen == 1300)
        scene.member("n3", 7000, at: 52)
        #expect(scene.loss == loss)
    }

    @Test func `nothing that a synchronous standby confirmed is lost, though the log went on`() {
        var scene = Scene()
        scene.confirming("n2", ["n1"], at: 5)
        scene.status(5000, at: 10)
        scene.expire(at: 48)
        var after = scene
        #expect(after.promote(endingAt: 900, at: 50)?.finding == .nothing(.synchronous))
        after.confirming("n1", ["n3"], at: 60)
        #expect(after.loss?.finding == .nothing(.synchronous), "what the new leader does is no part of it")
        after = scene
        after.see(.leader("n1", since: after.revision + 1), at: 50)
        let fact = LogFact.ended(timeline: 3, at: 900, promoted: "n1", writtenAt: after.revision + 1)
        after.see(.log(fact), at: 51)
        #expect(after.loss == nil, "what was written before the end may still be on its way, by another watch")
    }

    @Test(arguments: [("n2", ["n3"]), ("n3", ["n1"]), (nil, [])] as [(String?, Set<String>)])
    func `who was not synchronous when the key ended proves nothing`(leader: String?, standbys: Set<String>) {
        var scene = Scene()
        scene.confirming("n2", ["n1"], at: 5)
        scene.status(500, at: 10)
        scene.confirming(leader, standbys, at: 20)
        scene.expire(at: 48)
        #expect(scene.promote(endingAt: 900, at: 50)?.finding == .notKnown(.notSeenFurther))
    }

    @Test func `after a gap in the watch, what the old leader wrote last counts only while it stands there`() {
        for (leader, finding) in [
            ("n2", LostLog.Finding.nothing(.synchronous)), ("n1", .notKnown(.notSeenFurther)),
        ] {
            var scene = Scene()
            scene.confirming("n2", ["n1"], at: 5)
            scene.status(500, at: 10)
            scene.revision = 200
            let standby = leader == "n2" ? "n1" : "n3"
            scene.read(
                [.leader("n1", since: 180)],
                [
                    .confirming(.init(leader: leader, standbys: [standby]), writtenAt: leader == "n2" ? 150 : 190),
                    .ended(timeline: 3, at: 900, promoted: "n1", writtenAt: 185), .position(2000, writtenAt: 186),
                ], at: 50)
            #expect(scene.loss?.finding == finding, "\(leader)")
        }
    }

    /// Positions as a real cluster wrote them: switchovers, one with the header of a page in its last record.
    @Test(
        arguments: [(67_221_808, 67_221_928), (100_671_400, 100_671_544), (10_694_144, 10_694_264)]
            + [(0x5000_1234, 0x5100_00a0), (0x5000_1234, 0x5100_0000), (0x5000_1234, 0x9000_00a0)] as [(Int64, Int64)])
    func `a leader that is shut down in order loses nothing`(record: Int64, end: Int64) {
        var scene = Scene()
        scene.status(record - 4000, at: 10)
        scene.member("n2", record - 4000, at: 10)
        scene.status(record, at: 12)
        scene.see(.noLeader, at: 12)
        var other = scene
        scene.member("n2", nil, nil, at: 13)
        #expect(scene.promote(endingAt: end, at: 13)?.finding == .nothing(.shutdown))
        let short = record + 60
        #expect(other.promote(endingAt: short, at: 13)?.finding == .notKnown(.notSeenFurther), "not its last record")
    }

    @Test func `what is not the end of a shutdown proves nothing`() {
        let (record, end): (Int64, Int64) = (67_221_808, 67_221_928)
        // Its lease has ended, both keys at one revision, whichever watch is first.
        var scene = Scene()
        scene.member("n2", record, at: 10)
        scene.status(record, at: 12)
        let revision = scene.revision + 1
        scene.see(.member("n2", nil), at: 40, revision: revision)
        scene.see(.noLeader, at: 40, revision: revision)
        #expect(scene.promote(endingAt: end, at: 42)?.finding == .notKnown(.notSeenFurther))
        // `status` is of a turn before.
        scene = Scene()
        scene.status(record, at: 10)
        scene.member("n2", record, at: 10)
        scene.see(.noLeader, at: 12)
        #expect(scene.promote(endingAt: end, at: 13)?.finding == .notKnown(.notSeenFurther))
        // It was seen further.
        scene = Scene()
        scene.status(record, at: 10)
        scene.trail.probed("n2", position: end + 8, askedAt: Scene.at(9))
        scene.see(.noLeader, at: 12)
        #expect(scene.promote(endingAt: end, at: 13)?.finding == .atLeast(bytes: 8))
    }

    @Test func `what the new leader writes is no sign of the old one, though its leader key is seen later`() {
        var scene = Scene()
        scene.status(500, at: 10)
        scene.expire(at: 48)
        let since = scene.revision + 1
        scene.revision = since
        scene.status(9000, at: 50)
        scene.member("n1", 9000, 3, at: 50)
        scene.see(.log(.ended(timeline: 3, at: 900, promoted: "n1", writtenAt: since + 3)), at: 50)
        #expect(scene.loss == nil)
        scene.see(.leader("n1", since: since), at: 51, revision: since)
        let loss = scene.loss
        #expect(loss?.finding == .notKnown(.notSeenFurther) && loss?.seen == 500)
    }

    @Test func `another's promotion, and one of before, say nothing of this one`() {
        var scene = Scene(.ended(timeline: 2, at: 5, promoted: "n2", writtenAt: 91))
        scene.status(500, at: 10)
        scene.expire(at: 48)
        scene.see(.leader("n1", since: scene.revision + 1), at: 50)
        scene.status(700, at: 51)
        #expect(scene.loss == nil)
        scene.see(.log(.ended(timeline: 2, at: 5, promoted: "n2", writtenAt: scene.revision + 1)), at: 51)
        #expect(scene.loss == nil)
        #expect(scene.trail.loss(from: "n2", to: "n3") == nil && scene.trail.loss(from: "n3", to: "n1") == nil)
        scene.see(.log(.ended(timeline: 3, at: 600, promoted: nil, writtenAt: scene.revision + 1)), at: 52)
        #expect(scene.loss?.end == 600)
    }

    @Test func `who was never seen is not known, and another etcd is another history`() {
        var scene = Scene()
        scene.expire(at: 48)
        scene.read([.leader("n2", since: 90)], at: 1)
        #expect(
            scene.promote(endingAt: 900, at: 50) == LostLog(.notKnown(.notSeenFurther), timeline: 3, end: 900, seen: 10)
        )
        scene = Scene()
        scene.see(.log(.position(5000, writtenAt: 101)), at: 10, cluster: 8)
        scene.revision = 20
        scene.read([.leader("n2", since: 15)], at: 20, cluster: 8)
        scene.see(.noLeader, at: 30, cluster: 8)
        scene.see(.leader("n1", since: 22), .log(.position(950, writtenAt: 23)), at: 30, revision: 23, cluster: 8)
        scene.see(.log(.ended(timeline: 3, at: 900, promoted: "n1", writtenAt: 24)), at: 31, cluster: 8)
        #expect(scene.loss == LostLog(.notKnown(.notSeen), timeline: 3, end: 900))
    }

    @Test func `of a long leadership little is kept, and still what a standby far behind had`() throws {
        var scene = Scene()
        for turn in 1...2000 as ClosedRange<Int64> {
            scene.status(turn * 100, at: turn * 10)
            scene.trail.probed("n2", position: turn * 100 + 50, askedAt: Scene.at(turn * 10 + 5))
            scene.member("n3", turn * 100, at: turn * 10)
        }
        scene.expire(at: 20_030)
        let judged = scene.promote(endingAt: 100_000, at: 20_032)
        let loss = try #require(judged)
        #expect(loss.finding == .atLeast(bytes: 100_050))
        let kept = try #require(loss.keptUntil)
        #expect(kept <= Scene.at(10_005) && kept > Scene.at(7500), "\(kept)")
        var leadership = Leadership(name: "n2", since: 90)
        for turn in 1...2000 as ClosedRange<Int64> {
            leadership.note(turn, of: .probe, notBefore: nil, writtenAt: nil)
            leadership.note(turn, of: .member(timeline: 3), notBefore: nil, writtenAt: turn)
            leadership.note(turn, of: .member(timeline: 3), notBefore: nil, writtenAt: turn)
        }
        let positions = leadership.sightings(on: 3, before: 5000).map(\.position)
        #expect(positions.count == 128 && positions.max() == 2000 && positions.min() == 1)
    }
}
