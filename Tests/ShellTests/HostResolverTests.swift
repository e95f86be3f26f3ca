// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import HTTPClient
import TestSupport
import Testing

@testable import Shell

struct HostResolverTests {
    init() { EventLoop.shared.executor.startThread() }

    /// Name servers that answer when they are let.
    @EventLoop
    private final class NameServers {
        var asked: [String] = []
        var underWay = 0
        var most = 0
        var areSilent = true
        var addresses = ["10.0.0.1", "fd00::1"]

        func answer(to name: String) async -> HostResolver.Answer {
            self.asked.append(name)
            self.underWay += 1
            self.most = max(self.most, self.underWay)
            for _ in 0..<2000 where self.areSilent {
                do { try await EventLoop.sleep(for: .milliseconds(5)) } catch {}
            }
            self.underWay -= 1
            return name.hasPrefix("none") ? .unknown : .addresses(self.addresses)
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

    @Test(.timeLimit(.minutes(1))) @EventLoop
    func `a name that has moved is found as soon as nobody answers at its old address`() async throws {
        let server = try ScriptedServer(answering: { _ in httpAnswer(200, "{}") })
        let servers = NameServers()
        (servers.areSilent, servers.addresses) = (false, ["127.0.0.9"])
        let resolver = HostResolver(lifetime: .seconds(3600), lookUp: { await servers.answer(to: $0) })
        let http = HTTPClient(resolve: { await resolver.answer(to: $0) })
        http.nameFailed = { resolver.doubt($0) }
        let url = "http://etcd1.example:" + (server.url.split(separator: ":").last.map(String.init) ?? "")
        func isAnswered() async -> Bool {
            do { return try await http.send(HTTPRequest(.get, url)).status == 200 } catch { return false }
        }
        #expect(await !isAnswered())
        servers.addresses = ["127.0.0.1"]
        try await waitUntil(within: .seconds(30)) { await isAnswered() }
        let enough = servers.asked.count
        // Who answers is not looked up again.
        for _ in 0..<5 { #expect(await isAnswered()) }
        #expect(servers.asked.count == enough)
        http.close()
    }

    @Test @EventLoop func `a name is doubted once a second at most, and one that is not known not at all`() async throws
    {
        let servers = NameServers()
        servers.areSilent = false
        let resolver = HostResolver(lookUp: { await servers.answer(to: $0) })
        resolver.doubt("n1")
        _ = await resolver.addresses(of: "n1")
        for _ in 0..<100 { resolver.doubt("n1") }
        #expect(servers.asked == ["n1"])
    }

    @Test(arguments: ["localhost", "LOCALHOST", "localhost.", "db.localhost", "a.b.LocalHost."])
    @EventLoop func `localhost is this host, without a question to anybody`(name: String) async throws {
        let servers = NameServers()
        let resolver = HostResolver(lookUp: { await servers.answer(to: $0) })
        #expect(await resolver.addresses(of: name) == .addresses(["127.0.0.1", "::1"]))
        #expect(servers.asked.isEmpty)
    }

    @Test(arguments: ["notlocalhost", "localhost.example.org", "localhost..", ""])
    @EventLoop func `what only looks like localhost is looked up`(name: String) async throws {
        let servers = NameServers()
        servers.areSilent = false
        let resolver = HostResolver(lookUp: { await servers.answer(to: $0) })
        #expect(await resolver.addresses(of: name) == .addresses(["10.0.0.1", "fd00::1"]))
        #expect(servers.asked == [name])
    }

    @EventLoop private final class Answers { var answers: [String: HostResolver.Answer] = [:] }

    @Test @EventLoop func `what cannot be looked up anew is told once, with its age, and its end`() async throws {
        let servers = Answers()
        var told: [HostResolver.StaleName?] = []
        let resolver = HostResolver(
            lifetime: .zero, lookUp: { servers.answers[$0] ?? .unanswered("silence") }, report: { told.append($0) })
        // What was never found is no old answer.
        #expect(await resolver.addresses(of: "a") == .unanswered("silence") && told.isEmpty)
        (servers.answers["a"], servers.answers["b"]) = (.addresses(["10.0.0.1"]), .addresses(["10.0.0.2"]))
        for name in ["a", "b"] { _ = await resolver.addresses(of: name) }
        let found = Instant.now
        #expect(resolver.staleNames.isEmpty && told.isEmpty)
        (servers.answers["a"], servers.answers["b"]) = (.unanswered("silence"), .unknown)
        for name in ["a", "b", "a"] {
            guard case .addresses = await resolver.addresses(of: name) else { Issue.record("no old answer"); return }
            #expect(try await eventually(within: .seconds(10)) { resolver.staleNames.contains { $0.name == name } })
        }
        #expect(told.map(\.?.name) == ["a"] && told[0]?.reason == "silence" && told[0]?.addresses == ["10.0.0.1"])
        #expect(resolver.staleNames.map(\.name) == ["a", "b"] && resolver.staleNames.allSatisfy { $0.at <= found })
        (servers.answers["a"], servers.answers["b"]) = (.addresses(["10.0.0.9"]), .addresses(["10.0.0.2"]))
        for name in ["a", "b"] { _ = await resolver.addresses(of: name) }
        #expect(
            try await eventually(within: .seconds(10)) { told.count == 2 } && told.last == .some(nil)
                && resolver.staleNames.isEmpty)
        #expect(await resolver.addresses(of: "a") == .addresses(["10.0.0.9"]))
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
