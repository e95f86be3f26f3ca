// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Lab

/// Datagrams as a little-endian kernel sends them.
struct AddressMessageTests {
    private static let added: [UInt8] = [
        0x28, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // 40 bytes, RTM_NEWADDR, no flags, sequence 0
        2, 24, 0x80, 0, 2, 0, 0, 0,  // AF_INET, /24, permanent, global, interface 2
        8, 0, 1, 0, 10, 77, 0, 1,  // IFA_ADDRESS 10.77.0.1
        8, 0, 2, 0, 10, 77, 0, 100,  // IFA_LOCAL 10.77.0.100
    ]
    private static let removed: [UInt8] =
        [
            0x2c, 0, 0, 0, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // 44 bytes, RTM_DELADDR
            10, 64, 0x80, 0, 2, 0, 0, 0,  // AF_INET6, /64
            20, 0, 1, 0,  // IFA_ADDRESS
        ] + [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    private static let done: [UInt8] = [
        20, 0, 0, 0, 3, 0, 2, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // 20 bytes, NLMSG_DONE, multi, sequence 7
    ]

    private static let address = KernelAddress(address: "10.77.0.100", prefixLength: 24, interface: 2)

    @Test func `an address is local before it is a peer's`() {
        #expect(AddressMessage.parse(Self.added[...]) == [.present(Self.address)])
    }

    @Test func `several messages in one datagram`() {
        #expect(
            AddressMessage.parse((Self.added + Self.removed + Self.done)[...]) == [
                .present(Self.address),
                .removed(KernelAddress(address: "fd77::100", prefixLength: 64, interface: 2)),
                .answered(sequence: 7, isComplete: true),
            ]
        )
    }

    @Test func `an interrupted answer is not complete`() {
        var datagram = Self.added + Self.done
        datagram[6] = 0x12  // NLM_F_MULTI and NLM_F_DUMP_INTR
        #expect(AddressMessage.parse(datagram[...]).last == .answered(sequence: 7, isComplete: false))
    }

    @Test func `a refused question is not complete`() {
        var datagram = Self.done
        datagram[4] = 2  // NLMSG_ERROR
        #expect(AddressMessage.parse(datagram[...]) == [.answered(sequence: 7, isComplete: false)])
    }

    @Test func `every truncation and every changed byte is survived`() {
        let whole = Self.added + Self.removed + Self.done
        for end in whole.indices { _ = AddressMessage.parse(whole[..<end]) }
        for index in whole.indices {
            for byte: UInt8 in [0, 1, 3, 0x7f, 0xff] {
                var damaged = whole
                damaged[index] = byte
                _ = AddressMessage.parse(damaged[...])
            }
        }
        // A length that says zero must not be read forever.
        #expect(AddressMessage.parse([UInt8](repeating: 0, count: 64)[...]).isEmpty)
    }
}
