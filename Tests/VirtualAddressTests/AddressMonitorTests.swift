// SPDX-License-Identifier: Apache-2.0
import EventLoop
import KernelPlaces
import TestSupport
import Testing

@testable import VirtualAddress

/// What the kernel does, as the monitor tells it: in network namespaces of the running kernel.
@Suite(.serialized)
struct AddressMonitorTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `an address that comes, is renewed and goes`() async throws {
        try await withMonitor { nodes, events, _ in
            for place in ["10.77.0.100/32", "fd00:77::100/64"] {
                events.removeAll()
                let end = try virtual(place)
                try await nodes[0].ip(
                    "addr", "replace", place, "dev", "eth0", "nodad", "valid_lft", "60", "preferred_lft", "0")
                // The kernel tells of a new IPv6 address a moment later, with the lifetime that it has by then.
                #expect(try await events.contains(appeared(place, .seconds(60))))
                try await nodes[0].ip(
                    "addr", "replace", place, "dev", "eth0", "nodad", "valid_lft", "1", "preferred_lft", "0")
                #expect(try await events.contains(.disappeared(end)), "the kernel took it off")
                let seen = events.values.filter {
                    switch $0 {
                    case .appeared(let address): address.place == end
                    case .disappeared(let place): place == end
                    case .linkChanged, .unclear, .missed: false
                    }
                }
                #expect(
                    seen == [
                        try appeared(place, .seconds(60)), try appeared(place, .seconds(1)), .disappeared(end),
                    ])
            }
        }
    }

    @Test @EventLoop func `an interface that loses its carrier, or is switched off and on`() async throws {
        try await withMonitor { nodes, events, _ in
            let node = nodes[0]
            let port = try await TestNetwork.attach(node, as: "eth1")
            events.removeAll()
            try await node.hub.ip("link", "set", port, "down")
            #expect(try await events.contains(.linkChanged(name: "eth1", hasCarrier: false)))
            events.removeAll()
            try await node.hub.ip("link", "set", port, "up")
            #expect(try await events.contains(.linkChanged(name: "eth1", hasCarrier: true)))
            events.removeAll()
            try await node.ip("link", "set", "eth1", "down")
            #expect(try await events.contains(.linkChanged(name: "eth1", hasCarrier: false)))
            try await node.ip("link", "set", "eth1", "up")
            #expect(try await events.contains(.linkChanged(name: "eth1", hasCarrier: true)))
        }
    }

    @Test @EventLoop func `an address keeps to its interface through renamings, and no other name is taken for it`()
        async throws
    {
        try await withMonitor { nodes, events, _ in
            let node = nodes[0]
            try await node.ip("link", "property", "add", "dev", "eth0", "altname", "clients")
            try await node.ip("addr", "add", "10.77.0.1/24", "dev", "clients", "label", "eth0:vip")
            #expect(try await events.contains(appeared("10.77.0.1/24")))
            // IPv4 addresses stay through it.
            try await node.ip("link", "set", "eth0", "down")
            try await node.ip("link", "set", "eth0", "name", "eth7")
            try await node.ip("addr", "del", "10.77.0.1/24", "dev", "eth7")
            #expect(try await events.contains(.disappeared(try virtual("10.77.0.1/24", on: "eth7"))))
            // Its name is free, and another interface takes it.
            try await TestNetwork.attach(node, as: "eth0")
            try await node.ip("addr", "add", "10.77.0.2/24", "dev", "eth0")
            try await node.ip("addr", "add", "10.77.0.3/24", "dev", "clients")
            #expect(try await events.contains(appeared("10.77.0.2/24", on: "eth0")))
            #expect(try await events.contains(appeared("10.77.0.3/24", on: "eth7")))
            let names = Set(
                events.values.compactMap { if case .linkChanged(let name, _) = $0 { name } else { nil } })
            #expect(names == ["eth0", "eth7"])
            #expect(!events.values.contains(.unclear))
        }
    }

    @Test @EventLoop func `an interface that is removed takes its addresses along, and comes back`() async throws {
        try await withMonitor { nodes, events, _ in
            let node = nodes[0]
            let place = try virtual("10.77.0.1/24")
            for _ in 1...2 {
                events.removeAll()
                try await node.ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
                #expect(try await events.contains(appeared("10.77.0.1/24")))
                try await node.ip("link", "delete", "eth0")
                #expect(try await events.contains(.unclear))
                #expect(events.values.contains(.disappeared(place)), "under the name that it had")
                try await TestNetwork.attach(node, as: "eth0")
                #expect(try await events.contains(.linkChanged(name: "eth0", hasCarrier: true)))
            }
        }
    }

    @Test @EventLoop func `an IPv6 address that another node has`() async throws {
        try await withMonitor(nodes: 2) { nodes, events, _ in
            try await nodes[1].ip("addr", "add", "fd00:77::100/64", "dev", "eth0", "nodad")
            try await nodes[0].ip("addr", "add", "fd00:77::100/64", "dev", "eth0")
            let duplicate = try appeared("fd00:77::100/64", isDuplicate: true, isTentative: true)
            #expect(try await events.contains(duplicate, within: .seconds(20)))
            let tentative = try appeared("fd00:77::100/64", isTentative: true)
            #expect(events.values.firstIndex(of: tentative) ?? .max < events.values.firstIndex(of: duplicate) ?? 0)
        }
    }
}
