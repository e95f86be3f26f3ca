// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import LeaseKeys
import TestSupport
import Testing

@testable import Shell

/// One node's core and its link to a real etcd. Its kernel and its PostgreSQL do at once what is asked of them.
@EventLoop
private final class CoreOnEtcd {
    private(set) var core: Core
    private let link: EtcdLink
    private(set) var isHere = false
    private(set) var marks = 0
    private(set) var reports: [Report] = []

    init(_ member: String, _ client: EtcdClient, _ http: HTTPClient, memory: Memory = Memory()) {
        let keys = PharosKeys(root: "/pharos/", namespace: "/service/", scope: "demo", group: nil)
        self.link = EtcdLink(client, keys, member: member, node: "boot-\(member)", report: { _ in })
        self.link.addresses = [Self.spec.id]
        self.core = Core(
            CoreSettings(member: member, node: "boot-\(member)", addresses: [Self.spec], leaseTTL: .seconds(6)),
            memory: memory, at: .now)
    }

    nonisolated static let spec = AddressSpec(
        id: "10.0.0.3", prefixLength: 24, interface: "eth0", acquire: .writable)

    var stance: Stance? { self.core.addressStatuses.first?.stance }

    /// Lets the core turn until nothing is under way.
    func turn() async {
        var events: [Event] = [.tick]
        while !events.isEmpty {
            var actions: [Action] = []
            self.core.handle(events.removeFirst(), at: .now, into: &actions)
            for action in actions { if let event = await self.carryOut(action) { events.append(event) } }
        }
    }

    /// Turns for a while; answers whether `condition` came to hold.
    func turn(for span: Duration, until condition: () -> Bool) async throws -> Bool {
        let end = Instant.now + span
        while Instant.now < end {
            await self.turn()
            if condition() { return true }
            try await EventLoop.sleep(for: .milliseconds(20))
        }
        return false
    }

    private func carryOut(_ action: Action) async -> Event? {
        let now = Instant.now
        switch action {
        case .read: return await self.link.read(sentAt: now)
        case .grantLease(let id, let ttl): return await self.link.grant(id, ttl: ttl, sentAt: now)
        case .keepAlive(let id, let lease): return await self.link.keepAlive(id, lease, sentAt: now)
        case .revoke(let id, let lease): return await self.link.revoke(id, lease)
        case .acquire(let id, let lease, let cluster, let step):
            return await self.link.acquire(id, lease, cluster, step, sentAt: now)
        case .takeOver(let id, let lease, let old, let cluster, let step):
            return await self.link.takeOver(id, lease, from: old, cluster, step, sentAt: now)
        case .markCluster(let cluster, let seen, let quarantine, let trails):
            self.marks += 1
            return await self.link.mark(cluster, seen: seen, quarantine: quarantine, trails, sentAt: .now)
        case .inspect:
            let found = self.isHere ? [KernelState.Found(address: Self.spec.id, place: Self.spec.place)] : []
            return .inspected(KernelState(found: found, usableInterfaces: ["eth0"]), since: now)
        case .assign(let spec, _, _):
            self.isHere = true
            return .assigned(spec.id)
        case .remove(let id, let place), .removeStray(let id, let place):
            defer { self.isHere = false }
            return .removed(id, place, wasPresent: self.isHere)
        case .askPostgres: return .postgres(.primary, askedAt: now)
        case .askPatroni: return .patroni(.unreachable(reason: "none"), askedAt: now)
        case .report(let report):
            self.reports.append(report)
            return nil
        case .restartWatch, .remember, .tryPort, .startAnnouncing, .stopAnnouncing, .readGroups, .citus, .detector,
            .record,
            .ready, .exit:
            return nil
        }
    }
}

extension IntegrationTests {
    /// A real etcd whose history goes back: what was acquired since is forgotten, and its holder may not know it.
    @Suite(.serialized)
    struct EtcdHistoryTests {
        init() { EventLoop.shared.executor.startThread() }

