// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import Journal
import LeaseKeys

/// What etcd holds of all groups: Patroni's keys, and what other daemons have published of their members.
///
/// It is followed by itself: what cannot be read or watched here, or takes its time, keeps nothing from being followed there
/// where the addresses are concerned. Keys that are watched there already are not watched twice: what they show is handed on to
/// ``receive(_:_:_:)``.
@EventLoop
final class GroupsLink {
    private let etcd: EtcdClient
    private let keys: GroupKeys
    private let others: DetectorKeys
    private let watchedElsewhere: [KeyRange]
    private let deliver: @EventLoop (Event) -> Void
    private let report: @EventLoop (LogRecord) -> Void
    private var complaints = Complaints<EtcdError.Kind>()
    private var follower: EtcdFollower?
    /// The cluster that is followed, and up to which revision all was read when that began; nil: it is not followed.
    private var followed: (clusterID: UInt64, from: Int64)?
    /// The cluster whose keys the addresses follow: what another one holds is not looked at.
    private var clusterID: UInt64?
    /// What was handed over while a read is under way, which may be older; nil: none is.
    private var handedOver: [Change]?
    /// Patroni's keys of this node's group, unread.
    private(set) var own = PatroniCopy()
    private typealias Change = (clusterID: UInt64, revision: Int64, events: [WatchEvent])

    /// Of what is handed over during one read. Where there is more, all is read once more.
    private static let handOverLimit = 256

    /// Keys of all groups that one read accepts.
    nonisolated static let keyLimit = 10_000
    /// Between attempts to read: what cannot be read may be 10,000 keys.
    private static let pauses = Backoff(first: .seconds(3), longest: .seconds(30))
    private static let request = "following the members and groups in etcd"

    init(
        _ etcd: EtcdClient, _ keys: GroupKeys, _ others: DetectorKeys, watchedElsewhere: [KeyRange],
        jitter: @escaping @EventLoop () -> Double,
        deliver: @escaping @EventLoop (Event) -> Void, report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.etcd = etcd
        self.keys = keys
        self.others = others
        self.watchedElsewhere = KeyRange.joined(watchedElsewhere)
        self.deliver = deliver
        self.report = report
        self.follower = EtcdFollower(
            etcd, what: "the members and groups", pauses: Self.pauses, jitter: jitter,
            read: { [unowned self] () async throws(EtcdError) in try await self.readAll() },
            receive: { [unowned self] in self.receive($0, $1, $2) }, report: report)
    }

    /// Reads everything, and follows it from there: at the beginning, and whenever what is watched elsewhere begins anew there, in
    /// this cluster.
    func renew(in clusterID: UInt64) {
        self.clusterID = clusterID
        self.follower?.renew()
    }

    private func readAll() async throws(EtcdError) -> EtcdFollower.Reading {
        let sentAt = Instant.now
        self.handedOver = []
        defer { self.handedOver = nil }
        do throws(EtcdError) {
            let (snapshot, read, patroni) = try await Self.read(self.etcd, self.keys, and: self.others.ranges)
            var pairs = read
            guard snapshot.clusterID == self.clusterID else { throw self.foreign() }
            if !self.others.holders.isEmpty {
                pairs += try await self.readHolders()
            }
            self.followed = (snapshot.clusterID, snapshot.revision)
            self.keep(patroni, at: snapshot.revision, isAnew: true)
            self.complaints.succeeded(Self.request)
            self.deliver(.groups(.read(snapshot, sentAt: sentAt)))
            var published: [MemberID: Observation] = [:]
            var claims: [Int: String] = [:]
            var persons: [Int: String] = [:]
            var pauses: [Int: ReactionPause] = [:]
            var holders: [Int: [AddressID: String]] = [:]
            for pair in pairs {
                switch self.others.kind(of: pair.keyText) {
                case .observation(let observer): published[observer] = DetectorKeys.observation(pair.value)
                case .switchover(let group):
                    claims[group] = DetectorKeys.claimant(pair.value)
                    persons[group] = DetectorKeys.person(pair.value)
                case .reactions(let group): pauses[group] = ReactionPause(value: pair.value)
                case .holder(let group, let address):
                    holders[group, default: [:]][address] = PharosKeys.holder(pair).member
                case nil: break
                }
            }
            self.deliver(.detector(.observationsRead(published)))
            self.deliver(.detector(.claimsRead(claims, persons: persons)))
            self.deliver(.detector(.pausesRead(pauses)))
            self.deliver(.groups(.heldRead(holders)))
            // What came meanwhile may be newer than what was read.
            let handedOver = self.handedOver ?? []
            self.handedOver = nil
            for change in handedOver { self.receive(change.clusterID, change.revision, change.events) }
            if handedOver.count >= Self.handOverLimit { self.follower?.renew() }
            let ranges = KeyRange.joined(self.keys.ranges + self.others.watched)
            return EtcdFollower.Reading(
                clusterID: snapshot.clusterID, revision: snapshot.revision,
                ranges: ranges.flatMap { $0.subtracting(self.watchedElsewhere) })
        } catch {
            self.followed = nil
            if error.kind != .cancelled, self.complaints.failed(Self.request, error.kind) {
                self.report(
                    LogRecord(
                        .requestFailed,
                        "\(Self.request) has failed: \(error.description). The addresses do not need it",
                        ["REQUEST": Self.request, "REASON": error.description]))
            }
            throw error
        }
    }

