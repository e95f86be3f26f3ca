// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import KernelPlaces
import NetworkAddress

/// The interfaces of a network namespace as sockets need them: read anew for each announcement, for any of it may have changed.
/// None of the questions waits for the kernel's lock on the network configuration. (Asked for a name that it does not know, the
/// kernel would look for a module of that name, and wait for `modprobe`: so only names that it lists are asked for.)
enum LocalLinks {
    struct Link: Hashable {
        let index: Int32
        /// Nil where it is no Ethernet interface.
        let address: LinkAddress?
    }

    /// The interface of this name in the namespace that `socket` and this thread are in; nil: there is none.
    static func link(_ name: String, by socket: Int32) -> Link? {
        guard self.names()?.contains(name) ?? true, let found = self.ask(name, SIOCGIFINDEX, by: socket) else {
            return nil
        }
        let index = found.withUnsafeBytes { $0.load(as: Int32.self) }
        return Link(index: index, address: self.address(of: name, by: socket))
    }

    /// Every Ethernet address of the namespace that `socket` and this thread are in: whoever answers with one of them is no other
    /// holder. At most 4096.
    static func ownAddresses(by socket: Int32) -> Set<LinkAddress> {
        Set((self.names() ?? []).prefix(4096).compactMap { self.address(of: $0, by: socket) })
    }

    /// Nil where they cannot be read, or not all of them.
    private static func names() -> [String]? {
        // Two lines of headings, then a line for each interface, which begins with its name and a colon.
        guard let text = self.read("/proc/thread-self/net/dev"), text.utf8.count < Self.sizeLimit else { return nil }
        return text.split(separator: "\n").dropFirst(2).map { line in
            String(line.drop { $0 == " " }.prefix { $0 != ":" })
        }
    }

    private static func address(of name: String, by socket: Int32) -> LinkAddress? {
        // struct sockaddr: the kind of hardware, then its address.
        guard let found = self.ask(name, SIOCGIFHWADDR, by: socket),
            found.withUnsafeBytes({ $0.load(as: UInt16.self) }) == UInt16(ARPHRD_ETHER)
        else { return nil }
        return LinkAddress(bytes: Array(found[2..<8]))
    }

    /// The part of struct ifreq behind the name, 24 bytes; nil where there is no such interface.
    private static func ask(_ name: String, _ question: Int32, by socket: Int32) -> [UInt8]? {
        let bytes = Array(name.utf8)
        guard (1...15).contains(bytes.count) else { return nil }
        var request = [UInt8](repeating: 0, count: 40)
        request.replaceSubrange(0..<bytes.count, with: bytes)
        guard ioctl(socket, UInt(question), &request) == 0 else { return nil }
        return Array(request.dropFirst(16))
    }

    /// Bytes of the kernel's list, some 120 for each interface.
    private static let sizeLimit = 1 << 20

    /// Little more than ``sizeLimit``.
    private static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while text.count < self.sizeLimit {
            let count = Glibc.read(file, &buffer, buffer.count)
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }
}