        /// An etcd that was put back to before n1 acquired the address, with its old number, and names n2 as the leader.
        @EventLoop
        private static func restored(_ http: HTTPClient) async throws -> (LocalEtcd, EtcdClient, memory: Memory) {
            let etcd = try await LocalEtcd(http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            try await Self.lead("n1", client)
            // The first acquisition of all, behind the first quarantine; given back, and acquired once more.
            let n1 = CoreOnEtcd("n1", client, http)
            #expect(try await n1.turn(for: .seconds(20)) { n1.isHere })
            #expect(n1.marks == 1)
            let snapshot = etcd.directory.file("snapshot")
            try await etcd.saveSnapshot(snapshot)
            let before = try await client.range(.key("/pharos/demo/cluster")).header.clusterID
            try await Self.lead("n2", client)
            let n2 = CoreOnEtcd("n2", client, http, memory: n1.core.memory)
            // n1 sees another leader, and releases; n2 takes the address. That is what the snapshot does not know.
            #expect(
                try await n1.turn(for: .seconds(10)) {
                    n1.stance == .leave(.leaderIsAnother("n2")) && !n1.isHere
                })
            await n1.turn()
            #expect(try await n2.turn(for: .seconds(10)) { n2.isHere })
            #expect(n2.marks == 0)
            try await etcd.restoreSnapshot(snapshot)
            try await etcd.waitForHealth(0, http: http)
            #expect(try await client.range(.key("/pharos/demo/cluster")).header.clusterID == before)
            return (etcd, client, n2.core.memory)
        }

        @EventLoop
        private static func lead(_ member: String, _ client: EtcdClient) async throws {
            _ = try await client.commit(
                Transaction(
                    compares: [],
                    success: [
                        .put(key: "/service/demo/leader", value: Array(member.utf8), lease: 0),
                        .put(key: "/service/demo/config", value: Array(#"{"ttl":30}"#.utf8), lease: 0),
                    ]))
        }

        @Test(arguments: [0, 200])
        @EventLoop func `a restored snapshot is quarantined by a fresh process, whatever others wrote since`(
            writes: Int
        ) async throws {
            let http = HTTPClient()
            let (etcd, client, memory) = try await Self.restored(http)
            for _ in 0..<writes { try await Self.lead("n3", client) }
            let n3 = CoreOnEtcd("n3", client, http, memory: memory)
            try await Self.lead("n3", client)
            let began = Instant.now
            #expect(try await n3.turn(for: .seconds(30)) { n3.isHere })
            #expect(n3.marks == 1)
            #expect(n3.reports.contains(.historyContradicted(CoreOnEtcd.spec.id)))
            // Whatever n2 was granted has ended.
            #expect(Instant.now - began >= .seconds(6))
            withExtendedLifetime(etcd) { http.close() }
        }

        @Test @EventLoop func `a node without a memory waits by itself, and marks nothing`() async throws {
            let http = HTTPClient()
            let (etcd, client, _) = try await Self.restored(http)
            let n3 = CoreOnEtcd("n3", client, http)
            try await Self.lead("n3", client)
            let began = Instant.now
            #expect(try await n3.turn(for: .seconds(30)) { n3.isHere })
            #expect(n3.marks == 0)
            #expect(Instant.now - began >= .seconds(6))
            withExtendedLifetime(etcd) { http.close() }
        }

        /// The manual's step after a restore, for a node that was away when the address moved.
        @Test @EventLoop func `without a mark every daemon begins with a quarantine, whatever it remembers`()
            async throws
        {
            let http = HTTPClient()
            let (etcd, client, memory) = try await Self.restored(http)
            let last = try #require(memory.trails.first?.value.entries.dropFirst())
            let stale = Memory(trails: [Addressed(CoreOnEtcd.spec.id, Trail(Array(last)))])
            _ = try await client.commit(
                Transaction(compares: [], success: [.delete(.key("/pharos/demo/cluster"))]))
            let n3 = CoreOnEtcd("n3", client, http, memory: stale)
            try await Self.lead("n3", client)
            let began = Instant.now
            #expect(try await n3.turn(for: .seconds(30)) { n3.isHere })
            #expect(n3.marks == 1)
            #expect(!n3.reports.contains(.historyContradicted(CoreOnEtcd.spec.id)))
            #expect(Instant.now - began >= .seconds(6))
            withExtendedLifetime(etcd) { http.close() }
        }

        @Test @EventLoop func `a restart of etcd costs nothing`() async throws {
            let http = HTTPClient()
            let etcd = try await LocalEtcd(http: http)
            let client = EtcdClient(EtcdConfiguration(endpoints: etcd.endpoints), http: http, jitter: { 0 })
            try await Self.lead("n1", client)
            let n1 = CoreOnEtcd("n1", client, http)
            #expect(try await n1.turn(for: .seconds(20)) { n1.isHere })
            etcd.kill(0)
            try etcd.start(0)
            try await etcd.waitForHealth(0, http: http)
            let again = CoreOnEtcd("n2", client, http, memory: n1.core.memory)
            await again.turn()
            #expect(again.marks == 0 && again.stance == .leave(.leaderIsAnother("n1")))
            #expect(!again.reports.contains { if case .historyUnknown = $0 { true } else { false } })
            withExtendedLifetime(etcd) { http.close() }
        }
    }
}
