// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import TestSupport

/// Three name servers that answer for the names they are given, until they are silent: then what is asked is read, and that is all.
@EventLoop
final class NameServers {
    nonisolated static let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]

    /// Linux's number of SOCK_DGRAM, see `Receiver`.
    private nonisolated static let datagram: Int32 = 2

    var areSilent = false
    /// What was asked while they were silent: the names, each as often as it was asked for.
    private(set) var unanswered: [String] = []
    private let known: [String: [UInt8]]
    private var descriptors: [Int32] = []
    private var sources: [EventSource] = []

    /// On loopback of the namespace; `known`: the bytes of a name's IPv4 address.
    init(in namespace: String, _ known: [String: [UInt8]]) async throws {
        self.known = known
        for address in Self.addresses {
            let descriptor = try await IsolationSockets.open(in: namespace) { try Self.bound(to: address) }
            self.descriptors.append(descriptor)
            self.sources.append(.descriptor(descriptor, .read) { [weak self] _ in self?.receive(descriptor) })
        }
    }

    isolated deinit {
        self.sources = []
        for descriptor in self.descriptors { close(descriptor) }
    }

    private nonisolated static func bound(to address: String) throws -> Int32 {
        let descriptor = socket(AF_INET, Self.datagram | O_NONBLOCK | O_CLOEXEC, 0)
        var own = sockaddr_in()
        own.sin_family = sa_family_t(AF_INET)
        own.sin_port = UInt16(53).bigEndian
        inet_pton(AF_INET, address, &own.sin_addr)
        let status = withUnsafePointer(to: &own) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw TestSupportError("\(address): \(errno)") }
        return descriptor
    }

    private func receive(_ descriptor: Int32) {
        var buffer = [UInt8](repeating: 0, count: 1500)
        var peer = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &peer) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
                while case let count = recvfrom(descriptor, &buffer, buffer.count, 0, peer, &length), count > 0 {
                    guard let (name, answer) = self.answer(to: buffer[..<count]) else { continue }
                    if self.areSilent {
                        self.unanswered.append(name)
                    } else {
                        _ = sendto(descriptor, answer, answer.count, 0, peer, length)
                    }
                }
            }
        }
    }

    /// RFC 1035, 4.1: the question is repeated, and an address of 4 bytes follows where one was asked for (type 1) and is known.
    private func answer(to query: ArraySlice<UInt8>) -> (name: String, answer: [UInt8])? {
        guard query.count > 16 else { return nil }
        var (index, labels) = (12, [String]())
        while index < query.count, query[index] != 0 {
            let end = index + 1 + Int(query[index])
            guard end + 5 <= query.count else { return nil }
            labels.append(String(decoding: query[(index + 1)..<end], as: UTF8.self))
            index = end
        }
        guard index + 5 <= query.count else { return nil }
        let name = labels.joined(separator: ".")
        let address = self.known[name]
        let isGiven = address != nil && query[index + 2] == 1
        // An answer with recursion; 3: there is no such name. One question, and one answer or none.
        var answer = Array(query[..<2]) + [0x81, address == nil ? 0x83 : 0x80, 0, 1, 0, isGiven ? 1 : 0, 0, 0, 0, 0]
        answer += query[12..<(index + 5)]
        // The name of byte 12; type A, class IN, one second, four bytes.
        if isGiven, let address { answer += [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4] + address }
        return (name, answer)
    }
}
