// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Lab

/// Announcements as they arrive from the network, and what the record makes of them.
struct AnnouncementTests {
    private static let arp: [UInt8] = [
        0, 1, 8, 0, 6, 4, 0, 2,  // Ethernet, IPv4, six and four bytes, an answer
        2, 0, 0, 0, 0, 0x0a, 10, 77, 0, 100,  // who sends: 02:00:00:00:00:0a, 10.77.0.100
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 10, 77, 0, 100,
    ]
    private static let advertisement: [UInt8] =
        [136, 0, 0x12, 0x34, 0x20, 0, 0, 0]  // neighbor advertisement, its checksum, override
        + [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
        + [14, 1, 0, 0, 0, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0x0a]  // a nonce; the link address

    @Test func `an ARP packet tells where its sender's address is`() {
        let announcement = Announcement(arp: Self.arp[...])
        #expect(announcement?.address == "10.77.0.100")
        #expect(announcement?.linkAddress == "02:00:00:00:00:0a")
        #expect(announcement?.linkAddress == LabLayout.linkAddress(10))
    }

    @Test func `a neighbor advertisement tells where its target is`() {
        let announcement = Announcement(advertisement: Self.advertisement[...])
        #expect(announcement?.address == "fd77::100")
        #expect(announcement?.linkAddress == "02:00:00:00:00:0a")
        #expect(Announcement(advertisement: [135] + Self.advertisement.dropFirst()) == nil, "a solicitation")
    }

    @Test func `every truncation and every changed byte is survived`() {
        for whole in [Self.arp, Self.advertisement] {
            for end in whole.indices {
                #expect(Announcement(arp: whole[..<end]) == nil)
                #expect(Announcement(advertisement: whole[..<end]) == nil)
            }
            for index in whole.indices {
                for byte: UInt8 in [0, 1, 3, 0x7f, 0xff] {
                    var damaged = whole
                    damaged[index] = byte
                    _ = Announcement(arp: damaged[...])
                    _ = Announcement(advertisement: damaged[...])
                }
            }
        }
    }

    @Test func `who announces what its kernel has lost, or never had, is found`() {
        func event(_ node: String, _ at: Int64, _ kind: LabEvent.Kind) -> LabEvent {
            LabEvent(at: at, kind, node: node, address: "10.77.0.100")
        }
        let timeline = Timeline([
            event("n1", 1_000_000, .addressAppeared), event("n1", 1_000_500, .announced),
            event("n1", 2_000_000, .addressDisappeared), event("n1", 2_100_000, .announced),
            event("n2", 2_000_500, .addressAppeared), event("n2", 9_000_000, .announced),
            event("n1", 6_000_000, .announced), event("n3", 7_000_000, .announced),
        ])
        #expect(timeline.falseAnnouncements().map(\.node) == ["n1", "n3"])
        #expect(timeline.falseAnnouncements().map(\.at) == [6_000_000, 7_000_000])
        #expect(timeline.falseAnnouncements(since: 7_000_000).map(\.node) == ["n3"])
        #expect(timeline.announcements(of: "10.77.0.100", since: 7_000_000).map(\.node) == ["n3", "n2"])
    }
}
