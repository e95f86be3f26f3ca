// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EventLoop
import PostgresClient

/// Carries the core's actions on Citus out, each answered by one event.
@EventLoop
final class CitusLink {
    private let etcd: EtcdClient
    private let keys: GroupKeys
    private let follower: EtcdFollower
    private let databases: [String: CoordinatorDatabase]
    private let nodes: NodeConnections
    private let deliver: @EventLoop (CitusEvent) -> Void

    /// Keys of all groups that one read accepts.
    private static let keyLimit = 10_000

    init(
        _ etcd: EtcdClient, _ settings: SupervisorSettings, _ citus: SupervisorSettings.Citus,
        jitter: @escaping @EventLoop () -> Double, report: @escaping @EventLoop (LogRecord) -> Void,
        deliver: @escaping @EventLoop (CitusEvent) -> Void
    ) {
        let keys = GroupKeys(namespace: settings.namespace, scope: settings.scope, citus.layout)
        self.etcd = etcd
        self.keys = keys
        self.deliver = deliver
        let nodes = NodeConnections(conninfo: citus.nodeConninfo, database: citus.databases.first)
        self.nodes = nodes
        let pairs = citus.databases.map { name in
            (name, CoordinatorDatabase(name, conninfo: settings.conninfo, nodes: nodes, deliver: deliver))
        }
        self.databases = Dictionary(pairs) { first, _ in first }
        self.follower = EtcdFollower(
            etcd, keys.ranges, what: "the watch of the groups in etcd", jitter: jitter,
            read: { () async throws(EtcdError) in
                let sentAt = Instant.now
                let snapshot = try await Self.read(etcd, keys)
                deliver(.groupsRead(snapshot, sentAt: sentAt))
                return EtcdFollower.Reading(clusterID: snapshot.clusterID, revision: snapshot.revision)
            },
            receive: { clusterID, revision, events in
                let changes = events.compactMap { keys.change($0) }
                if !changes.isEmpty { deliver(.groupsChanged(clusterID: clusterID, revision: revision, changes)) }
            }, report: report)
    }

    func start() { self.follower.start() }

    func stop() {
        self.follower.stop()
        for database in self.databases.values { database.stop() }
        self.nodes.stop()
    }

    static func read(_ etcd: EtcdClient, _ keys: GroupKeys) async throws(EtcdError) -> GroupsSnapshot {
        let response = try await etcd.commit(
            Transaction(compares: [], success: keys.ranges.map { .range($0, limit: Self.keyLimit) }))
        var facts: [GroupChange] = []
        for case .range(let pairs) in response.responses {
            // What was cut off would pass for gone.
            guard pairs.count < Self.keyLimit else {
                throw EtcdError(
                    kind: .malformed, message: "more than \(Self.keyLimit) keys of one scope or cluster", endpoint: "")
            }
            facts += keys.facts(pairs)
        }
        return GroupsSnapshot(
            clusterID: response.header.clusterID, revision: response.header.revision, facts: facts)
    }

    func carryOut(_ action: CitusAction) {
        let now = Instant.now
        switch action {
        case .readGroups:
            self.answer { () async in
                do throws(EtcdError) {
                    return .groupsRead(try await Self.read(self.etcd, self.keys), sentAt: now)
                } catch {
                    return .groupsUnread(reason: error.description)
                }
            }
        case .askWritable(let endpoint):
            self.answer { .writable(endpoint, await self.nodes.ask(endpoint), askedAt: now) }
        case .readRows(let name): self.answer(name) { await $0.readRows(askedAt: now) }
        case .update(let name, let update): self.answer(name) { await $0.update(update) }
        case .hold(let name, let group, let nodeID, let authority, let limit):
            self.answer(name) { await $0.hold(group, nodeID, authority, limit: limit) }
        case .commitHold(let name, let update): self.answer(name) { await $0.commitHold(update) }
        case .releaseHold(let name, let group): self.answer(name) { await $0.releaseHold(group) }
        case .compareCopies(let name, let endpoints): self.answer(name) { await $0.compareCopies(endpoints) }
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
