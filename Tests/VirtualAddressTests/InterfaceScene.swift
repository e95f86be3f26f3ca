// SPDX-License-Identifier: Apache-2.0
import EventLoop
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// In which order the node's own address and ours come.
enum InterfaceOrder: String, CaseIterable, Sendable {
    case ownFirst, ownLast
    /// `ifdown` and `ifup`: everything goes, ours is put back at once, the own one comes later.
    case flushed
}

/// Several addresses of ours in the node's own subnet on one interface of it.
@EventLoop
struct InterfaceScene {
    let kind: InterfaceKind
    let node: TestNamespace
    private let keeper: AddressKeeper

    static let own = "10.77.0.1/24"
    static let ours = ["10.77.0.100/24", "10.77.0.101/24", "10.77.0.102/32"]

    init(_ kind: InterfaceKind, in node: TestNamespace) throws {
        self.kind = kind
        self.node = node
        self.keeper = AddressKeeper(
            node.commands,
            promotes: { await node.promotesSecondaries(on: $0) },
            report: { Issue.record("the own addresses hang on \($0)") })
        self.keeper.follow(Set(try Self.ours.map { try virtual($0).address.address }))
    }

    static func play(_ kind: InterfaceKind, _ order: InterfaceOrder) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let scene = try InterfaceScene(kind, in: nodes[0])
            try await kind.make(in: nodes[0])
            if order != .ownLast { try await scene.addOwn() }
            try await scene.hold()
            if order == .flushed {
                try await nodes[0].ip("address", "flush", "dev", kind.device)
                try await scene.hold()
            }
            if order != .ownFirst { try await scene.addOwn() }
            try await scene.hold()
            // An ipvlan has an address once: what came before the own one stays as it is until it leaves.
            if kind == .ipvlan, order == .ownLast {
                #expect(try await scene.addresses == Set([Self.own] + Self.ours))
            } else {
                try await scene.expectAll()
            }
            try await scene.expectLeaving()
        }
    }

    func addOwn() async throws { try await self.node.ip("address", "add", Self.own, "dev", self.kind.device) }

    /// As the daemon does after every change, and again where a busy machine was too slow.
    func hold() async throws {
        for text in Self.ours {
            let place = try virtual(text, on: self.kind.interface)
            _ = try await self.keeper.list()
            try await self.insist {
                await self.keeper.assign(place, until: BootClock.microseconds + 60_900_000).map { _ in }
            }
            _ = try await self.keeper.list()
        }
    }

    /// The own address and all of ours are there, and the node's connections come from its own.
    func expectAll() async throws {
        let held = try await self.addresses
        #expect(held == Set([Self.own] + Self.ours.map { $0.replacing("/24", with: "/32") }), "\(held)")
        let route = try await self.node.ip(["route", "get", "10.77.0.9"] + self.kind.table)
        #expect(route.contains("dev \(self.kind.device) ") && route.contains(" src 10.77.0.1 "), "\(route)")
    }

    /// Each of ours leaves alone.
    func expectLeaving() async throws {
        for (index, text) in Self.ours.enumerated() {
            let place = try virtual(text, on: self.kind.interface)
            try await self.insist { await self.keeper.remove(place).map { _ in } }
            let left = try await self.addresses
            #expect(left.contains(Self.own) && left.count == Self.ours.count - index, "\(left)")
        }
        let network = try await self.node.ip(
            ["route", "show", "10.77.0.0/24", "dev", self.kind.device] + self.kind.table)
        #expect(network.contains("src 10.77.0.1"), "\(network)")
    }

    private func insist(_ change: @EventLoop () async -> Result<Void, CommandFailure>) async throws {
        for attempt in 1...20 {
            let outcome = await change()
            if case .failure(let failure) = outcome, failure.kind == .timedOut, attempt < 20 { continue }
            return try outcome.get()
        }
    }

    /// Each that the interface has, with its prefix length.
    var addresses: Set<String> {
        get async throws {
            let words = try await self.node.ip("-4", "-o", "address", "show", "dev", self.kind.device)
                .split(separator: " ").map(String.init)
            return Set(words.indices.dropFirst().filter { words[$0 - 1] == "inet" }.map { words[$0] })
        }
    }
}
