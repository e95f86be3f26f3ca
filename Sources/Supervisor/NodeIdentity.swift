// SPDX-License-Identifier: Apache-2.0
import Glibc
import LeaseKeys

/// What tells this boot of this node from every other: the kernel's boot id, and the network namespace, since containers of
/// one host share the former.
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
        return PharosKeys.node(boot: String(text), network: self.network())
    }

    /// The number of this process's network namespace.
    private static func network() -> String? {
        var buffer = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/self/ns/net", &buffer, buffer.count)
        guard count > 0 else { return nil }
        // net:[4026531840]
        let number = buffer.prefix(count).map { UInt8(bitPattern: $0) }.filter { (48...57).contains($0) }
        return number.isEmpty ? nil : String(decoding: number, as: UTF8.self)
    }
}
