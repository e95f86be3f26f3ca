// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// On a bridge between namespaces of the test's own.
@Suite(.serialized)
struct AnnouncerTests {
    init() { EventLoop.shared.executor.startThread() }

    /// An announcer that acts in a namespace, and what it reports.
    @EventLoop private func announcer(in node: TestNamespace) -> (Announcer, Recorder<Announcer.Report>) {
        let reports = Recorder<Announcer.Report>()
        let announcer = Announcer(enter: { node.enter($0) }, report: reports.record)
        // All that these tests announce.
        announcer.follow(Set(["10.77.0.100", "fd00:77::100"].compactMap { IPAddress($0) }))
        return (announcer, reports)
    }

    /// Puts the address into the node's kernel, for good, and gives the announcer the right to it.
    @EventLoop private func hold(
        _ place: VirtualAddress, in node: TestNamespace, _ announcer: Announcer, for lifetime: Int64 = 600_000_000
    ) async throws {
        try await node.ip("addr", "replace", "\(place.address)", "dev", place.interface, "nodad")
        announcer.allow(place, until: BootClock.microseconds + lifetime)
    }

    @EventLoop private func mac(_ node: TestNamespace, _ interface: String = "eth0") async throws -> LinkAddress {
        let words = try await node.ip("-o", "link", "show", "dev", interface).split(separator: " ")
        let label = try #require(words.firstIndex(of: "link/ether"))
        return try #require(LinkAddress(String(words[label + 1])))
    }

