// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// `net.ipv4.conf.*.promote_secondaries`: whether the kernel, when it removes the first address of a subnet, keeps the
/// others. Where it is 0, as Linux has it by default, they go with the first, and so does the route.
enum SecondaryPromotion {
    /// Whether it is in force for the interface, set for it if need be. Reads and writes the network namespace of this
    /// thread. Waits for the kernel's network lock only where it sets it, which is once: whoever may not is refused before.
    static func ensure(on interface: String) -> Bool {
        if self.isInForce(on: interface) { return true }
        let index = if_nametoindex(interface)
        guard index > 0, linux_promote_secondaries(Int32(index)) == 0 else { return false }
        return self.isInForce(on: interface)
    }

    static func isInForce(on interface: String) -> Bool {
        ["all", interface].contains { Self.isSet("/proc/sys/net/ipv4/conf/\($0)/promote_secondaries") }
    }

    /// What cannot be read is not known to be set.
    private static func isSet(_ path: String) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        var byte: UInt8 = 0
        return read(file, &byte, 1) == 1 && byte == UInt8(ascii: "1")
    }
}
