// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

struct CommandTextTests {
    @Test func `a lifetime is the whole seconds that are left, and never more than a day`() {
        #expect(AddressCommands.lifetime(until: 10_999_999, now: 5_000_000) == 5)
        #expect(AddressCommands.lifetime(until: 6_000_000, now: 5_000_000) == 1)
        #expect(AddressCommands.lifetime(until: 5_999_999, now: 5_000_000) == nil)
        #expect(AddressCommands.lifetime(until: 4_000_000, now: 5_000_000) == nil)
        #expect(AddressCommands.lifetime(until: .min, now: .max) == nil)
        #expect(AddressCommands.lifetime(until: .max, now: 0) == 86_400)
    }

    @Test(
        arguments: [
            (1, "Cannot find device \"eth9\"\n", CommandFailure.Kind.noDevice),
            (1, "Device \"eth9\" does not exist.\n", .noDevice),
            (2, "RTNETLINK answers: Operation not permitted\n", .notPermitted),
            (255, "Failed to send flush request: Operation not permitted\n", .notPermitted),
            (2, "RTNETLINK answers: Permission denied\n", .other(2)),
            (125, "", .timedOut),
            (nil, "", .timedOut),
            (2, "Error: Address already assigned to an ipvlan device.\n", .onlyOnce),
        ] as [(Int32?, String, CommandFailure.Kind)]
    )
    func `the words of ip are told apart`(code: Int32?, text: String, kind: CommandFailure.Kind) {
        let failure = CommandFailure(.init(exitCode: code, output: Array(text.utf8)), command: ["ip"])
        #expect(failure?.kind == kind)
    }

    @Test(arguments: ["RTNETLINK answers: Permission denied\n", "Error: ipv6: IPv6 is disabled on this device.\n"])
    func `an interface without IPv6 is told as such`(text: String) {
        let command = ["ip", "address", "replace", "2001:db8::1/64", "dev", "eth0"]
        let failure = CommandFailure(.init(exitCode: 2, output: Array(text.utf8)), command: command)
        #expect(failure?.kind == .noIPv6 && failure?.description.contains("disable_ipv6") == true)
    }

    @Test func `a child has 250 ms to begin in and 250 ms to act in`() {
        let timeGuard = AddressCommands.timeGuard(from: 7_000_000)
        #expect(timeGuard.beginBy == 7_250_000)
        #expect(timeGuard.aliveFor == .milliseconds(250))
        let patient = AddressCommands.timeGuard(from: 7_000_000, .patient)
        #expect(patient.beginBy == 8_000_000)
        #expect(patient.aliveFor == .seconds(1))
    }

    @Test func `success is no failure, whatever was printed`() {
        #expect(CommandFailure(.init(exitCode: 0, output: Array("Cannot find device".utf8)), command: []) == nil)
    }

    @Test func `a failure keeps a bounded, printable part of the output`() {
        let noise = [UInt8](repeating: 7, count: 40) + Array("why\nnot".utf8) + [UInt8](repeating: 0xff, count: 5000)
        let failure = CommandFailure(.init(exitCode: 2, output: noise), command: ["ip", "addr"])
        #expect(failure?.output.hasPrefix("why not") == true)
        #expect((failure?.output.unicodeScalars.count ?? .max) <= 500)
        #expect(failure?.description.hasPrefix("ip addr: exit code 2: why not") == true)
    }
}

/// Against the kernel, in namespaces of the test's own.
@Suite(.serialized)
struct AddressCommandsTests {
    init() { EventLoop.shared.executor.startThread() }

    /// The places of an address, asked from the kernel.
    @EventLoop private func places(_ text: String, in node: TestNamespace) async throws -> [KernelAddress] {
        let address = try #require(AddressPrefix(text)).address
        return try await node.commands.list().places(of: address)
    }

