// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EventLoop
import PostgresClient
import Settings

/// Carries the core's actions on Citus out, each answered by one event.
@EventLoop
final class CitusLink {
    private let databases: [String: CoordinatorDatabase]
    private let settings: Settings
    private let resolver: HostResolver
    /// For looking at others.
    private let etcd: EtcdClient
    private var isVerifying = false
    private let nodes: NodeConnections
    private let deliver: @EventLoop (CitusEvent) -> Void
    /// Where this node may become the coordinator's leader.
    private var readiness: EventSource?

    /// Between two looks whether the connections to the local server are there.
    nonisolated static let readinessPace: Duration = .seconds(30)

    init(
        _ settings: Settings, _ citus: Settings.Citus, _ etcd: EtcdClient, resolver: HostResolver,
        deliver: @escaping @EventLoop (CitusEvent) -> Void
    ) {
        self.deliver = deliver
        (self.settings, self.resolver, self.etcd) = (settings, resolver, etcd)
        let nodes = NodeConnections(
            conninfo: citus.nodeConninfo, database: citus.core.databases.first, resolver: resolver)
        self.nodes = nodes
        let pairs = citus.core.databases.map { name in
            (name, CoordinatorDatabase(name, conninfo: settings.postgres.conninfo, nodes: nodes, deliver: deliver))
        }
        self.databases = Dictionary(pairs) { first, _ in first }
        guard citus.core.group == 0 else { return }
        self.readiness = .timer(after: .seconds(1)) { [unowned self] in self.makeReady() }
    }

    private func makeReady() {
        self.readiness?.rearm(after: Self.readinessPace)
        for database in self.databases.values { EventLoop.spawn { await database.makeReady() } }
    }

    func stop() {
        self.readiness = nil
        for database in self.databases.values { database.stop() }
        self.nodes.stop()
    }

    func carryOut(_ action: CitusAction) {
        let now = Instant.now
        switch action {
        case .askWritable(let endpoint):
            self.answer { .writable(endpoint, await self.nodes.ask(endpoint), askedAt: now) }
        case .identify(let place):
            self.answer { .identified(place, await self.nodes.identify(place), askedAt: now) }
        case .readRows(let name): self.answer(name) { await $0.readRows(askedAt: now) }
        case .update(let name, let updates): self.answer(name) { await $0.update(updates, askedAt: now) }
        case .interruptSynchronization(let name): self.answer(name) { await $0.interruptSynchronization() }
        case .hold(let name, let group, let nodeID, let authority, let limit):
            self.answer(name) { await $0.hold(group, nodeID, authority, limit: limit) }
        case .commitHold(let name, let update): self.answer(name) { await $0.commitHold(update, askedAt: now) }
        case .releaseHold(let name, let group): self.answer(name) { await $0.releaseHold(group) }
        case .lookAtSettings(let name): self.answer(name) { await $0.lookAtSettings(askedAt: now) }
        case .verify(let suspects, let places):
            self.answer { .verified(await self.verify(suspects, places), askedAt: now) }
        case .compareCopies(let name, let endpoints):
            self.answer(name) { await $0.compareCopies(endpoints, askedAt: now) }
        }
    }

    /// One at a time, with connections of its own, and for so long at most.
    nonisolated static let verificationLimit: Duration = .seconds(300)

    private func verify(_ suspects: [NodeEndpoint], _ places: KnownPlaces) async -> VerificationOutcome {
        guard !self.isVerifying else { return .failed(reason: "an earlier one has not ended yet") }
        guard let verifier = ClusterVerifier(self.settings, resolver: self.resolver, etcd: self.etcd) else {
            return .failed(reason: "nothing of Citus is configured")
        }
        self.isVerifying = true
        let task = EventLoop.task { () -> [DatabaseVerification] in
            var knowledge = PriorKnowledge()
            (knowledge.suspects, knowledge.places) = (suspects, RememberedPlaces(places))
            let found = await verifier.verified(isDeep: false, isAfterRestore: false, knowing: knowledge)
            self.isVerifying = false
            return found.map { DatabaseVerification($0.facts.database, $0.findings) }
        }
        do throws(WaitError) {
            return .ended(try await EventLoop.value(of: task, within: Self.verificationLimit))
        } catch {
            task.cancel()
            return .failed(reason: "it has not ended within \(Self.verificationLimit)")
        }
    }

    private func answer(with event: @escaping @EventLoop () async -> CitusEvent) {
        EventLoop.spawn { self.deliver(await event()) }
    }

    private func answer(_ name: String, with event: @escaping @EventLoop (CoordinatorDatabase) async -> CitusEvent) {
        guard let database = self.databases[name] else { return }
        EventLoop.spawn { self.deliver(await event(database)) }
    }
}
