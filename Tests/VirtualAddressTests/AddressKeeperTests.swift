// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// Our addresses beside the node's own, on a real kernel: neither may take the other along.
@Suite(.serialized)
struct AddressKeeperTests {
    init() { EventLoop.shared.executor.startThread() }

    /// `own` is the node's, `ours` the virtual one, in the same subnet.
    struct Family: CustomTestStringConvertible, Sendable {
        let own: String
        let ours: String
        let alone: String
        var testDescription: String { self.ours }
        static let all = [
            Family(own: "10.77.0.1/24", ours: "10.77.0.100/24", alone: "10.77.0.100/32"),
            Family(own: "10.77.0.1/16", ours: "10.77.0.100/24", alone: "10.77.0.100/32"),
            Family(own: "fd00:77::1/64", ours: "fd00:77::100/64", alone: "fd00:77::100/128"),
        ]
    }

    @EventLoop private func keeper(
        in node: TestNamespace, _ ours: [String]
    ) throws -> (AddressKeeper, Recorder<VirtualAddress>) {
        let warnings = Recorder<VirtualAddress>()
        let keeper = AddressKeeper(
            node.commands,
            promotes: { await node.promotesSecondaries(on: $0) }, report: warnings.record)
        keeper.follow(Set(try ours.map { try virtual($0).address.address }))
        return (keeper, warnings)
    }

    /// Lists, as the daemon does after every change, and assigns; again where a busy machine was too slow.
    @EventLoop private func hold(_ keeper: AddressKeeper, _ place: VirtualAddress) async throws {
        _ = try await keeper.list()
        for attempt in 1...20 {
            let outcome = await keeper.assign(place, until: BootClock.microseconds + 60_900_000)
            if case .failure(let failure) = outcome, failure.kind == .timedOut, attempt < 20 { continue }
            _ = try outcome.get()
            break
        }
        _ = try await keeper.list()
    }

    @EventLoop private func release(_ keeper: AddressKeeper, _ place: VirtualAddress) async throws {
        for attempt in 1...20 {
            let outcome = await keeper.remove(place)
            if case .failure(let failure) = outcome, failure.kind == .timedOut, attempt < 20 { continue }
            _ = try outcome.get()
            return
        }
    }

    @EventLoop private func places(_ text: String, in node: TestNamespace) async throws -> [VirtualAddress] {
        try await node.commands.list().places(of: try virtual(text).address.address).map(\.place)
    }

    @EventLoop private func setPromotion(_ value: Int, in node: TestNamespace) throws {
        var written = false
        node.enter {
            for name in ["all", "default", "eth0"] {
                guard let file = fopen("/proc/sys/net/ipv4/conf/\(name)/promote_secondaries", "w") else { return }
                written = fputs("\(value)\n", file) >= 0
                fclose(file)
            }
        }
        try #require(written)
    }