    @Test(arguments: ["10.77.0.100/24", "10.77.0.100/32", "fd00:77::100/64"])
    @EventLoop func `an assigned address expires by itself`(text: String) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let commands = AddressCommands(command: nodes[0].command)
            let outcome = try await commands.insist(on: virtual(text), for: 1_900_000).get()
            #expect(outcome.seconds == 1)
            #expect(outcome.endsBy <= BootClock.microseconds + 1_000_000)
            let held = try await places(text, in: nodes[0])
            #expect(held.map(\.place) == [try virtual(text)])
            #expect(held.allSatisfy { [.seconds(0), .seconds(1)].contains($0.lifetime) && !$0.isTentative })
            let isGone = try await eventually { try await places(text, in: nodes[0]).isEmpty }
            #expect(isGone)
        }
    }

    @Test(arguments: ["10.77.0.100/24", "fd00:77::100/64"])
    @EventLoop func `assigning again extends the lifetime and never doubles the address`(text: String) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let commands = AddressCommands(command: nodes[0].command)
            for seconds in [2, 30, 60] as [Int64] {
                let outcome = await commands.insist(
                    on: try virtual(text), for: seconds * 1_000_000 + 900_000)
                #expect(try outcome.get().seconds == seconds)
                let held = try await places(text, in: nodes[0])
                #expect(held.count == 1)
                guard case .seconds(let left) = held.first?.lifetime else {
                    Issue.record("no lifetime: \(held)")
                    return
                }
                #expect((seconds - 1...seconds).contains(Int64(left)))
            }
        }
    }

    @Test @EventLoop func `an address that someone gave for ever gets a lifetime`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            try await nodes[0].ip("addr", "add", "10.77.0.100/24", "dev", "eth0")
            let commands = AddressCommands(command: nodes[0].command)
            _ = try await commands.insist(on: virtual("10.77.0.100/24"), for: 9_900_000).get()
            let held = try await places("10.77.0.100/24", in: nodes[0])
            #expect(held.count == 1 && held[0].lifetime != .forever)
        }
    }

    @Test @EventLoop func `less than a second is too late, and nothing happens`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let commands = AddressCommands(command: nodes[0].command)
            let outcome = await commands.assign(try virtual("10.77.0.100/24"), until: BootClock.microseconds + 990_000)
            #expect(throws: CommandFailure(.tooLate)) { try outcome.get() }
            #expect(try await places("10.77.0.100/24", in: nodes[0]).isEmpty)
        }
    }

    @Test(arguments: ["10.77.0.100/24", "fd00:77::100/64"])
    @EventLoop func `removing is complete, exact and can be repeated`(text: String) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let commands = AddressCommands(command: nodes[0].command)
            // Similar texts, and numerical neighbors.
            let others = ["110.77.0.100/24", "10.77.0.10/24", "10.77.0.101/32", "fd00:77::1/64", "fd00:77::1000/64"]
            for other in others { try await nodes[0].ip("addr", "add", other, "dev", "eth0", "nodad") }
            _ = try await commands.insist(on: virtual(text), for: 9_900_000).get()
            for expected in [RemovalOutcome.removed, .wasAbsent] {
                #expect(try await commands.insistOnRemoving(virtual(text)).get() == expected)
                #expect(try await places(text, in: nodes[0]).isEmpty)
            }
            for other in others { #expect(try await places(other, in: nodes[0]).count == 1, "\(other)") }
        }
    }

    @Test(arguments: [("10.77.0.100/24", "10.77.0.100/32"), ("fd00:77::100/64", "fd00:77::100/128")])
    @EventLoop func `removing finds the address under another prefix length`(ours: String, there: String) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            try await nodes[0].ip("addr", "add", there, "dev", "eth0")
            let commands = AddressCommands(command: nodes[0].command)
            _ = try await commands.insist(on: virtual(ours), for: 9_900_000).get()
            #expect(try await !places(ours, in: nodes[0]).isEmpty)
            _ = try await commands.insistOnRemoving(virtual(ours)).get()
            #expect(try await places(ours, in: nodes[0]).isEmpty)
        }
    }

    @Test @EventLoop func `an interface that is not there`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let commands = AddressCommands(command: nodes[0].command)
            let there = try virtual("10.77.0.100/24", on: "eth9")
            let outcome = await commands.insist(on: there, for: 9_900_000)
            guard case .failure(let failure) = outcome else {
                Issue.record("assigned to nothing")
                return
            }
            #expect(failure.kind == .noDevice)
            #expect(try await commands.insistOnRemoving(there).get() == .wasAbsent)
        }
    }

    @Test(arguments: [("10.77.0.100/24", "10.77.0.100/28"), ("fd00:77::100/64", "fd00:77::100/80")])
    @EventLoop func `a stray of another prefix length goes alone`(ours: String, stray: String) async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let commands = nodes[0].commands
            for (own, other) in [(ours, stray), (stray, ours)] {
                // IPv6 has an address once on an interface; the second is refused there.
                try await nodes[0].ip("addr", "replace", own, "dev", "eth0", "nodad")
                if !own.contains(":") { try await nodes[0].ip("addr", "replace", other, "dev", "eth0", "nodad") }
                _ = try await commands.insistOnRemovingExactly(virtual(other)).get()
                #expect(try await places(ours, in: nodes[0]).map(\.place) == [virtual(own)])
                #expect(try await commands.insistOnRemovingExactly(virtual(other)).get() == .wasAbsent)
                #expect(try await commands.insistOnRemovingExactly(virtual(own)).get() == .removed)
                #expect(try await places(ours, in: nodes[0]).isEmpty)
            }
        }
    }

    @Test @EventLoop func `a stray with a peer is found too`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            try await nodes[0].ip("addr", "add", "10.77.0.100", "peer", "10.9.9.9/32", "dev", "eth0")
            let found = try await places("10.77.0.100/32", in: nodes[0]).map(\.place)
            #expect(found == [try virtual("10.77.0.100/32")])
            _ = try await nodes[0].commands.insistOnRemovingExactly(virtual("10.77.0.100/32")).get()
            #expect(try await places("10.77.0.100/32", in: nodes[0]).isEmpty)
        }
    }

    @Test @EventLoop func `an address is not absent while its interface has another name`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let commands = nodes[0].commands
            let place = try virtual("10.77.0.100/24")
            try await nodes[0].ip("addr", "add", "\(place.address)", "dev", "eth0")
            for (old, new, other) in [("eth0", "wan0", nil), ("wan0", "eth0", "spare0")] as [(String, String, String?)]
            {
                // Under the old name there is nothing, or, the second time, another interface.
                try await nodes[0].ip("link", "set", old, "down")
                try await nodes[0].ip("link", "set", old, "name", new)
                if let other {
                    try await nodes[0].ip("link", "add", other, "type", "veth", "peer", "name", "peer0")
                    try await nodes[0].ip("link", "set", other, "name", old)
                }
                let there = VirtualAddress(address: place.address, interface: old)
                let outcome = await commands.insistOnRemoving(there)
                #expect(outcome.kind == .elsewhere, "\(outcome)")
                #expect(try await commands.insistOnRemovingExactly(there).get() == .wasAbsent)
                #expect(try await places("10.77.0.100/24", in: nodes[0]).map(\.place.interface) == [new])
            }
            #expect(try await commands.insistOnRemoving(place).get() == .removed)
            let gone = VirtualAddress(address: place.address, interface: "eth9")
            #expect(try await commands.insistOnRemoving(gone).get() == .wasAbsent)
        }
    }

    @Test @EventLoop func `an interface that is down takes an address`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            try await nodes[0].ip("link", "set", "eth0", "down")
            let commands = AddressCommands(command: nodes[0].command)
            for text in ["10.77.0.100/24", "fd00:77::100/64"] {
                _ = try await commands.insist(on: virtual(text), for: 9_900_000).get()
                #expect(try await places(text, in: nodes[0]).count == 1)
            }
            #expect(try await commands.list().interface(named: "eth0")?.isUp == false)
        }
    }

    @Test @EventLoop func `without the capability it says so`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let commands = AddressCommands(command: [
                "/usr/bin/nsenter", "--net=/run/netns/\(nodes[0].name)", "/usr/bin/setpriv",
                "--bounding-set=-net_admin",
                TestNetwork.ip,
            ])
            try await nodes[0].ip("addr", "add", "10.77.0.100/24", "dev", "eth0")
            let outcome = await commands.insist(
                on:
                    try virtual("10.77.0.101/24"), for: 9_900_000)
            #expect(outcome.kind == .notPermitted)
            #expect(await commands.insistOnRemoving(try virtual("10.77.0.100/24")).kind == .notPermitted)
        }
    }

    @Test @EventLoop func `a user with nothing but the capability can assign, list and remove`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            let capability = "+net_admin"
            let commands = AddressCommands(command: [
                "/usr/bin/nsenter", "--net=/run/netns/\(nodes[0].name)", "/usr/bin/setpriv", "--reuid=65534",
                "--regid=65534", "--clear-groups", "--inh-caps=\(capability)", "--ambient-caps=\(capability)",
                "--no-new-privs", TestNetwork.ip,
            ])
            let place = try virtual("10.77.0.100/24")
            _ = try await commands.insist(on: place, for: 9_900_000).get()
            #expect(try await commands.list().places(of: place.address.address).map(\.place) == [place])
            _ = try await commands.insistOnRemoving(place).get()
            #expect(try await commands.list().places(of: place.address.address).isEmpty)
        }
    }

    @Test @EventLoop func `an IPv6 address is not the source of the node's own connections`() async throws {
        try await TestNetwork.with(nodes: 2) { nodes in
            try await nodes[0].ip("addr", "add", "fd00:77::1/64", "dev", "eth0", "nodad")
            try await nodes[1].ip("addr", "add", "fd00:77::2/64", "dev", "eth0", "nodad")
            let commands = AddressCommands(command: nodes[0].command)
            _ = try await commands.insist(on: virtual("fd00:77::100/64"), for: 9_900_000).get()
            let route = try await nodes[0].ip("-6", "route", "get", "fd00:77::2")
            #expect(route.contains("src fd00:77::1 "))
        }
    }

    @Test @EventLoop func `a child that was frozen never assigns late`() async throws {
        try await TestNetwork.with(nodes: 1) { nodes in
            // Stops before `ip` begins, and is continued after its time.
            let script = "(sleep 1; kill -CONT $$) & kill -STOP $$; exec \"$@\""
            var commands = AddressCommands(command: ["/bin/sh", "-c", script, "sh"] + nodes[0].command)
            commands.changeTimeout = .seconds(5)
            let outcome = await commands.assign(
                try virtual("10.77.0.100/24"),
                until: BootClock.microseconds + 60_000_000
            )
            #expect(outcome.kind == .timedOut)
            #expect(try await places("10.77.0.100/24", in: nodes[0]).isEmpty)
        }
    }

    @Test @EventLoop func `a program that hangs, fails to start or prints garbage is a failure with a name`()
        async throws
    {
        let address = try virtual("10.77.0.100/24")
        let later = BootClock.microseconds + 60_000_000
        let hanging = AddressCommands(command: ["/bin/sh", "-c", "sleep 60"])
        #expect(await hanging.assign(address, until: later).kind == .timedOut)
        #expect(await AddressCommands(ipPath: "/nonexistent").remove(address).kind == .notStarted(ENOENT))
        let error = await #expect(throws: CommandFailure.self) {
            _ = try await AddressCommands(ipPath: "/bin/echo").list()
        }
        #expect(error?.kind == .unreadable)
        let endless = await #expect(throws: CommandFailure.self) {
            _ = try await AddressCommands(command: ["/bin/sh", "-c", "yes", "ip"]).list()
        }
        #expect(endless?.kind == .unreadable)
    }
}

extension Result where Failure == CommandFailure {
    fileprivate var kind: CommandFailure.Kind? {
        switch self {
        case .success: nil
        case .failure(let failure): failure.kind
        }
    }
}
