// SPDX-License-Identifier: Apache-2.0
import EventLoop
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing
import VirtualAddress

/// What `pharos release` says of what is left.
@Suite(.serialized)
struct ClearTests {
    private let addresses: [IPAddress]

    init() throws {
        EventLoop.shared.executor.startThread()
        self.addresses = [try #require(AddressPrefix("10.99.99.3/24")).address]
    }

    /// A change has 250 ms to begin, which a busy machine may not give: then it did not happen, and is tried again.
    @EventLoop private func clear(_ ip: FakeIP) async -> ClearOutcome {
        var outcome = ClearOutcome()
        for _ in 0..<20 {
            outcome = await AddressCommands(ipPath: ip.path).clear(self.addresses)
            guard outcome.problems.contains(where: { $0.contains("time limit") }) else { break }
        }
        return outcome
    }

    @Test @EventLoop func `what is there is removed, and nothing else is a problem`() async throws {
        let ip = try FakeIP()
        try ip.set("held", "10.99.99.3 24 20")
        let outcome = await self.clear(ip)
        #expect(
            outcome.removed.map(\.description) == ["10.99.99.3/24 on \(FakeIP.interface)"] && outcome.problems.isEmpty)
        #expect(ip.held == nil)
        #expect(await self.clear(ip) == ClearOutcome())
    }

    @Test @EventLoop func `a listing that is not understood in full is a problem, whatever was removed`() async throws {
        let ip = try FakeIP()
        try ip.set("held", "10.99.99.3 24 20")
        let good = #"{"family":"inet","local":"10.99.99.3","prefixlen":24,"valid_life_time":20}"#
        let odd = #"{"family":"inet","local":7}"#
        let link = #""ifindex":7,"ifname":"\#(FakeIP.interface)""#
        try ip.set("listing", #"[{\#(link),"addr_info":[\#(good),\#(odd)]},{"ifname":[]}]"#)
        let outcome = await self.clear(ip)
        #expect(outcome.removed.count == 1 && ip.held == nil)
        #expect(outcome.problems.count == 1 && outcome.problems[0].contains("2 entries"))
        try ip.set("listing", "garbage")
        #expect(await self.clear(ip).problems.count == 1)
    }

    @Test @EventLoop func `a removal that fails is a problem`() async throws {
        let ip = try FakeIP()
        try ip.set("held", "10.99.99.3 24 20")
        try ip.set("refusing-del", "RTNETLINK answers: Operation not permitted\n")
        let outcome = await self.clear(ip)
        #expect(outcome.removed.isEmpty && outcome.problems.count == 1)
        #expect(outcome.problems[0].contains("CAP_NET_ADMIN"))
    }
}