    private func readHolders() async throws(EtcdError) -> [KeyValue] {
        let reads = self.others.holders.map { Transaction.Operation.range($0, limit: Self.keyLimit) }
        let response = try await self.etcd.commit(Transaction(compares: [], success: reads))
        var all: [KeyValue] = []
        for case .range(let pairs) in response.responses {
            guard pairs.count < Self.keyLimit else { throw Self.tooMany }
            all += pairs
        }
        return all
    }

    /// What the groups of another cluster are says nothing of those whose rows and addresses are kept here.
    private func foreign() -> EtcdError {
        self.etcd.dropCurrentEndpoint("another etcd cluster answers")
        return EtcdError(
            kind: .unreachable, message: "another etcd cluster answers than the one that the addresses follow",
            endpoint: "")
    }

    /// What was cut off would pass for gone.
    private static var tooMany: EtcdError {
        EtcdError(kind: .malformed, message: "more than \(Self.keyLimit) keys of one scope or cluster", endpoint: "")
    }

    /// What changed at one revision, and may concern the groups.
    func receive(_ clusterID: UInt64, _ revision: Int64, _ events: [WatchEvent]) {
        if let count = self.handedOver?.count, count < Self.handOverLimit {
            self.handedOver?.append((clusterID, revision, events))
        }
        // The watch may begin before the read: what that has shown is not told again.
        guard let followed = self.followed, clusterID == followed.clusterID, revision > followed.from else { return }
        var changes: [GroupChange] = []
        for event in events {
            let meant = self.keys.changes(event)
            changes += meant
            if let kind = self.keys.ownKind(of: event.keyValue.keyText) {
                self.own.take(kind, event.kind == .put ? event.keyValue.value : nil, at: revision)
            }
            if meant.isEmpty, let news = self.others.event(event) { self.deliver(news) }
        }
        if !changes.isEmpty { self.deliver(.groups(.changed(clusterID: clusterID, revision: revision, changes))) }
    }

    func read(sentAt: Instant) async -> GroupsEvent {
        do throws(EtcdError) {
            let (snapshot, _, patroni) = try await Self.read(self.etcd, self.keys)
            // Before anything is followed, any one's.
            guard self.clusterID == nil || snapshot.clusterID == self.clusterID else { throw self.foreign() }
            // Of another cluster than the one that is followed nothing is kept.
            if snapshot.clusterID == self.followed?.clusterID {
                self.keep(patroni, at: snapshot.revision, isAnew: false)
            }
            return .read(snapshot, sentAt: sentAt)
        } catch {
            return .unread(reason: error.description)
        }
    }

    func stop() { self.follower?.stop() }

    private func keep(_ pairs: [KeyValue], at revision: Int64, isAnew: Bool) {
        let own = pairs.compactMap { pair in
            self.keys.ownKind(of: pair.keyText).map { (kind: $0, value: pair.value) }
        }
        self.own.take(own, at: revision, isAnew: isAnew)
    }

    /// The groups' keys as a snapshot, the keys in `others`, and the groups' as they are, at one revision.
    static func read(
        _ etcd: EtcdClient, _ keys: GroupKeys, and others: [KeyRange] = []
    ) async throws(EtcdError) -> (snapshot: GroupsSnapshot, others: [KeyValue], patroni: [KeyValue]) {
        let ranges = keys.ranges + others
        let response = try await etcd.commit(
            Transaction(compares: [], success: ranges.map { .range($0, limit: Self.keyLimit) }))
        var (facts, remaining, patroni): ([GroupChange], [KeyValue], [KeyValue]) = ([], [], [])
        for (index, operation) in response.responses.enumerated() {
            guard case .range(let pairs) = operation else { continue }
            guard pairs.count < Self.keyLimit else { throw Self.tooMany }
            if index < keys.ranges.count {
                facts += keys.facts(pairs)
                patroni += pairs
            } else {
                remaining += pairs
            }
        }
        return (
            GroupsSnapshot(clusterID: response.header.clusterID, revision: response.header.revision, facts: facts),
            remaining, patroni
        )
    }
}
