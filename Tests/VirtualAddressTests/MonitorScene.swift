// SPDX-License-Identifier: Apache-2.0
import EventLoop
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

/// Runs `body` with a monitor that listens in the first of some nodes.
@EventLoop func withMonitor(
    nodes: Int = 1, receiveBuffer: Int32 = 8 << 20, datagramLimit: Int = 32768,
    _ body: @EventLoop ([TestNamespace], Recorder<MonitorEvent>, AddressMonitor) async throws -> Void
) async throws {
    try await TestNetwork.with(nodes: nodes) { nodes in
        let events = Recorder<MonitorEvent>()
        let monitor = AddressMonitor(
            open: { () throws(RouteSocket.Failure) in
                try RouteSocket(receiveBuffer: receiveBuffer, datagramLimit: datagramLimit)
            },
            report: { events.record($0) })
        nodes[0].enter { monitor.start() }
        try await body(nodes, events, monitor)
        monitor.stop()
        events.removeAll()
        // One that was stopped reports nothing of what another hears.
        let others = Recorder<MonitorEvent>()
        let other = AddressMonitor { others.record($0) }
        nodes[0].enter { other.start() }
        try await nodes[0].ip("addr", "replace", "10.200.0.1/32", "dev", "lo")
        #expect(try await others.contains(appeared("10.200.0.1/32", on: "lo")))
        other.stop()
        #expect(events.values.isEmpty)
    }
}

func appeared(
    _ text: String, on interface: String = "eth0", _ lifetime: AddressLifetime = .forever,
    isDuplicate: Bool = false, isTentative: Bool = false
) throws -> MonitorEvent {
    .appeared(
        KernelAddress(
            place: try virtual(text, on: interface), lifetime: lifetime, isTentative: isTentative,
            isDuplicate: isDuplicate))
}