    @Test(arguments: Family.all)
    @EventLoop func `beside an address of the node's own it stands alone`(family: Family) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            try await nodes[0].ip("addr", "add", family.own, "dev", "eth0", "nodad")
            let (keeper, _) = try keeper(in: nodes[0], [family.ours])
            try await hold(keeper, virtual(family.ours))
            #expect(try await places(family.ours, in: nodes[0]) == [virtual(family.alone)])
            try await release(keeper, virtual(family.ours))
            #expect(try await places(family.ours, in: nodes[0]) == [])
        }
    }

    @Test(arguments: Family.all)
    @EventLoop func `where the node has none there, or elsewhere only, it stands as configured`(
        family: Family
    ) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            try await nodes[0].ip("addr", "add", "10.78.0.1/24", "dev", "eth0")
            try await nodes[0].ip("addr", "add", family.own, "dev", "lo")
            let (keeper, _) = try keeper(in: nodes[0], [family.ours])
            try await hold(keeper, virtual(family.ours))
            #expect(try await places(family.ours, in: nodes[0]) == [virtual(family.ours)])
        }
    }

    /// What `ifdown` and `ifup`, a network manager or another DHCP lease do.
    @Test(arguments: Family.all, [0, 1])
    @EventLoop func `the node's own address goes, ours is put back first, and when it is taken off the own one stays`(
        family: Family, promotion: Int
    ) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            try setPromotion(promotion, in: nodes[0])
            try await nodes[0].ip("addr", "add", family.own, "dev", "eth0", "nodad")
            let (keeper, warnings) = try keeper(in: nodes[0], [family.ours])
            try await hold(keeper, virtual(family.ours))
            try await nodes[0].ip("addr", "flush", "dev", "eth0", "scope", "global")
            try await nodes[0].ip("addr", "flush", "to", "\(virtual(family.ours).address.address)", "dev", "eth0")
            try await hold(keeper, virtual(family.ours))
            try await nodes[0].ip("addr", "add", family.own, "dev", "eth0", "nodad")
            try await hold(keeper, virtual(family.ours))
            try await release(keeper, virtual(family.ours))
            #expect(try await places(family.own, in: nodes[0]) == [virtual(family.own)])
            #expect(try await hasRoute(family.own, in: nodes[0]))
            #expect(warnings.values.isEmpty)
        }
    }

    /// A daemon that starts while the node's own address is away, or an earlier version's address.
    @Test(arguments: [0, 1])
    @EventLoop func `an address that came first of its subnet goes without the node's own, by whatever way`(
        promotion: Int
    ) async throws {
        for way in ["moved", "removed", "ends by itself", "removed by hand"] {
            try await TestNetwork.with(nodes: 1) { nodes in
                try setPromotion(promotion, in: nodes[0])
                let ours = try virtual("10.77.0.100/24")
                let (keeper, warnings) = try keeper(in: nodes[0], ["10.77.0.100/24"])
                let seconds = way == "ends by itself" ? "3" : "60"
                try await nodes[0].ip(
                    "addr", "add", "\(ours.address)", "dev", "eth0", "valid_lft", seconds, "preferred_lft", seconds)
                try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
                #expect(
                    try await nodes[0].ip("-4", "addr", "show", "dev", "eth0").contains(
                        "10.77.0.1/24 scope global secondary"))
                switch way {
                case "moved":
                    try await hold(keeper, ours)
                    #expect(try await places("10.77.0.100/24", in: nodes[0]) == [virtual("10.77.0.100/32")])
                case "removed":
                    _ = try await keeper.list()
                    try await release(keeper, ours)
                case "removed by hand":
                    _ = try await keeper.list()
                    try await nodes[0].ip("addr", "del", "\(ours.address)", "dev", "eth0")
                default:
                    _ = try await keeper.list()
                    let isGone = try await eventually(within: .seconds(10)) {
                        try await places("10.77.0.100/24", in: nodes[0]).isEmpty
                    }
                    #expect(isGone)
                }
                #expect(try await places("10.77.0.1/24", in: nodes[0]) == [virtual("10.77.0.1/24")], "\(way)")
                #expect(try await hasRoute("10.77.0.1/24", in: nodes[0]), "\(way)")
                #expect(warnings.values.isEmpty)
            }
        }
    }

    @Test @EventLoop func `what an earlier version put beside the own one is moved, and connections to it live on`()
        async throws
    {
        try await TestNetwork.with(nodes: 2) { nodes in
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            try await nodes[1].ip("addr", "add", "10.77.0.2/24", "dev", "eth0")
            let ours = try virtual("10.77.0.100/24")
            try await nodes[0].ip(
                "addr", "add", "\(ours.address)", "dev", "eth0", "valid_lft", "60", "preferred_lft", "60")
            let (server, client) = try await connection(to: "10.77.0.100", from: nodes[1], at: nodes[0])
            defer { for end in [server, client] { close(end) } }
            let (keeper, _) = try keeper(in: nodes[0], ["10.77.0.100/24"])
            let changes = Recorder<MonitorEvent>()
            let monitor = AddressMonitor { changes.record($0) }
            nodes[0].enter { monitor.start() }
            try await hold(keeper, ours)
            #expect(try await places("10.77.0.100/24", in: nodes[0]) == [virtual("10.77.0.100/32")])
            // Never absent: the new place came before the old one went.
            let gone = try await changes.first { $0 == .disappeared(ours) }
            #expect(gone != nil)
            let order = changes.values.compactMap { event -> VirtualAddress? in
                switch event {
                case .appeared(let address) where address.place.address.address == ours.address.address: address.place
                case .disappeared(let place) where place.address.address == ours.address.address: place
                default: nil
                }
            }
            #expect(order == [try virtual("10.77.0.100/32"), ours])
            monitor.stop()
            #expect(try await nodes[0].ip("route", "show", "table", "local").contains("local 10.77.0.100 dev eth0"))
            for (from, to) in [(client, server), (server, client)] {
                #expect(write(from, "x", 1) == 1)
                _ = try await EventLoop.readiness(of: to, .read, timeout: .seconds(5))
                var byte: UInt8 = 0
                #expect(read(to, &byte, 1) == 1)
            }
        }
    }

    @Test @EventLoop func `an IPv6 address that stands beside the own one with its subnet stays, and goes alone`()
        async throws
    {
        try await TestNetwork.with(nodes: 1) { nodes in
            let ours = try virtual("fd00:77::100/64")
            try await nodes[0].ip("addr", "add", "fd00:77::1/64", "dev", "eth0", "nodad")
            try await nodes[0].ip(
                "addr", "add", "\(ours.address)", "dev", "eth0", "nodad", "valid_lft", "60", "preferred_lft", "0")
            let (keeper, _) = try keeper(in: nodes[0], ["fd00:77::100/64"])
            for _ in 1...2 {
                try await hold(keeper, ours)
                #expect(try await places("fd00:77::100/64", in: nodes[0]) == [ours])
            }
            try await release(keeper, ours)
            #expect(try await places("fd00:77::100/64", in: nodes[0]) == [])
            #expect(try await hasRoute("fd00:77::1/64", in: nodes[0]))
        }
    }

    @Test @EventLoop func `the route of an own IPv6 address with a lifetime does not end with ours`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let ours = try virtual("fd00:77::100/64")
            try await nodes[0].ip(
                "addr", "add", "fd00:77::1/64", "dev", "eth0", "nodad", "valid_lft", "9000", "preferred_lft", "9000")
            let (keeper, _) = try keeper(in: nodes[0], ["fd00:77::100/64"])
            for _ in 1...2 { try await hold(keeper, ours) }
            try await release(keeper, ours)
            let route = try await nodes[0].ip("-6", "route", "show", "fd00:77::/64", "dev", "eth0")
            #expect(
                route.contains("fd00:77::/64") && (!route.contains("expires") || route.contains("expires 8")),
                "\(route)")
        }
    }

    @Test @EventLoop func `the node's own connections never come from an address of ours that stands alone`()
        async throws
    {
        try await TestNetwork.with(nodes: 1) { nodes in
            try await TestNetwork.attach(nodes[0], as: "eth1")
            let (keeper, _) = try keeper(in: nodes[0], ["10.77.0.100/24"])
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            try await hold(keeper, virtual("10.77.0.100/24"))
            // Ours comes first in the kernel's list: the own one goes and comes back.
            try await nodes[0].ip("addr", "del", "10.77.0.1/24", "dev", "eth0")
            try await hold(keeper, virtual("10.77.0.100/24"))
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            // Through a gateway; on the link without a gateway; by an interface that has no address at all.
            try await nodes[0].ip("route", "add", "default", "via", "10.77.0.254")
            try await nodes[0].ip("route", "add", "172.16.0.0/16", "dev", "eth0")
            try await nodes[0].ip("route", "add", "172.17.0.0/16", "dev", "eth1")
            for target in ["10.77.0.9", "192.0.2.1", "172.16.0.1", "172.17.0.1"] {
                let route = try await nodes[0].ip("route", "get", target)
                #expect(route.contains("src 10.77.0.1 "), "\(route)")
            }
        }
    }

    @Test @EventLoop func `a node without an own address but with two of ours loses neither with the other`()
        async throws
    {
        try await TestNetwork.with(nodes: 1) { nodes in
            let (keeper, warnings) = try keeper(in: nodes[0], ["10.77.0.100/24", "10.77.0.101/24"])
            try await hold(keeper, virtual("10.77.0.100/24"))
            try await hold(keeper, virtual("10.77.0.101/24"))
            try await release(keeper, virtual("10.77.0.100/24"))
            #expect(try await places("10.77.0.101/24", in: nodes[0]) == [virtual("10.77.0.101/24")])
            #expect(warnings.values.isEmpty)
        }
    }

    @Test @EventLoop
    func `where the kernel cannot be told to keep the own ones, it is said once, and ours stays in its place`()
        async throws
    {
        try await TestNetwork.with(nodes: 1) { nodes in
            let ours = try virtual("10.77.0.100/24")
            let warnings = Recorder<VirtualAddress>()
            // Without the right to change the interface, as a container may be.
            let keeper = AddressKeeper(
                nodes[0].commands,
                promotes: { interface in
                    var isSafe = false
                    nodes[0].enter { isSafe = SecondaryPromotion.isInForce(on: interface) }
                    return isSafe
                }, report: warnings.record)
            keeper.follow([ours.address.address])
            try await nodes[0].ip(
                "addr", "add", "\(ours.address)", "dev", "eth0", "valid_lft", "60", "preferred_lft", "60")
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            for _ in 1...3 { try await hold(keeper, ours) }
            #expect(warnings.values == [ours])
            #expect(
                try await places("10.77.0.100/24", in: nodes[0]) == [ours], "not lost by a move that nobody can undo")
            // Somebody adds it where it would stand alone: that has no lifetime of ours, and takes nothing along.
            try await nodes[0].ip("addr", "add", "10.77.0.100/32", "dev", "eth0")
            try await hold(keeper, ours)
            #expect(try await places("10.77.0.100/24", in: nodes[0]) == [ours])
            #expect(try await places("10.77.0.1/24", in: nodes[0]) == [virtual("10.77.0.1/24")])
            #expect(try await hasRoute("10.77.0.1/24", in: nodes[0]))
            // What the record says to type helps.
            try setPromotion(1, in: nodes[0])
            try await hold(keeper, ours)
            #expect(try await places("10.77.0.100/24", in: nodes[0]) == [virtual("10.77.0.100/32")])
            #expect(try await places("10.77.0.1/24", in: nodes[0]) == [virtual("10.77.0.1/24")])
        }
    }

    @Test @EventLoop func `an interface is known by its alternative names too`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            try await nodes[0].ip("link", "property", "add", "dev", "eth0", "altname", "enp0s3clients")
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            let (keeper, _) = try keeper(in: nodes[0], ["10.77.0.100/24"])
            let configured = try virtual("10.77.0.100/24", on: "enp0s3clients")
            try await hold(keeper, configured)
            #expect(keeper.interface("enp0s3clients") == "eth0")
            #expect(try await keeper.list().interface(named: "enp0s3clients")?.name == "eth0")
            #expect(try await places("10.77.0.100/24", in: nodes[0]) == [virtual("10.77.0.100/32")])
            try await release(keeper, configured)
            #expect(try await places("10.77.0.100/24", in: nodes[0]) == [])
        }
    }

    /// Whether the kernel has the route to the address's subnet, for good.
    @EventLoop private func hasRoute(_ own: String, in node: TestNamespace) async throws -> Bool {
        let prefix = try virtual(own).address
        let network = "\(prefix.network)/\(prefix.prefixLength)"
        let text = try await node.ip(prefix.address.isIPv6 ? "-6" : "-4", "route", "show", network, "dev", "eth0")
        let isFromOwn = prefix.address.isIPv6 || text.contains("src \(prefix.address)")
        return text.contains(network) && isFromOwn && !text.contains("expires")
    }

    /// A TCP connection; answers the server's and the client's descriptor.
    @EventLoop private func connection(
        to address: String, from client: TestNamespace, at server: TestNamespace
    ) async throws -> (Int32, Int32) {
        var listener: Int32 = -1
        server.enter { listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        try #require(listener >= 0)
        defer { close(listener) }
        var place = sockaddr_in()
        place.sin_family = UInt16(AF_INET)
        place.sin_port = UInt16(7777).bigEndian
        place.sin_addr.s_addr = inet_addr(address)
        var peer: Int32 = -1
        client.enter { peer = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let results = withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                (bind(listener, $0, size), listen(listener, 1), connect(peer, $0, size))
            }
        }
        try #require(results == (0, 0, 0), "errno \(errno)")
        let accepted = accept(listener, nil, nil)
        try #require(accepted >= 0)
        return (accepted, peer)
    }

    /// As where somebody holds the kernel's lock on the network configuration: the setting waits, the loop and the others do not.
    @Test @EventLoop func `while one interface cannot be told to keep the own ones, another address is served`()
        async throws
    {
        try await TestNetwork.with(nodes: 1) { nodes in
            let (ours, other) = (try virtual("10.77.0.100/24"), try virtual("10.78.0.100/24"))
            var waiting: CheckedContinuation<Void, Never>?
            let keeper = AddressKeeper(
                nodes[0].commands,
                promotes: { _ in
                    await withCheckedContinuation { waiting = $0 }
                    return false
                }, report: { _ in })
            keeper.follow([ours.address.address, other.address.address])
            try await nodes[0].ip("addr", "add", "\(ours.address)", "dev", "eth0")
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            let listing = EventLoop.task {
                do { return try await keeper.list().addresses.count } catch { return 0 }
            }
            #expect(try await eventually(within: .seconds(20)) { waiting != nil })
            for attempt in 1...20 {
                let outcome = await keeper.assign(other, until: BootClock.microseconds + 60_900_000)
                if case .failure(let failure) = outcome, failure.kind == .timedOut, attempt < 20 { continue }
                _ = try outcome.get()
                break
            }
            #expect(try await places("10.78.0.100/24", in: nodes[0]) == [other])
            waiting?.resume()
            #expect(await listing.value > 0)
        }
    }

    /// As an ipvlan, in the kernel's words (6.1).
    @Test @EventLoop func `an interface that has an address only once keeps ours where it stands`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let ours = try virtual("10.77.0.100/24")
            let refusal = "Error: Address already assigned to an ipvlan device."
            let script = "case \"$*\" in *\" replace 10.77.0.100/32 \"*) echo '\(refusal)'; exit 2;; esac; exec \"$@\""
            var commands = AddressCommands(command: ["/bin/sh", "-c", script, "sh"] + nodes[0].command)
            commands.listTimeout = .seconds(60)
            let keeper = AddressKeeper(
                commands, promotes: { await nodes[0].promotesSecondaries(on: $0) },
                report: { Issue.record("the own addresses hang on \($0)") })
            keeper.follow([ours.address.address])
            try await hold(keeper, ours)
            try await nodes[0].ip("addr", "add", "10.77.0.1/24", "dev", "eth0")
            try await hold(keeper, ours)
            #expect(try await places("10.77.0.100/24", in: nodes[0]) == [ours])
            try await release(keeper, ours)
            #expect(try await nodes[0].commands.list().places(of: ours.address.address).isEmpty)
            let own = try await nodes[0].ip("-o", "addr", "show", "dev", "eth0")
            #expect(own.contains(" 10.77.0.1/24 "), "\(own)")
        }
    }

    @Test @EventLoop func `a node that cannot run a command in time gets more for the next, and a shorter lifetime`()
        async throws
    {
        let place = try virtual("10.77.0.100/24")
        try await TestNetwork.with(nodes: 1) { nodes in
            // Each command begins in time and acts 0.6 s later.
            let slow = AddressCommands(command: ["/bin/sh", "-c", "sleep 0.6; exec \"$@\"", "sh"] + nodes[0].command)
            let keeper = AddressKeeper(slow, promotes: { _ in true }, report: { _ in })
            keeper.follow([place.address.address])
            let until = BootClock.microseconds + 30_900_000
            guard case .failure(let first) = await keeper.assign(place, until: until) else {
                Issue.record("acted in time")
                return
            }
            #expect(first.kind == .timedOut)
            var outcome = await keeper.assign(place, until: until)
            // A busy machine may be slower still.
            for _ in 0..<20 {
                guard case .failure(let failure) = outcome, failure.kind == .timedOut else { break }
                outcome = await keeper.assign(place, until: until)
            }
            let endsBy = try outcome.get().endsBy
            #expect(endsBy <= until + 500_000, "never later than at the usual pace")
            let held = try await nodes[0].commands.list().places(of: place.address.address)
            #expect(held.count == 1)
            var removal = await keeper.remove(place)
            for _ in 0..<20 {
                guard case .failure(let failure) = removal, failure.kind == .timedOut else { break }
                removal = await keeper.remove(place)
            }
            _ = try removal.get()
            let left = try await nodes[0].commands.list().places(of: place.address.address)
            #expect(left.isEmpty)
        }
    }

    @Test func `an address that was ours does not become the node's own`() throws {
        let (one, two) = (try virtual("10.77.0.100/24"), try virtual("10.77.0.101/24"))
        let both = KernelAddresses(
            interfaces: [],
            addresses: [one, two].map {
                KernelAddress(place: $0, lifetime: .seconds(20), isTentative: false, isDuplicate: false)
            }, unreadable: 0)
        // Taken out of the configuration of the running daemon, or of one that is restarted and remembers it.
        var reloaded = Neighborhood()
        reloaded.follow([one.address.address, two.address.address])
        reloaded.learn(both)
        reloaded.follow([one.address.address])
        var restarted = Neighborhood()
        restarted.forget([two.address.address])
        restarted.follow([one.address.address])
        for var neighborhood in [reloaded, restarted] {
            #expect(neighborhood.place(for: one) == one)
            neighborhood.learn(both)
            let isOwn = neighborhood.saw(two)
            #expect(!isOwn)
            #expect(neighborhood.place(for: one) == one, "no address of the node's own is there")
            _ = neighborhood.saw(try virtual("10.77.0.1/24"))
            let alone = try virtual("10.77.0.100/32")
            #expect(neighborhood.place(for: one) == alone)
        }
        // Ours again, it is beside the node's own at once.
        var again = reloaded
        _ = again.saw(try virtual("10.77.0.1/24"))
        again.follow([one.address.address, two.address.address])
        let place = try virtual("10.77.0.101/32")
        #expect(again.twin(of: place, configured: two.address) == two)
        again.lost(two)
        #expect(again.twin(of: place, configured: two.address) == nil)
    }
}

extension TestNamespace {
    /// Sees to it that the kernel promotes secondaries on an interface of this namespace.
    @EventLoop func promotesSecondaries(on interface: String) async -> Bool {
        // What it asks the kernel for it does before it waits: in the node's namespace.
        var task: Task<Bool, Never>?
        self.enter { task = Task.immediate { @EventLoop in await SecondaryPromotion.ensure(on: interface) } }
        return await task?.value == true
    }
}
