// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// In network namespaces of the running kernel.
@Suite(.serialized)
struct AddressPresenceTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop private func presence(of addresses: [String], in node: TestNamespace) -> AddressPresence {
        let presence = AddressPresence { () throws(RouteSocket.Failure) in
            var result: Result<RouteSocket, RouteSocket.Failure>?
            node.enter {
                do throws(RouteSocket.Failure) { result = .success(try RouteSocket(receiveBuffer: 4096)) } catch {
                    result = .failure(error)
                }
            }
            guard let result else { throw RouteSocket.Failure(number: EINVAL, call: "setns") }
            return try result.get()
        }
        presence.follow(Set(addresses.compactMap { IPAddress($0) }))
        return presence
    }

    /// The numbers of interfaces, all of them Ethernet's, on which the address is known to be.
    @EventLoop private func interfaces(_ presence: AddressPresence, _ address: String) throws -> [Int32] {
        let address = try #require(IPAddress(address))
        return try (1...20).filter { try presence.answer(for: address, on: $0) == .here }
    }

    @Test(arguments: ["10.77.0.100", "fd00:77::100"])
    @EventLoop func `it is known from its first message to its last, where it is`(address: String) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let node = nodes[0]
            let presence = presence(of: [address], in: node)
            try await node.ip("link", "add", "eth1", "type", "veth", "peer", "name", "eth2")
            try await node.ip("link", "set", "eth1", "up")
            let place = address.contains(":") ? [address + "/64", "nodad"] : [address + "/24"]
            #expect(try interfaces(presence, address).isEmpty)
            try await node.ip(["addr", "replace"] + place + ["dev", "eth0"])
            let first = try interfaces(presence, address)
            #expect(first.count == 1)
            try await node.ip(["addr", "replace"] + place + ["dev", "eth1"])
            #expect(try interfaces(presence, address).count == 2)
            try await node.ip("link", "del", "eth1")
            #expect(try interfaces(presence, address) == first)
            // As its lifetime does.
            try await node.ip("addr", "del", place[0], "dev", "eth0")
            #expect(try interfaces(presence, address).isEmpty)
            try await node.ip(["addr", "replace"] + place + ["dev", "eth0"])
            #expect(try interfaces(presence, address) == first)
            presence.follow([])
            #expect(try interfaces(presence, address).isEmpty)
        }
    }

    @Test @EventLoop func `an address that stands twice is here until the last of them has gone`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let (node, address) = (nodes[0], "10.77.0.100")
            let presence = presence(of: [address], in: node)
            for change in [["add", "/24"], ["add", "/32"], ["del", "/24"]] {
                try await node.ip("addr", change[0], address + change[1], "dev", "eth0")
            }
            #expect(try interfaces(presence, address).count == 1)
            try await node.ip("addr", "del", address + "/32", "dev", "eth0")
            #expect(try interfaces(presence, address).isEmpty)
        }
    }

    /// 400 changes, more than the queue takes, before and after which something happens to the address.
    private func storm(before: [String], after: [String]) throws -> TemporaryDirectory {
        let changes = (1...200).flatMap { number in ["add", "del"].map { "addr \($0) 10.78.0.\(number)/32 dev eth0" } }
        let folder = try TemporaryDirectory("storm")
        try folder.write("batch", (before + changes + after).joined(separator: "\n") + "\n")
        return folder
    }

    @Test @EventLoop func `after messages were lost nothing is known, until a lifetime is given anew`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let (node, address) = (nodes[0], "10.77.0.100")
            let presence = presence(of: [address], in: node)
            let first = try storm(before: [], after: [])
            try await node.ip("addr", "replace", address + "/32", "dev", "eth0")
            #expect(try interfaces(presence, address).count == 1)
            // Within one turn of the loop.
            node.enter { _ = waitFor("ip -batch \(first.file("batch"))") }
            let interface = try #require(IPAddress(address))
            #expect(try (1...20).allSatisfy { try presence.answer(for: interface, on: $0) == .unknown })
            try await node.ip("addr", "replace", address + "/32", "dev", "eth0")
            #expect(try interfaces(presence, address).count == 1)
            // What waits in the queue is older than what was lost.
            let place = "\(address)/32 dev eth0"
            let second = try storm(before: ["addr replace \(place)"], after: ["addr del \(place)"])
            node.enter { _ = waitFor("ip -batch \(second.file("batch"))") }
            #expect(try interfaces(presence, address).isEmpty)
        }
    }

    /// Runs it while the loop stands still.
    private func waitFor(_ command: String) -> Int32 { system(command) }
}
