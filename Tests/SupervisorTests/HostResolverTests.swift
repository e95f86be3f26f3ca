// SPDX-License-Identifier: Apache-2.0
import EventLoop
import TestSupport
import Testing

@testable import Supervisor

struct HostResolverTests {
    init() { EventLoop.shared.executor.startThread() }

    /// Name servers that answer when they are let.
    @EventLoop
    private final class NameServers {
        var asked: [String] = []
        var underWay = 0
        var most = 0
        var areSilent = true

        func answer(to name: String) async -> HostResolver.Answer {
            self.asked.append(name)
            self.underWay += 1
            self.most = max(self.most, self.underWay)
            for _ in 0..<2000 where self.areSilent {
                do { try await EventLoop.sleep(for: .milliseconds(5)) } catch {}
            }
            self.underWay -= 1
            return name.hasPrefix("none") ? .unknown : .addresses(["10.0.0.1", "fd00::1"])
        }
    }

    @Test @EventLoop func `a name is looked up once at a time, four names are, and a burst waits`() async throws {
        let servers = NameServers()
        let resolver = HostResolver(lookUp: { await servers.answer(to: $0) })
        let burst = (0..<300).map { number in EventLoop.task { await resolver.addresses(of: "n\(number % 100)") } }
        #expect(try await eventually(within: .seconds(10)) { servers.underWay == HostResolver.atOnce })
        servers.areSilent = false
        for task in burst { #expect(await task.value == .addresses(["10.0.0.1", "fd00::1"])) }
        #expect(servers.asked.count == 100 && Set(servers.asked).count == 100 && servers.most == HostResolver.atOnce)
    }

    @Test @EventLoop func `a silent name server is no answer, and keeps nobody for longer than he waits`() async throws
    {
        let servers = NameServers()
        let resolver = HostResolver(lookUp: { await servers.answer(to: $0) })
        guard case .unanswered = await resolver.addresses(of: "n1", within: .milliseconds(50)) else {
            Issue.record("an answer")
            return
        }
        // What needs no look-up is answered all the same.
        #expect(await resolver.addresses(of: "10.0.0.7") == .addresses(["10.0.0.7"]))
        servers.areSilent = false
        #expect(await resolver.addresses(of: "n1") == .addresses(["10.0.0.1", "fd00::1"]))
        // A name that has none is asked for anew each time: it may get one.
        #expect(await resolver.addresses(of: "none") == .unknown)
        #expect(await resolver.addresses(of: "none") == .unknown)
        #expect(servers.asked == ["n1", "none", "none"])
    }

    @Test @EventLoop func `the system's own names are found`() async {
        guard case .addresses(let addresses) = await HostResolver().addresses(of: "localhost") else {
            Issue.record("localhost has no address")
            return
        }
        #expect(addresses.contains("127.0.0.1") || addresses.contains("::1"))
        #expect(await HostResolver().addresses(of: "-x") == .unknown)
    }
}
