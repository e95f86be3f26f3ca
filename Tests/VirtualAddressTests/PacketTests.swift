// SPDX-License-Identifier: Apache-2.0
import CLinux
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// Bytes from hexadecimal digits; what follows `;` on a line is a remark.
private func hex(_ text: String) -> [UInt8] {
    let digits = text.split(separator: "\n").flatMap { line in line.prefix { $0 != ";" }.filter { $0 != " " } }
    return stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0..<$0 + 2]), radix: 16) }
}

struct PacketTests {
    private let four: IPAddress
    private let six: IPAddress
    private let mac: LinkAddress
    private let other: LinkAddress

    init() throws {
        self.four = try #require(IPAddress("10.77.0.100"))
        self.six = try #require(IPAddress("fd00:77::12:3456"))
        self.mac = try #require(LinkAddress("02:00:5e:10:00:01"))
        self.other = try #require(LinkAddress("02:00:5e:10:00:02"))
    }

    @Test func `gratuitous ARP as a request`() {
        #expect(
            ARPPacket.announcement(of: self.four, at: self.mac).bytes
                == hex(
                    """
                    0001 0800 06 04   ; Ethernet, IPv4, lengths of their addresses
                    0001              ; request
                    02005e100001      ; sender: our link address
                    0a4d0064          ; sender: 10.77.0.100
                    000000000000      ; target: not known
                    0a4d0064          ; target: 10.77.0.100
                    """
                )
        )
    }

    @Test func `gratuitous ARP as a reply`() {
        #expect(
            ARPPacket.replyAnnouncement(of: self.four, at: self.mac).bytes
                == hex(
                    """
                    0001 0800 06 04
                    0002              ; reply
                    02005e100001 0a4d0064
                    02005e100001 0a4d0064
                    """
                )
        )
    }

    @Test func `an ARP probe has no sender's address`() {
        #expect(
            ARPPacket.probe(for: self.four, from: self.mac)?.bytes
                == hex(
                    """
                    0001 0800 06 04
                    0001              ; request
                    02005e100001 00000000
                    000000000000 0a4d0064
                    """
                )
        )
        #expect(ARPPacket.probe(for: self.six, from: self.mac) == nil)
    }

    @Test func `an unsolicited neighbor advertisement`() {
        let packet = NeighborPacket.announcement(of: self.six, at: self.mac)
        #expect(
            packet.bytes
                == hex(
                    """
                    60000000 0020 3a ff                   ; IPv6, 32 bytes of ICMPv6, hop limit 255
                    fd000077000000000000000000123456      ; from the address itself
                    ff020000000000000000000000000001      ; to all nodes
                    88 00 92ce                            ; neighbor advertisement, checksum
                    20000000                              ; override
                    fd000077000000000000000000123456      ; target
                    02 01 02005e100001                    ; target's link address
                    """
                )
        )
        #expect(packet.destination.description == "33:33:00:00:00:01")
    }

    @Test func `a neighbor solicitation in the form of duplicate detection`() {
        let packet = NeighborPacket.probe(for: self.six)
        #expect(
            packet.bytes
                == hex(
                    """
                    60000000 0018 3a ff                   ; IPv6, 24 bytes of ICMPv6, hop limit 255
                    00000000000000000000000000000000      ; from nobody
                    ff0200000000000000000001ff123456      ; to the solicited-node group
                    87 00 1460                            ; neighbor solicitation, checksum
                    00000000
                    fd000077000000000000000000123456      ; target
                    """
                )
        )
        #expect(packet.destination.description == "33:33:ff:12:34:56")
    }

    @Test func `what is built can be read`() {
        let announcement = ARPPacket.announcement(of: self.four, at: self.mac)
        #expect(ARPPacket(announcement.bytes) == announcement)
        #expect(ARPPacket(announcement.bytes + [UInt8](repeating: 0, count: 18)) == announcement, "Ethernet's padding")
        let advertisement = NeighborPacket.announcement(of: self.six, at: self.mac).bytes
        #expect(NeighborPacket.readAdvertisement(advertisement) == .init(target: self.six, targetLink: self.mac))
        #expect(NeighborPacket.readAdvertisement(advertisement + [1, 2, 3])?.target == self.six)
        #expect(NeighborPacket.readAdvertisement(NeighborPacket.probe(for: self.six).bytes) == nil)
    }

    @Test func `who claims an address`() throws {
        func claimant(_ packet: [UInt8], of address: IPAddress) -> LinkAddress? {
            DuplicateProbe.claimant(of: address, in: packet, from: self.other)
        }
        #expect(claimant(ARPPacket.announcement(of: self.four, at: self.mac).bytes, of: self.four) == self.mac)
        #expect(claimant(ARPPacket.replyAnnouncement(of: self.four, at: self.mac).bytes, of: self.four) == self.mac)
        let probe = try #require(ARPPacket.probe(for: self.four, from: self.mac))
        #expect(claimant(probe.bytes, of: self.four) == nil, "who asks does not claim")
        let similar = try #require(IPAddress("110.77.0.100"))
        #expect(claimant(ARPPacket.announcement(of: similar, at: self.mac).bytes, of: self.four) == nil)
        #expect(claimant(NeighborPacket.announcement(of: self.six, at: self.mac).bytes, of: self.six) == self.mac)
        #expect(claimant(NeighborPacket.announcement(of: self.six, at: self.mac).bytes, of: similar) == nil)
        for text in ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"] {
            let nobody = try #require(LinkAddress(text))
            #expect(claimant(ARPPacket.announcement(of: self.four, at: nobody).bytes, of: self.four) == nil, "\(text)")
        }
    }

    @Test func `an advertisement without the option claims for the station that sent it`() throws {
        let whole = NeighborPacket.announcement(of: self.six, at: self.mac).bytes
        // Without the option, and so shorter, and another checksum: ICMPv6 length 24 instead of 32, minus the option's words.
        var bytes = Array(whole.prefix(64))
        bytes[5] = 24
        let removed: UInt32 = 0x0201 + 0x0200 + 0x5e10 + 0x0001 + 8
        var sum = UInt32(~(UInt16(bytes[42]) << 8 | UInt16(bytes[43]))) + 0xffff - removed
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        bytes[42] = UInt8(~UInt16(sum) >> 8)
        bytes[43] = UInt8(~UInt16(sum) & 0xff)
        #expect(NeighborPacket.readAdvertisement(bytes) == .init(target: self.six, targetLink: nil))
        #expect(DuplicateProbe.claimant(of: self.six, in: bytes, from: self.other) == self.other)
        #expect(DuplicateProbe.claimant(of: self.six, in: bytes, from: nil) == nil)
    }

    @Test(arguments: [0, 4, 5, 6, 7, 8, 40, 41, 42, 44, 63, 65, 71]) func `a changed byte invalidates an advertisement`(
        place: Int
    ) {
        var bytes = NeighborPacket.announcement(of: self.six, at: self.mac).bytes
        bytes[place] ^= 0x55
        #expect(NeighborPacket.readAdvertisement(bytes) == nil)
    }

    @Test(arguments: [1, 2] as [UInt64]) func `garbage never crashes the readers`(seed: UInt64) {
        var generator = SeededGenerator(seed)
        let arp = ARPPacket.announcement(of: self.four, at: self.mac).bytes
        let advertisement = NeighborPacket.announcement(of: self.six, at: self.mac).bytes
        var claims = 0
        for _ in 0..<20_000 {
            if DuplicateProbe.claimant(of: self.four, in: generator.mutate(arp), from: self.mac) != nil { claims += 1 }
            if DuplicateProbe.claimant(of: self.six, in: generator.mutate(advertisement), from: nil) != nil {
                claims += 1
            }
        }
        #expect(claims > 10 && claims < 39_990, "\(claims)")
    }

    @Test func `a link address is six bytes, printed in pairs`() {
        #expect(LinkAddress(bytes: [2, 0, 0x5e, 0x10, 0, 10])?.description == "02:00:5e:10:00:0a")
        for count in [0, 5, 7] { #expect(LinkAddress(bytes: [UInt8](repeating: 1, count: count)) == nil) }
    }

    @Test func `the schedule of announcements`() {
        var offsets: [Int64] = [AnnouncementSchedule.first.offset]
        var probes: [Bool] = [AnnouncementSchedule.first.isProbing]
        for _ in 1...7 {
            let step = AnnouncementSchedule.next(after: offsets.last ?? 0)
            offsets.append(step.offset)
            probes.append(step.isProbing)
        }
        #expect(offsets.map { $0 / 1000 } == [0, 50, 200, 1000, 5000, 65_000, 125_000, 185_000])
        #expect(probes == [true, false, false, false, false, true, true, true])
        #expect(AnnouncementSchedule.next(after: 600_000_000).offset == 605_000_000, "no burst after a freeze")
        #expect(AnnouncementSchedule.next(after: 605_000_000).offset == 665_000_000)
    }

    @Test func `the errors of sockets have names`() {
        func kind(_ number: Int32) -> AnnouncementError.Kind {
            AnnouncementError(PacketSocket.Failure(number: number, call: "sendto")).kind
        }
        #expect(kind(EPERM) == .notPermitted)
        #expect(kind(ENETDOWN) == .down)
        #expect(kind(ENODEV) == .noDevice)
        #expect(kind(ENXIO) == .noDevice)
        #expect(kind(ENOBUFS) == .failed(ENOBUFS))
    }
}
