// SPDX-License-Identifier: Apache-2.0
import EventLoop
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// A node that holds and announces an address on one kind of interface, and a peer on the same network.
@EventLoop
struct PeerScene {
    let node: TestNamespace
    let peer: TestNamespace
    /// The peer's interface in that network.
    let peerInterface: String
    let place: VirtualAddress
    private let announcer: Announcer

    static let address = "10.77.0.100"

    /// Gives the peer an address, and a wrong idea of where ours is. The node's interface is there already.
    init(_ kind: InterfaceKind, _ nodes: [TestNamespace]) async throws {
        (self.node, self.peer) = (nodes[0], nodes[1])
        let hasTag = kind == .vlan || kind == .vlanOnBond
        self.peerInterface = hasTag ? try await InterfaceKind.makeVLAN(on: "eth0", in: nodes[1]) : "eth0"
        self.place = try virtual("\(Self.address)/24", on: kind.interface)
        self.announcer = Announcer(enter: { nodes[0].enter($0) }, report: { _ in })
        self.announcer.follow([self.place.address.address])
        try await self.peer.ip("address", "add", "10.77.0.2/24", "dev", self.peerInterface)
        try await self.peer.ip(
            "neigh", "replace", Self.address, "lladdr", "02:00:00:00:00:01", "nud", "stale", "dev", self.peerInterface)
    }

    /// Holds the address, and announces it until ``silence()``.
    func hold() async throws {
        _ = try await self.node.commands.insist(on: self.place, for: 60_900_000).get()
        self.announce()
    }

    /// Announces the address, which came to the node after this scene was made, until ``silence()``.
    func announce() {
        self.announcer.allow(self.place, until: BootClock.microseconds + 60_000_000)
        self.announcer.start(self.place)
    }

    func silence() { self.announcer.stopAll() }

    /// The link address of the node's interface.
    var link: String {
        get async throws {
            let link = try await self.node.ip("-o", "link", "show", "dev", self.place.interface)
            let words = link.split(separator: " ").map(String.init)
            return try #require(words.firstIndex(of: "link/ether").map { words[$0 + 1] })
        }
    }

    /// Whether the peer comes to believe, within five seconds, that the address is where the node's interface is.
    func peerFollows() async throws -> Bool {
        let link = try await self.link
        return try await eventually {
            try await self.peer.ip("neigh", "show", Self.address, "dev", self.peerInterface).contains("lladdr \(link)")
        }
    }

    /// Whether the peer reaches the address: nobody listens there, which the node's kernel says.
    func isReached() async throws -> Bool {
        let connect = "exec 3<>/dev/tcp/\(Self.address)/9"
        let command = [TestNetwork.ip, "netns", "exec", self.peer.name, "timeout", "5", "/bin/bash", "-c", connect]
        return try await eventually(within: .seconds(30)) {
            try await ChildProcess(command, timeout: .seconds(10)).run().text.contains("refused")
        }
    }
}
