// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Lab

struct TimelineTests {
    private static let address = "10.77.0.100"

    private static func appeared(_ node: String, _ at: Int64, _ address: String = address) -> LabEvent {
        LabEvent(at: at, .addressAppeared, node: node, address: address)
    }
    private static func disappeared(_ node: String, _ at: Int64, _ address: String = address) -> LabEvent {
        LabEvent(at: at, .addressDisappeared, node: node, address: address)
    }

    @Test func `a handover at one instant is no overlap`() {
        // Recorded in the wrong order on purpose.
        let timeline = Timeline([
            Self.appeared("n1", 1000), Self.appeared("n2", 5000), Self.disappeared("n1", 5000),
        ])
        #expect(timeline.overlap(until: 9000) == 0)
        #expect(timeline.holders(of: Self.address, at: 4999) == ["n1"])
        #expect(timeline.holders(of: Self.address, at: 5000) == ["n2"])
    }

    @Test func `two holders overlap from the second's arrival to the first's leave`() {
        let timeline = Timeline([
            Self.appeared("n1", 1000), Self.appeared("n2", 5000), Self.disappeared("n1", 7500),
        ])
        #expect(timeline.overlap(of: Self.address, until: 9000) == 2.5)
        #expect(timeline.holders(of: Self.address, at: 6000) == ["n1", "n2"])
    }

    @Test func `an overlap that lasts counts up to now`() {
        let timeline = Timeline([Self.appeared("n1", 1000), Self.appeared("n2", 5000)])
        #expect(timeline.overlap(until: 9000) == 4)
        #expect(timeline.overlap(since: 8000, until: 9000) == 1)
        #expect(timeline.overlap(since: 9000, until: 9000) == 0)
    }

    @Test func `three holders at once are not counted twice`() {
        let timeline = Timeline([
            Self.appeared("n1", 0), Self.appeared("n2", 1000), Self.appeared("n3", 2000), Self.disappeared("n2", 3000),
            Self.disappeared("n1", 4000),
        ])
        #expect(timeline.overlap(until: 9000) == 3)
    }

    @Test func `different addresses do not overlap`() {
        let timeline = Timeline([Self.appeared("n1", 0), Self.appeared("n2", 1000, "fd77::100")])
        #expect(timeline.overlap(until: 9000) == 0)
    }

    @Test func `events may be read in any order`() {
        let timeline = Timeline([Self.disappeared("n1", 7000), Self.appeared("n2", 5000), Self.appeared("n1", 1000)])
        #expect(
            timeline.holdings() == [
                .init(node: "n1", address: Self.address, from: 1000, until: 7000),
                .init(node: "n2", address: Self.address, from: 5000, until: nil),
            ]
        )
        #expect(timeline.overlap(until: 9000) == 2)
    }

    @Test func `an appearance told twice begins once`() {
        let timeline = Timeline([Self.appeared("n1", 1000), Self.appeared("n1", 2000), Self.disappeared("n1", 3000)])
        #expect(timeline.holdings().map(\.from) == [1000])
    }

    @Test func `absence is what no holding covers`() {
        let timeline = Timeline([
            Self.appeared("n1", 1000), Self.disappeared("n1", 3000), Self.appeared("n2", 7000),
            Self.disappeared("n2", 8000),
        ])
        #expect(timeline.absence(of: Self.address, until: 8000) == 4)
        #expect(timeline.absence(of: Self.address, until: 9000) == 5)
        #expect(timeline.absence(of: Self.address, since: 2000, until: 5000) == 2)
        #expect(timeline.absence(of: Self.address, since: 500, until: 2000) == 0.5)
        #expect(timeline.absence(of: "10.77.0.99", since: 500, until: 2500) == 2)
    }

    @Test func `a gap reaches from success to success`() {
        let timeline = Timeline([
            LabEvent(at: 1000, .writesWorking, address: Self.address),
            LabEvent(at: 5000, .writesFailing, address: Self.address, since: 4000, text: "refused"),
            LabEvent(at: 9000, .writesWorking, address: Self.address, since: 4000),
        ])
        let gap = Timeline.Gap(address: Self.address, lastSuccess: 4000, firstSuccess: 9000, reason: "refused")
        #expect(timeline.gaps() == [gap])
        #expect(timeline.gaps().first?.milliseconds == 5)
        #expect(timeline.gaps(since: 9001).isEmpty)
        #expect(timeline.gaps(of: "fd77::100").isEmpty)
    }

    @Test func `a gap that lasts has no end`() {
        let failing = LabEvent(at: 5000, .writesFailing, address: Self.address, since: 4000, text: "refused")
        #expect(Timeline([failing]).gaps(since: 100_000).first?.firstSuccess == .some(nil))
    }

    @Test func `events survive being written and read, and half a line does no harm`() {
        let text = """
            {"at":5,"kind":"address-appeared","node":"n1","address":"10.77.0.100"}
            {"at":6,"kind":"leader"}
            {"at":7,"kind":"no such kind"}
            {"at":8,"kind":"lea
            """
        let (events, malformed) = LabEvent.parse(text)
        #expect(events == [Self.appeared("n1", 5), LabEvent(at: 6, .leader)])
        #expect(malformed == 2)
    }

    @Test func `the rendering says what matters`() {
        let timeline = Timeline([
            Self.appeared("n1", 0), LabEvent(at: 1000, .mark, text: "switchover"),
            LabEvent(at: 2000, .writesFailing, address: Self.address, since: 1900, text: "refused"),
            Self.disappeared("n1", 2500), LabEvent(at: 3000, .leader, node: "n2"),
            LabEvent(at: 4000, .writable, node: "n2"), Self.appeared("n2", 4500),
            LabEvent(at: 5000, .writesWorking, address: Self.address, since: 1900),
        ])
        #expect(
            timeline.render(since: 1000, until: 6000) == """
                      0.0  == switchover
                      1.0  the client's writes through 10.77.0.100 fail: refused
                      1.5  n1 no longer has 10.77.0.100
                      2.0  Patroni's leader key names n2
                      3.0  n2's PostgreSQL accepts writes
                      3.5  n2 has 10.77.0.100
                      4.0  the client's writes through 10.77.0.100 work

                leader key named n2 after 2.0 ms
                n2 accepted writes after 3.0 ms
                10.77.0.100 came to n2 after 3.5 ms
                a client could not write through 10.77.0.100 for 3.1 ms (refused)
                two nodes held 10.77.0.100 for 0.0 ms

                """
        )
    }

    @Test func `the summary leaves out addresses that nobody held meanwhile`() {
        let timeline = Timeline([
            Self.appeared("n1", 0), Self.disappeared("n1", 100), Self.appeared("n1", 2000, "fd77::100"),
        ])
        #expect(
            timeline.summary(since: 1000, until: 3000) == [
                "fd77::100 came to n1 after 1.0 ms", "two nodes held fd77::100 for 0.0 ms",
            ]
        )
    }
}
