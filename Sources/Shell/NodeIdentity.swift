// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What tells this boot of this node from every other: the kernel's boot id.
///
/// Not the machine id: cloned machines share it, and two of them would take each other's leases for their own.
enum NodeIdentity {
    static func read() -> String? {
        let descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        let text = String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self).split(separator: "\n").first
        guard let text, text.count >= 32 else { return nil }
        return String(text)
    }
}
