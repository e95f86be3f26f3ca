// SPDX-License-Identifier: Apache-2.0
import EventLoop
import TestSupport
import Testing

@testable import ServiceRecords

/// How name servers are asked, on loopback.
struct ServiceLookupTests {
    init() { EventLoop.shared.executor.startThread() }

    private static let name = "_etcd._tcp.example.org"
    private static let record = ServiceRecord(priority: 1, weight: 0, port: 2379, target: "n1.example.org")

    @EventLoop private static func lookup(
        _ server: TestNameServer, _ configuration: String = "nameserver 127.0.0.1", patience: Duration = .seconds(20)
    ) -> ServiceLookup {
        ServiceLookup(configuration, port: server.port, patience: patience, limit: .seconds(60))
    }

    @Test @EventLoop func `those with the lowest priority come first`() async throws {
        let server = try TestNameServer([Self.name: [(2, 1, "b"), (1, 3, "c"), (1, 2, "a")]])
        let records = try await Self.lookup(server).records(of: Self.name)
        #expect(records.map(\.target) == ["a", "c", "b"] && records.map(\.port) == [2, 3, 1])
    }

    @Test @EventLoop func `an answer that does not fit is asked for by TCP`() async throws {
        let server = try TestNameServer { question, _, isStream in
            isStream
                ? [TestNameServer.message(question, flags: 0x8180, [TestNameServer.service(1, 2379, "n1.example.org")])]
                : [TestNameServer.message(question, flags: 0x8380)]
        }
        #expect(try await Self.lookup(server).records(of: Self.name) == [Self.record])
        #expect(server.questions == [Self.name, "tcp:" + Self.name])
    }

    @Test @EventLoop func `forged answers are passed over`() async throws {
        let server = try TestNameServer { question, _, _ in
            var forged = TestNameServer.message(question, flags: 0x8180, [TestNameServer.service(0, 1, "evil")])
            forged[0] ^= 1
            let right = TestNameServer.message(
                question, flags: 0x8180, [TestNameServer.service(1, 2379, "n1.example.org")])
            return [forged, [], [0, 0], question, right]
        }
        #expect(try await Self.lookup(server).records(of: Self.name) == [Self.record])
    }

    @Test @EventLoop func `a name that does not exist is looked for in the domains that are searched`() async throws {
        let server = try TestNameServer(["_etcd._tcp.db.example.org": [(1, 2379, "n1.example.org")]])
        let lookup = Self.lookup(server, "nameserver 127.0.0.1\nsearch nowhere.org example.org\n")
        #expect(try await lookup.records(of: "_etcd._tcp.db") == [Self.record])
        #expect(server.questions == ["_etcd._tcp.db", "_etcd._tcp.db.nowhere.org", "_etcd._tcp.db.example.org"])
        #expect(try await lookup.records(of: "_other._tcp.db") == [])
    }

    @Test @EventLoop func `a server that is silent, or refuses, is left for the next one, and all are asked twice`()
        async throws
    {
        var asked = 0
        let server = try TestNameServer { question, _, _ in
            asked += 1
            let record = TestNameServer.service(1, 2379, "n1.example.org")
            switch asked {
            case 1: return []
            case 2: return [TestNameServer.message(question, flags: 0x8182)]
            default: return [TestNameServer.message(question, flags: 0x8180, [record])]
            }
        }
        let two = "nameserver 127.0.0.1\nnameserver 127.0.0.1"
        let lookup = Self.lookup(server, two, patience: .milliseconds(100))
        #expect(try await lookup.records(of: Self.name) == [Self.record])
    }

    @Test @EventLoop func `where nobody answers, it ends, and says which server`() async throws {
        let silent = try TestNameServer { _, _, _ in [] }
        let lookup = Self.lookup(silent, patience: .milliseconds(50))
        let error = await #expect(throws: LookupFailure.self) { _ = try await lookup.records(of: Self.name) }
        #expect(error?.description == "name server 127.0.0.1: no answer in time" && silent.questions.count == 2)
        let refusing = try TestNameServer { question, _, _ in [TestNameServer.message(question, flags: 0x8185)] }
        let refused = await #expect(throws: LookupFailure.self) {
            _ = try await Self.lookup(refusing).records(of: Self.name)
        }
        #expect(refused?.description == "name server 127.0.0.1: it refuses to answer (REFUSED)")
        // Neither UDP nor TCP: the port is closed.
        let port = UInt16(try freePorts(1)[0])
        let closed = ServiceLookup("nameserver 127.0.0.1", port: port, patience: .seconds(20), limit: .seconds(60))
        await #expect(throws: LookupFailure.self) { _ = try await closed.records(of: Self.name) }
    }

    @Test func `what resolv_conf says`() {
        let text = """
            # a comment
            domain first.org
            search a.org b.org c.org d.org e.org f.org g.org
            nameserver 10.0.0.1
            nameserver fe80::1%eth0
            nameserver
            nameserver 10.0.0.2
            nameserver 10.0.0.3
            options rotate ndots:3 ndots:x timeout:1
            """
        let configuration = ResolverConfiguration(text)
        #expect(configuration.servers == ["10.0.0.1", "fe80::1%eth0", "10.0.0.2"])
        #expect(
            configuration.search == ["a.org", "b.org", "c.org", "d.org", "e.org", "f.org"] && configuration.dots == 3)
        #expect(configuration.candidates(for: "x.y").suffix(1) == ["x.y"])
        #expect(configuration.candidates(for: "w.x.y.z").first == "w.x.y.z")
        #expect(configuration.candidates(for: "x.y.") == ["x.y."])
        #expect(ResolverConfiguration("").servers == ["127.0.0.1"])
    }
}
