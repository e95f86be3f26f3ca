// SPDX-License-Identifier: Apache-2.0
import NetworkAddress
import TestSupport
import Testing

@testable import RouteNetlink

/// Datagrams as a little-endian kernel sends them: recorded ones, and some taken apart by hand.
struct RouteMessageTests {
    /// The recorded datagrams, each with the command that caused it.
    private static func recorded() throws -> [(command: String, bytes: [UInt8])] {
        var command = ""
        var result: [(String, [UInt8])] = []
        for line in String(decoding: try fixture("linux-6.18.txt"), as: UTF8.self).split(separator: "\n") {
            if line.hasPrefix("# ") {
                command = String(line.dropFirst(2))
                continue
            }
            let digits = Array(line.utf8)
            result.append(
                (
                    command,
                    try stride(from: 0, to: digits.count, by: 2).map {
                        try #require(UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16))
                    }
                ))
        }
        return result
    }

    private static func heard(after command: String) throws -> [RouteMessage] {
        try Self.recorded().filter { $0.command == command }.flatMap { RouteMessage.parse($0.bytes[...]) }
    }

    private func place(_ text: String, on interface: Int32 = 2) throws -> RoutePlace {
        RoutePlace(address: try #require(AddressPrefix(text)), interface: interface)
    }

    private func address(
        _ text: String, on interface: Int32 = 2, seconds: UInt32? = nil, isTentative: Bool = false,
        isDuplicate: Bool = false, isSecondary: Bool = false
    ) throws -> RouteMessage {
        .address(
            RouteAddress(
                place: try place(text, on: interface), seconds: seconds, isTentative: isTentative,
                isDuplicate: isDuplicate, isSecondary: isSecondary))
    }

    private func link(_ name: String, _ index: Int32, hasCarrier: Bool = false) -> RouteMessage {
        .link(RouteLink(index: index, name: name, hasCarrier: hasCarrier))
    }

    // MARK: - Recorded

    @Test func `addresses come, with their lifetimes, and in the second place`() throws {
        #expect(try Self.heard(after: "ip addr add 10.77.0.1/24 brd + dev v0") == [address("10.77.0.1/24")])
        let replace = "ip addr replace 10.77.0.100/32 dev v0 valid_lft"
        #expect(
            try Self.heard(after: "\(replace) 30 preferred_lft 30 scope host")
                == [address("10.77.0.100/32", seconds: 30)])
        #expect(
            try Self.heard(after: "\(replace) 40 preferred_lft 40") == [address("10.77.0.100/32", seconds: 40)])
        #expect(
            try Self.heard(after: "ip addr add 10.77.0.2/24 dev v0") == [address("10.77.0.2/24", isSecondary: true)])
        #expect(
            try Self.heard(after: "ip addr add fd00:77::5/64 nodad valid_lft 30 preferred_lft 0 dev v0")
                == [address("fd00:77::5/64", seconds: 30)])
    }

    @Test func `an address on a point-to-point link is ours, not the peer's`() throws {
        #expect(try Self.heard(after: "ip addr add 10.9.0.1 peer 10.9.0.2/32 dev v0") == [address("10.9.0.1/32")])
        let six = "ip addr add fd00:77::7 peer fd00:77::8/64 dev v0"
        #expect(try Self.heard(after: six) == [address("fd00:77::7/64", isTentative: true), address("fd00:77::7/64")])
    }

    @Test func `duplicate detection that fails`() throws {
        #expect(
            try Self.heard(after: "ip addr add fd00:77::6/64 dev v0").prefix(2) == [
                address("fd00:77::6/64", isTentative: true),
                address("fd00:77::6/64", isTentative: true, isDuplicate: true),
            ])
    }

    @Test func `addresses go, one with another`() throws {
        #expect(
            try Self.heard(after: "ip addr del 10.77.0.1/24 dev v0") == [
                .addressRemoved(place("10.77.0.2/24")), .addressRemoved(place("10.77.0.1/24")),
            ])
    }

    @Test func `a link has its own name, not the alternative one, and a carrier or none`() throws {
        #expect(try Self.heard(after: "ip link set v0 up") == [link("v0", 2)])
        #expect(try Self.heard(after: "(the peer is switched on)") == [link("v0", 2, hasCarrier: true)])
        #expect(
            try Self.heard(after: "ip link property add dev v0 altname v0-clients") == [
                link("v0", 2, hasCarrier: true)
            ])
    }

    @Test func `a renaming, and what it does to labels`() throws {
        #expect(
            try Self.heard(after: "ip link set v0 name w0") == [
                link("w0", 2), address("10.77.0.3/32"), address("10.9.0.1/32"),
            ])
    }

    @Test func `a link that is removed takes its addresses along, and comes back under another number`() throws {
        #expect(
            try Self.heard(after: "ip link delete w0").suffix(2) == [.linkRemoved(index: 2), .linkRemoved(index: 9)])
        #expect(try Self.heard(after: "ip link add w0 index 9 type bridge") == [link("w0", 9)])
    }

    @Test func `a port that leaves its bridge is not removed`() throws {
        for command in ["ip link set p0 master br0", "ip link set p0 nomaster"] {
            #expect(try Self.recorded().contains { $0.command == command })
            #expect(try Self.heard(after: command).isEmpty)
        }
    }

    @Test func `an answer to a question, to its end`() throws {
        let answer = try Self.heard(after: "(all addresses, asked for)")
        let sequence: UInt32 = 7
        #expect(answer.last == .answered(sequence: sequence, isComplete: true))
        #expect(try answer.first == address("127.0.0.1/8", on: 1))
        #expect(answer.count == 12)
    }

    @Test func `nothing that was recorded is malformed`() throws {
        for (command, bytes) in try Self.recorded() {
            for message in RouteMessage.parse(bytes[...]) {
                if case .malformed(let what) = message { Issue.record("\(command): \(what)") }
            }
        }
    }

    // MARK: - By hand

    private static let address: [UInt8] = [
        0x3c, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // 60 bytes, RTM_NEWADDR, no flags, sequence 0
        2, 24, 0x80, 0, 2, 0, 0, 0,  // AF_INET, /24, permanent, global, interface 2
        8, 0, 1, 0, 10, 77, 0, 1,  // IFA_ADDRESS 10.77.0.1
        8, 0, 2, 0, 10, 77, 0, 100,  // IFA_LOCAL 10.77.0.100
        20, 0, 6, 0, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // IFA_CACHEINFO: preferred for 0 s, valid for 60
    ]
    private static let done: [UInt8] = [
        20, 0, 0, 0, 3, 0, 2, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // 20 bytes, NLMSG_DONE, multi, sequence 7
    ]
    private static let link: [UInt8] = [
        0x28, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // 40 bytes, RTM_NEWLINK
        0, 0, 1, 0, 2, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0,  // AF_UNSPEC, Ethernet, interface 2, up, with carrier
        7, 0, 3, 0, 0x76, 0x30, 0, 0,  // IFLA_IFNAME "v0", padded
    ]

    /// `bytes` with others from `place` on.
    private func changed(_ bytes: [UInt8], _ place: Int, _ values: UInt8...) -> ArraySlice<UInt8> {
        var bytes = bytes
        bytes.replaceSubrange(place..<place + values.count, with: values)
        return bytes[...]
    }

    @Test func `several messages in one datagram`() throws {
        #expect(
            RouteMessage.parse((Self.address + Self.link + Self.done)[...]) == [
                try address("10.77.0.100/24", seconds: 60), link("v0", 2, hasCarrier: true),
                .answered(sequence: 7, isComplete: true),
            ])
    }

    @Test func `what is interrupted or refused is not complete`() {
        var interrupted = Self.address + Self.done
        interrupted[6] = 0x12  // NLM_F_MULTI and NLM_F_DUMP_INTR
        #expect(RouteMessage.parse(interrupted[...]).last == .answered(sequence: 7, isComplete: false))
        let refused = changed(Self.done, 4, 2)  // NLMSG_ERROR
        #expect(RouteMessage.parse(refused) == [.answered(sequence: 7, isComplete: false)])
    }

    @Test func `other families and kinds of messages are nobody's business`() {
        #expect(RouteMessage.parse(changed(Self.address, 16, 28)).isEmpty, "MPLS")
        #expect(RouteMessage.parse(changed(Self.link, 16, 7)).isEmpty, "of a bridge")
        #expect(RouteMessage.parse(changed(Self.address, 4, 24)).isEmpty, "RTM_NEWROUTE")
        #expect(RouteMessage.parse([]).isEmpty)
    }

    @Test func `a broken message is refused, and those behind it are read`() {
        let broken = [
            changed(Self.address, 20, 0), changed(Self.address, 23, 0xff),  // no interface, a negative one
            changed(Self.address, 17, 33),  // /33
            changed(Self.address, 16, 10),  // an IPv6 address of four bytes
            changed(Self.address, 32, 7), changed(Self.address, 32, 3), changed(Self.address, 32, 0xff),  // lengths
            changed(Self.address, 42, 9), changed(Self.address, 40, 16), changed(Self.address, 40, 21),  // the lifetime
            changed(Self.link, 20, 0), changed(Self.link, 36, 0), changed(Self.link, 34, 53),  // number; name
            changed(Self.link, 32, 6), changed(Self.link, 32, 9),  // a name without its end, and beyond the message's
        ]
        for bytes in broken {
            let messages = RouteMessage.parse(bytes + Self.done)
            #expect(messages.count == 2 && messages.last == .answered(sequence: 7, isComplete: true), "\(bytes)")
            guard case .malformed = messages.first else {
                Issue.record("\(bytes): \(messages)")
                continue
            }
        }
    }

    @Test func `a length that does not fit ends the datagram`() {
        for length: UInt8 in [0, 1, 15, 61, 0xff] {
            let messages = RouteMessage.parse(changed(Self.address, 0, length))
            #expect(messages == [.malformed("60 bytes do not begin with a message")])
        }
        #expect(RouteMessage.parse(changed(Self.address, 0, 0xff, 0xff, 0xff, 0xff)).count == 1)
        // A length that says zero must not be read forever.
        #expect(RouteMessage.parse([UInt8](repeating: 0, count: 64)[...]).count == 1)
    }

    @Test func `every truncation of what was recorded is refused`() async throws {
        for (_, bytes) in try Self.recorded() {
            for end in bytes.indices.dropFirst() {
                let messages = RouteMessage.parse(bytes[..<end])
                guard case .malformed = messages.last else {
                    // Cut between two messages it is whole.
                    #expect(RouteMessage.parse(bytes[...]).starts(with: messages) && !messages.isEmpty, "\(end)")
                    continue
                }
            }
            await Task.yield()
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `what was recorded, cut and changed at random, is read or refused`(seed: UInt64) async throws {
        var generator = SeededGenerator(seed)
        let recorded = try Self.recorded().map(\.bytes)
        var (read, refused) = (0, 0)
        for number in 0..<10_000 {
            let bytes = generator.mutate(recorded[number % recorded.count])
            let messages = RouteMessage.parse(bytes[...])
            #expect(messages.count <= bytes.count / 16 + 1)
            for message in messages {
                switch message {
                case .malformed: refused += 1
                case .link(let link): #expect((1...15 * 3).contains(link.name.utf8.count) && link.index > 0)
                case .address, .addressRemoved, .linkRemoved, .answered: read += 1
                }
            }
            if number % 100 == 0 { await Task.yield() }
        }
        #expect(read > 100 && refused > 100, "\(read) \(refused)")
    }
}
