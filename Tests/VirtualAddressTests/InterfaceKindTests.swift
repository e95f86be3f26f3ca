// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// Several addresses of ours in the node's own subnet, on each kind of interface that this kernel has, in whatever order a network
/// manager adds things: the own address stays, the node's own connections come from it, and ours arrive and leave.
@Suite(.serialized)
struct InterfaceKindTests {
    init() { EventLoop.shared.executor.startThread() }

    enum Kind: String, CaseIterable, Sendable {
        /// One end of a pair, whose other end is elsewhere.
        case veth
        case bridge
        /// `ip` prints it as NAME@PARENT.
        case macvlan
        /// So are the ends of a pair in one namespace.
        case pair
        case withoutCarrier
        /// Longer than a name may be.
        case alternativeName

        /// What the configuration says.
        var interface: String {
            switch self {
            case .veth: "eth0"
            case .withoutCarrier: "eth1"
            case .bridge: "br0"
            case .macvlan: "mac0"
            case .pair: "left0"
            case .alternativeName: "enp19s0f0np0v123clients"
            }
        }

        var device: String { self == .alternativeName ? "eth0" : self.interface }

        @EventLoop func make(in node: TestNamespace) async throws {
            switch self {
            case .veth: break
            case .bridge:
                try await node.ip("link", "add", "br0", "type", "bridge")
                try await node.ip("link", "set", "eth0", "master", "br0")
                try await node.ip("link", "set", "br0", "up")
            case .macvlan:
                try await node.ip("link", "add", "link", "eth0", "name", "mac0", "type", "macvlan", "mode", "bridge")
                try await node.ip("link", "set", "mac0", "up")
            case .pair:
                try await node.ip("link", "add", "left0", "type", "veth", "peer", "name", "right0")
                for name in ["left0", "right0"] { try await node.ip("link", "set", name, "up") }
            case .withoutCarrier:
                let port = try await TestNetwork.attach(node, as: "eth1")
                try await node.hub.ip("link", "set", port, "down")
                let isDown = try await eventually {
                    try await node.ip("-o", "link", "show", "dev", "eth1").contains("NO-CARRIER")
                }
                try #require(isDown)
            case .alternativeName:
                try await node.ip("link", "property", "add", "dev", "eth0", "altname", self.interface)
            }
        }
    }

    enum Order: String, CaseIterable, Sendable {
        case ownFirst, ownLast
        /// `ifdown` and `ifup`: everything goes, ours is put back at once, the own one comes later.
        case flushed
    }

    private static let own = "10.77.0.1/24"
    private static let ours = ["10.77.0.100/24", "10.77.0.101/24", "10.77.0.102/32"]

    @EventLoop private func keeper(in node: TestNamespace) throws -> AddressKeeper {
        let keeper = AddressKeeper(
            node.commands,
            promotes: { await node.promotesSecondaries(on: $0) },
            report: { Issue.record("the own addresses hang on \($0)") })
        keeper.follow(Set(try Self.ours.map { try virtual($0).address.address }))
        return keeper
    }

    /// As the daemon does after every change, and again where a busy machine was too slow.
    @EventLoop private func hold(_ keeper: AddressKeeper, on interface: String) async throws {
        for text in Self.ours {
            let place = try virtual(text, on: interface)
            _ = try await keeper.list()
            try await self.insist {
                await keeper.assign(place, until: BootClock.microseconds + 60_900_000).map { _ in }
            }
            _ = try await keeper.list()
        }
    }

    @EventLoop private func insist(_ change: @EventLoop () async -> Result<Void, CommandFailure>) async throws {
        for attempt in 1...20 {
            let outcome = await change()
            if case .failure(let failure) = outcome, failure.kind == .timedOut, attempt < 20 { continue }
            return try outcome.get()
        }
    }

    /// Each that the interface has, with its prefix length.
    @EventLoop private func addresses(on device: String, in node: TestNamespace) async throws -> Set<String> {
        let words = try await node.ip("-4", "-o", "address", "show", "dev", device).split(separator: " ").map(
            String.init)
        return Set(words.indices.dropFirst().filter { words[$0 - 1] == "inet" }.map { words[$0] })
    }

    @Test(arguments: Kind.allCases, Order.allCases)
    @EventLoop func `the own address stays, connections come from it, and ours arrive and leave`(
        kind: Kind, order: Order
    ) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let node = nodes[0]
            try await kind.make(in: node)
            let keeper = try keeper(in: node)
            let device = kind.device
            if order != .ownLast { try await node.ip("address", "add", Self.own, "dev", device) }
            try await hold(keeper, on: kind.interface)
            if order == .flushed {
                try await node.ip("address", "flush", "dev", device)
                try await hold(keeper, on: kind.interface)
            }
            if order != .ownFirst { try await node.ip("address", "add", Self.own, "dev", device) }
            try await hold(keeper, on: kind.interface)

            let held = try await addresses(on: device, in: node)
            #expect(held == Set([Self.own] + Self.ours.map { $0.replacing("/24", with: "/32") }), "\(held)")
            let route = try await node.ip("route", "get", "10.77.0.9")
            #expect(route.contains("dev \(device) src 10.77.0.1 "), "\(route)")

            for (index, text) in Self.ours.enumerated() {
                let place = try virtual(text, on: kind.interface)
                try await insist { await keeper.remove(place).map { _ in } }
                let left = try await addresses(on: device, in: node)
                #expect(left.contains(Self.own) && left.count == Self.ours.count - index, "\(left)")
            }
            let network = try await node.ip("route", "show", "10.77.0.0/24", "dev", device)
            #expect(network.contains("src 10.77.0.1"), "\(network)")
        }
    }

    @Test(arguments: [Kind.bridge, .macvlan])
    @EventLoop func `a peer's neighbor table follows an address on it`(kind: Kind) async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            try await kind.make(in: nodes[0])
            try await nodes[1].ip("address", "add", "10.77.0.2/24", "dev", "eth0")
            try await nodes[1].ip(
                "neigh", "replace", "10.77.0.100", "lladdr", "02:00:00:00:00:01", "nud", "stale", "dev", "eth0")
            let place = try virtual("10.77.0.100/24", on: kind.interface)
            let link = try await nodes[0].ip("-o", "link", "show", "dev", kind.interface)
            let words = link.split(separator: " ").map(String.init)
            let mac = try #require(words.firstIndex(of: "link/ether").map { words[$0 + 1] })
            let announcer = Announcer(enter: { nodes[0].enter($0) }, report: { _ in })
            announcer.follow([place.address.address])
            _ = try await nodes[0].commands.insist(on: place, for: 60_900_000).get()
            announcer.allow(place, until: BootClock.microseconds + 60_000_000)
            announcer.start(place)
            let hasMoved = try await eventually {
                try await nodes[1].ip("neigh", "show", "10.77.0.100", "dev", "eth0").contains("lladdr \(mac)")
            }
            announcer.stopAll()
            #expect(hasMoved)
        }
    }
}