    /// A socket in the namespace, and the index of its interface.
    @EventLoop private func socket(in node: TestNamespace) throws -> (PacketSocket, Int32) {
        var result: Result<(PacketSocket, Int32?), PacketSocket.Failure>?
        node.enter {
            do throws(PacketSocket.Failure) {
                let socket = try PacketSocket()
                result = .success((socket, LocalLinks.link("eth0", by: socket.descriptor)?.index))
            } catch { result = .failure(error) }
        }
        let (socket, index) = try #require(try result?.get())
        return (socket, try #require(index))
    }

    @EventLoop private func received(_ socket: PacketSocket) async throws -> PacketSocket.Packet {
        while true {
            if let packet = socket.receive() { return packet }
            _ = try await EventLoop.readiness(of: socket.descriptor, .read, timeout: .seconds(5))
        }
    }

    @Test @EventLoop func `a peer receives both forms of gratuitous ARP, repeated`() async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            let place = try virtual("10.77.0.100/24")
            let mac = try await mac(nodes[0])
            let (peer, index) = try socket(in: nodes[1])
            try peer.listen(to: .arp, on: index, filter: PacketFilter.claims(to: place.address.address))
            let (announcer, reports) = announcer(in: nodes[0])
            try await hold(place, in: nodes[0], announcer)
            announcer.start(place)
            #expect(reports.values == [.announced(place, mac, number: 1)], "the first one at once")
            for _ in 1...3 {
                for expected in [
                    ARPPacket.announcement(of: place.address.address, at: mac),
                    .replyAnnouncement(of: place.address.address, at: mac),
                ] {
                    let packet = try await received(peer)
                    #expect(ARPPacket(packet.bytes) == expected)
                    #expect(packet.source == mac)
                }
            }
            #expect(try await reports.contains(.announced(place, mac, number: 3)))
            announcer.stop(place)
            // On a slow machine the fourth has been sent by now.
            reports.removeAll()
            while peer.receive() != nil {}
            try await EventLoop.sleep(for: .milliseconds(900))
            #expect(reports.values.isEmpty && peer.receive() == nil, "nothing after the stop")
        }
    }

    @Test(arguments: ["10.77.0.100/24", "fd00:77::100/64"])
    @EventLoop func `a peer's neighbor table follows the address`(text: String) async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            let place = try virtual(text)
            let address = "\(place.address.address)"
            try await nodes[1].ip(
                "addr",
                "add",
                place.address.address.isIPv6 ? "fd00:77::2/64" : "10.77.0.2/24",
                "dev",
                "eth0",
                "nodad"
            )
            try await nodes[1].ip(
                "neigh",
                "replace",
                address,
                "lladdr",
                "02:00:00:00:00:01",
                "nud",
                "stale",
                "dev",
                "eth0"
            )
            let mac = try await mac(nodes[0])
            let (announcer, _) = announcer(in: nodes[0])
            try await hold(place, in: nodes[0], announcer)
            announcer.start(place)
            let hasMoved = try await eventually {
                try await nodes[1].ip("neigh", "show", address, "dev", "eth0").contains("lladdr \(mac)")
            }
            announcer.stopAll()
            #expect(hasMoved)
        }
    }

    @Test @EventLoop func `an advertisement arrives as built, and the link address is read each time`() async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            let place = try virtual("fd00:77::100/64")
            let (peer, index) = try socket(in: nodes[1])
            try peer.listen(to: .ipv6, on: index, filter: PacketFilter.claims(to: place.address.address))
            let (announcer, _) = announcer(in: nodes[0])
            for text in ["02:00:00:00:00:0a", "02:00:00:00:00:0b"] {
                try await nodes[0].ip("link", "set", "eth0", "address", text)
                let mac = try #require(LinkAddress(text))
                try await hold(place, in: nodes[0], announcer)
                announcer.start(place)
                let packet = try await received(peer)
                #expect(Array(packet.bytes) == NeighborPacket.announcement(of: place.address.address, at: mac).bytes)
                announcer.stop(place)
            }
        }
    }

    @Test(arguments: ["10.77.0.100/24", "fd00:77::100/64"])
    @EventLoop func `another holder answers the probe and is reported`(text: String) async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            let place = try virtual(text)
            try await nodes[1].ip("addr", "add", text, "dev", "eth0", "nodad")
            let (announcer, reports) = announcer(in: nodes[0])
            try await hold(place, in: nodes[0], announcer)
            announcer.start(place)
            #expect(try await reports.contains(.duplicate(place, try await mac(nodes[1]))))
            announcer.stopAll()
            #expect(reports.values.count { if case .duplicate = $0 { true } else { false } } == 1, "once per probe")
        }
    }

    @Test(arguments: ["10.77.0.100/24", "fd00:77::100/64"])
    @EventLoop func `this host's other interface on the same network is no other holder`(text: String) async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            try await TestNetwork.attach(nodes[0], as: "eth1")
            let place = try virtual(text)
            let (announcer, reports) = announcer(in: nodes[0])
            try await hold(place, in: nodes[0], announcer)
            announcer.start(place)
            let mac = try await mac(nodes[0])
            #expect(try await reports.contains(.announced(place, mac, number: 4)), "after the second of listening")
            announcer.stopAll()
            #expect(reports.values.allSatisfy { if case .announced = $0 { true } else { false } })
        }
    }

    @Test @EventLoop func `hostile packets in the second of listening are ignored`() async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            let place = try virtual("10.77.0.100/24")
            let (peer, index) = try socket(in: nodes[1])
            let (announcer, reports) = announcer(in: nodes[0])
            try await hold(place, in: nodes[0], announcer)
            announcer.start(place)
            let other = try #require(LinkAddress("02:00:00:00:00:99"))
            let right = ARPPacket.announcement(of: place.address.address, at: other).bytes
            for length in [1, 14, 18, 27] {
                try peer.send(Array(right.prefix(length)), .arp, to: .broadcast, on: index)
            }
            for place in [0, 2, 4, 5, 6, 7] {
                var wrong = right
                wrong[place] ^= 0x55
                try peer.send(wrong, .arp, to: .broadcast, on: index)
            }
            try peer.send(right + [UInt8](repeating: 0xaa, count: 1400), .arp, to: .broadcast, on: index)
            #expect(try await reports.contains(.duplicate(place, other)), "the one that was valid")
            announcer.stopAll()
            #expect(reports.values.count { if case .duplicate = $0 { true } else { false } } == 1)
        }
    }

    @Test @EventLoop func `a flood of claims is a few reports`() async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            let place = try virtual("10.77.0.100/24")
            let (peer, index) = try socket(in: nodes[1])
            let (announcer, reports) = announcer(in: nodes[0])
            try await hold(place, in: nodes[0], announcer)
            announcer.start(place)
            for number in 0..<1000 {
                let other = try #require(LinkAddress(bytes: [2, 0, 0, 1, UInt8(number >> 8), UInt8(number & 0xff)]))
                do throws(PacketSocket.Failure) {
                    try peer.send(
                        ARPPacket.announcement(of: place.address.address, at: other).bytes,
                        .arp,
                        to: .broadcast,
                        on: index
                    )
                } catch {
                    #expect(error.number == ENOBUFS)
                }
            }
            let duplicates = { reports.values.count { if case .duplicate = $0 { true } else { false } } }
            #expect(try await eventually { duplicates() == 4 })
            let mac = try await mac(nodes[0])
            #expect(try await reports.contains(.announced(place, mac, number: 4)))
            announcer.stopAll()
            #expect(duplicates() == 4)
        }
    }

    @Test @EventLoop func `what cannot be announced is reported, and tried again`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let (announcer, reports) = announcer(in: nodes[0])
            try await nodes[0].ip("link", "set", "eth0", "down")
            for text in ["10.77.0.100/24", "fd00:77::100/64"] {
                try await hold(virtual(text), in: nodes[0], announcer)
            }
            let expected: [(VirtualAddress, AnnouncementError.Kind)] = [
                (try virtual("10.77.0.100/24", on: "eth9"), .noDevice),
                (try virtual("10.77.0.100/24", on: "lo"), .notEthernet),
                (try virtual("10.77.0.100/24"), .down), (try virtual("fd00:77::100/64"), .down),
            ]
            for (place, kind) in expected {
                reports.removeAll()
                announcer.start(place)
                guard case .failed(place, let error) = reports.values.first else {
                    Issue.record("\(place): \(reports.values)")
                    continue
                }
                #expect(error.kind == kind)
                announcer.stop(place)
            }
            announcer.start(try virtual("10.77.0.100/24"))
            try await nodes[0].ip("link", "set", "eth0", "up")
            let announced = try await reports.first { if case .announced = $0 { true } else { false } }
            #expect(announced != nil)
            announcer.stopAll()
        }
    }

    @Test @EventLoop func `an address can be stopped from its own report`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let place = try virtual("10.77.0.100/24")
            let reports = Recorder<Announcer.Report>()
            var announcer: Announcer?
            announcer = Announcer(enter: { nodes[0].enter($0) }) { report in
                reports.record(report)
                announcer?.stop(place)
            }
            try await hold(place, in: nodes[0], try #require(announcer))
            announcer?.start(place)
            try await EventLoop.sleep(for: .milliseconds(300))
            #expect(reports.values.count == 1)
            announcer = nil
        }
    }

    /// What the peer hears of an address from now on, until nothing has come for `pause`.
    @EventLoop private func heard(_ peer: PacketSocket, pause: Duration) async throws -> Int {
        var count = 0
        var lastHeard = ContinuousClock.now
        while ContinuousClock.now - lastHeard < pause {
            if peer.receive() != nil {
                count += 1
                lastHeard = .now
            }
            try await EventLoop.sleep(for: .milliseconds(5))
        }
        return count
    }

    @Test(arguments: ["10.77.0.100/24", "10.77.0.100/32", "fd00:77::100/64"])
    @EventLoop func `an address that the kernel has lost is not announced, though a timer is due`(text: String)
        async throws
    {
        try await TestNetwork.with(nodes: 2) { nodes in
            let place = try virtual(text)
            let (peer, index) = try socket(in: nodes[1])
            let type: EtherType = place.address.address.isIPv6 ? .ipv6 : .arp
            try peer.listen(to: type, on: index, filter: PacketFilter.claims(to: place.address.address))
            let (announcer, reports) = announcer(in: nodes[0])
            try await hold(place, in: nodes[0], announcer)
            try await nodes[0].ip("addr", "del", text, "dev", "eth0")
            // A similar address, and the same one elsewhere, are not it.
            try await nodes[0].ip("addr", "add", text, "dev", "lo")
            announcer.start(place)
            #expect(reports.values == [.withheld(place, .absent)])
            #expect(try await reports.first { _ in reports.values.count >= 4 } != nil, "the timers go on")
            #expect(try await heard(peer, pause: .milliseconds(300)) == 0)
            #expect(Set(reports.values) == [.withheld(place, .absent)])
            announcer.stopAll()
        }
    }

    @Test @EventLoop func `what had to be withheld is announced with the next lifetime, from the beginning`()
        async throws
    {
        try await TestNetwork.with(nodes: 1) { nodes in
            let place = try virtual("10.77.0.100/24")
            let (announcer, reports) = announcer(in: nodes[0])
            try await hold(place, in: nodes[0], announcer)
            try await nodes[0].ip("addr", "del", "\(place.address)", "dev", "eth0")
            announcer.start(place)
            // All of the first second.
            #expect(try await eventually(within: .seconds(20)) { reports.values.count >= 4 })
            #expect(Set(reports.values) == [.withheld(place, .absent)])
            try await nodes[0].ip("addr", "add", "\(place.address)", "dev", "eth0")
            reports.removeAll()
            announcer.allow(place, until: BootClock.microseconds + 600_000_000)
            let mac = try await mac(nodes[0])
            #expect(reports.values.first == .announced(place, mac, number: 1), "at once")
            #expect(try await reports.contains(.announced(place, mac, number: 3)))
            announcer.stopAll()
        }
    }

    @Test(arguments: ["10.77.0.100/24", "fd00:77::100/64"])
    @EventLoop func `nothing is announced once the right has ended, as after a freeze`(text: String) async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            let place = try virtual(text)
            let (peer, index) = try socket(in: nodes[1])
            let type: EtherType = place.address.address.isIPv6 ? .ipv6 : .arp
            try peer.listen(to: type, on: index, filter: PacketFilter.claims(to: place.address.address))
            let (announcer, reports) = announcer(in: nodes[0])
            try await nodes[0].ip("addr", "add", text, "dev", "eth0", "nodad")
            announcer.start(place)
            #expect(reports.values == [.withheld(place, .rightEnded)], "never given")
            announcer.stop(place)
            reports.removeAll()
            // Long enough for the first, which is sent at once; over before the one after a second.
            announcer.allow(place, until: BootClock.microseconds + 600_000)
            announcer.start(place)
            #expect(try await reports.contains(.withheld(place, .rightEnded)), "the timers go on")
            _ = try await heard(peer, pause: .milliseconds(300))
            reports.removeAll()
            #expect(try await heard(peer, pause: .seconds(1)) == 0)
            // With the next lifetime it is announced again, at the next step.
            announcer.allow(place, until: BootClock.microseconds + 60_000_000)
            let mac = try await mac(nodes[0])
            let again = try await reports.first(within: .seconds(10)) {
                if case .announced(place, mac, _) = $0 { true } else { false }
            }
            #expect(again != nil)
            announcer.stopAll()
        }
    }
}
