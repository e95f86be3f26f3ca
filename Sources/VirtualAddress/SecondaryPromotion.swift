// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc

/// `net.ipv4.conf.*.promote_secondaries`: whether the kernel, when it removes the first address of a subnet, keeps the
/// others. Where it is 0, as Linux has it by default, they go with the first, and so does the route.
@EventLoop
enum SecondaryPromotion {
    /// How long it may take to be set. Whoever holds the kernel's lock on the network configuration keeps `ip` waiting as well.
    private static let timeout: Duration = .milliseconds(500)

    /// Whether it is in force for the interface, set for it if need be: by a child, since that waits for the kernel's lock on the
    /// network configuration, which others may hold for seconds. Reads and writes the network namespace that this thread is in
    /// when it is called. False also where it could not be set within half a second; it may be set later then.
    static func ensure(on interface: String) async -> Bool {
        if self.isInForce(on: interface) { return true }
        let index = if_nametoindex(interface)
        guard index > 0 else { return false }
        var child = ChildProcess(["promote_secondaries", interface], kind: .address, timeout: self.timeout)
        child.action = .init(linux_promote_secondaries, Int32(index))
        do throws(ChildProcessError) {
            return try await child.run().exitCode == 0
        } catch {
            return false
        }
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
