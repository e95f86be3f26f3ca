// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Glibc
import NetworkBed
import TestSupport
import Testing

@testable import Shell

/// An address's own port, where the address is in a VRF.
@Suite(
    .enabled("this kernel has no VRF: `make test-qemu` brings one that has") {
        EventLoop.shared.executor.startThread()
        return try await InterfaceKind.vrf.isHere
    })
struct VRFPortTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `in a VRF a port is tried as a client would find it, which is not so from outside`()
        async throws
    {
        try await TestNetwork.with(nodes: 1) { nodes in
            let node = nodes[0]
            try await InterfaceKind.vrf.make(in: node)
            let address = "10.77.0.100"
            try await node.ip("address", "add", "\(address)/24", "dev", "eth0")
            var listener: Int32 = -1
            var failure: BedError?
            node.enter {
                do throws(BedError) { listener = try TCPSocket.listen("0.0.0.0", 0) } catch { failure = error }
            }
            if let failure { throw failure }
            defer { close(listener) }
            let port = TCPSocket.port(of: listener)
            @EventLoop func answer(in vrf: String?) async -> PortAnswer {
                await PortTry.connect(to: address, port, on: "eth0", in: vrf) { node.enter($0) }
            }
            // A server outside of the VRF serves its clients only where the kernel is told that it may.
            #expect(await answer(in: InterfaceKind.vrfName) == .refused)
            try await TestNetwork.run([
                TestNetwork.ip, "netns", "exec", node.name, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/tcp_l3mdev_accept",
            ])
            #expect(await answer(in: InterfaceKind.vrfName) == .accepted)
            #expect(await answer(in: nil) != .accepted)
        }
    }
}
