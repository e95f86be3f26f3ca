// SPDX-License-Identifier: Apache-2.0
import CLinux
import NetworkAddress

/// Classic BPF programs, so that a busy network wakes nobody up: they pass only what could come from another holder.
enum PacketFilter {
    /// ARP packets whose sender's address is `address`, or advertisements of `address`.
    static func claims(to address: IPAddress) -> [sock_filter] {
        address.isIPv6 ? Self.advertisements(of: address) : Self.matching(Self.words(of: address, at: 14))
    }

    /// Rejects every packet.
    static var nothing: [sock_filter] { [Self.instruction(BPF_RET | BPF_K, 0)] }

    private static func advertisements(of address: IPAddress) -> [sock_filter] {
        let kind = [Check(width: BPF_B, offset: 6, value: 58), Check(width: BPF_B, offset: 40, value: 136)]
        return Self.matching(kind + Self.words(of: address, at: 48))
    }

    /// A byte or a word of the packet that must have a value.
    private struct Check {
        let width: Int32
        let offset: UInt32
        let value: UInt32
    }

    private static func words(of address: IPAddress, at offset: UInt32) -> [Check] {
        let bytes = address.bytes
        return stride(from: 0, to: bytes.count, by: 4).map { place in
            let value = bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
            return Check(width: BPF_W, offset: offset + UInt32(place), value: value)
        }
    }

    /// Passes a packet that fulfills every check; a load beyond the packet's end rejects it.
    private static func matching(_ checks: [Check]) -> [sock_filter] {
        var program: [sock_filter] = []
        for (number, check) in checks.enumerated() {
            program.append(Self.instruction(BPF_LD | check.width | BPF_ABS, check.offset))
            // Where it differs: to the last instruction, over the rest of the checks and the one that passes.
            let distance = UInt8((checks.count - number - 1) * 2 + 1)
            program.append(Self.instruction(BPF_JMP | BPF_JEQ | BPF_K, check.value, otherwise: distance))
        }
        return program + [Self.instruction(BPF_RET | BPF_K, 0x40000), Self.instruction(BPF_RET | BPF_K, 0)]
    }

    private static func instruction(_ code: Int32, _ value: UInt32, otherwise: UInt8 = 0) -> sock_filter {
        sock_filter(code: UInt16(code), jt: 0, jf: otherwise, k: value)
    }
}
