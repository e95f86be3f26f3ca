// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop

/// Follows what etcd holds of all groups: Patroni's keys, and what other daemons have published of their members.
@EventLoop
final class GroupsLink {
    private let etcd: EtcdClient
    private let keys: GroupKeys
    private let follower: EtcdFollower

    /// Keys of all groups that one read accepts.
    private static let keyLimit = 10_000

    init(
        _ etcd: EtcdClient, _ keys: GroupKeys, _ others: DetectorKeys,
        jitter: @escaping @EventLoop () -> Double, report: @escaping @EventLoop (LogRecord) -> Void,
        deliver: @escaping @EventLoop (Event) -> Void
    ) {
        self.etcd = etcd
        self.keys = keys
        self.follower = EtcdFollower(
            etcd, keys.ranges + others.ranges, what: "the watch of the groups in etcd", jitter: jitter,
            read: { () async throws(EtcdError) in
                let sentAt = Instant.now
                let (snapshot, pairs) = try await Self.read(etcd, keys, and: others.ranges)
                deliver(.groups(.read(snapshot, sentAt: sentAt)))
                var published: [MemberID: Observation] = [:]
                var claims: [Int: String] = [:]
                for pair in pairs {
                    switch others.kind(of: pair.keyText) {
                    case .observation(let observer): published[observer] = DetectorKeys.observation(pair.value)
                    case .switchover(let group): claims[group] = DetectorKeys.claimant(pair.value)
                    case nil: break
                    }
                }
                deliver(.detector(.observationsRead(published)))
                deliver(.detector(.claimsRead(claims)))
                return EtcdFollower.Reading(clusterID: snapshot.clusterID, revision: snapshot.revision)
            },
            receive: { clusterID, revision, events in
                var changes: [GroupChange] = []
                for event in events {
                    if let change = keys.change(event) {
                        changes.append(change)
                    } else if let news = others.event(event) {
                        deliver(.detector(news))
                    }
                }
                if !changes.isEmpty {
                    deliver(.groups(.changed(clusterID: clusterID, revision: revision, changes)))
                }
            }, report: report)
    }

    func start() { self.follower.start() }
    func stop() { self.follower.stop() }

    func read(sentAt: Instant) async -> GroupsEvent {
        do throws(EtcdError) {
            return .read(try await Self.read(self.etcd, self.keys).snapshot, sentAt: sentAt)
        } catch {
            return .unread(reason: error.description)
        }
    }

    /// The groups' keys as a snapshot, and the keys in `others`, at one revision.
    static func read(
        _ etcd: EtcdClient, _ keys: GroupKeys, and others: [KeyRange] = []
    ) async throws(EtcdError) -> (snapshot: GroupsSnapshot, others: [KeyValue]) {
        let ranges = keys.ranges + others
        let response = try await etcd.commit(
            Transaction(compares: [], success: ranges.map { .range($0, limit: Self.keyLimit) }))
        var (facts, remaining): ([GroupChange], [KeyValue]) = ([], [])
        for (index, operation) in response.responses.enumerated() {
            guard case .range(let pairs) = operation else { continue }
            // What was cut off would pass for gone.
            guard pairs.count < Self.keyLimit else {
                throw EtcdError(
                    kind: .malformed, message: "more than \(Self.keyLimit) keys of one scope or cluster", endpoint: "")
            }
            if index < keys.ranges.count { facts += keys.facts(pairs) } else { remaining += pairs }
        }
        return (
            GroupsSnapshot(clusterID: response.header.clusterID, revision: response.header.revision, facts: facts),
            remaining
        )
    }
}
