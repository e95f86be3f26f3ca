// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop

/// What etcd holds of all groups: Patroni's keys, and what other daemons have published of their members.
///
/// It is followed along with the addresses' keys, so that each key is watched once; an address does not depend on it: what
/// cannot be read here keeps nothing from being followed there.
@EventLoop
final class GroupsLink {
    private let etcd: EtcdClient
    private let keys: GroupKeys
    private let others: DetectorKeys
    private let deliver: @EventLoop (Event) -> Void
    private let report: @EventLoop (LogRecord) -> Void
    private var complaints = Complaints<EtcdError.Kind>()
    /// What could not be read in time has been read by now: see ``follow(in:)``.
    private let readable: @EventLoop () -> Void
    /// Up to which revision all was read when following began; nil: it is not followed.
    private var followedFrom: Int64?
    /// Goes on until all was read.
    private var reading: Task<Void, Never>?
    /// What was read and not taken yet.
    private var done: Reading?
    /// Who follows waits for it at most so long, and meanwhile watches nothing.
    private var patience: Task<Void, Never>?
    private static let patience: Duration = .seconds(1)

    /// Keys of all groups that one read accepts.
    private static let keyLimit = 10_000
    /// Between attempts, each twice the one before: what cannot be read may be 10,000 keys.
    private static let pauses: (first: Duration, longest: Duration) = (.seconds(3), .seconds(30))
    private static let request = "following the members and groups in etcd"

    init(
        _ etcd: EtcdClient, _ keys: GroupKeys, _ others: DetectorKeys,
        deliver: @escaping @EventLoop (Event) -> Void, report: @escaping @EventLoop (LogRecord) -> Void,
        readable: @escaping @EventLoop () -> Void
    ) {
        self.etcd = etcd
        self.keys = keys
        self.others = others
        self.deliver = deliver
        self.report = report
        self.readable = readable
    }

    /// What was read, up to which revision, and what is to be watched from there.
    struct Reading {
        let clusterID: UInt64
        let revision: Int64
        let ranges: [KeyRange]
    }

    /// Reads and delivers everything; answers what was read: nothing where that could not be, took longer than a second, or was
    /// another cluster's. It is then read in the background, and the next call has it.
    func follow(in clusterID: UInt64) async -> Reading? {
        if let done = self.take(clusterID) { return done }
        self.beginReading()
        let patience = EventLoop.spawn { await Self.pause(Self.patience) }
        self.patience = patience
        await patience.value
        self.patience = nil
        if let done = self.take(clusterID) { return done }
        self.beginReading()
        return nil
    }

    private func take(_ clusterID: UInt64) -> Reading? {
        defer { self.done = nil }
        return self.done?.clusterID == clusterID ? self.done : nil
    }

    private func beginReading() {
        if self.reading == nil { self.reading = EventLoop.spawn { await self.readUntilDone() } }
    }

    /// Once, and if that fails again and again, at growing distances.
    private func readUntilDone() async {
        var pause = Self.pauses.first
        while !Task.isCancelled, await !self.readOnce() {
            self.patience?.cancel()
            await Self.pause(pause)
            pause = min(pause * 2, Self.pauses.longest)
        }
        self.reading = nil
        guard !Task.isCancelled else { return }
        // Who waits for it has it now; otherwise the addresses' keys are followed alone by now.
        if let patience = self.patience { patience.cancel() } else { self.readable() }
    }

    private static func pause(_ delay: Duration) async {
        do throws(WaitError) {
            try await EventLoop.sleep(for: delay)
        } catch {
            // Cancelled: whoever did that knows why.
        }
    }

    private func readOnce() async -> Bool {
        let sentAt = Instant.now
        do throws(EtcdError) {
            let (snapshot, pairs) = try await Self.read(self.etcd, self.keys, and: self.others.ranges)
            self.followedFrom = snapshot.revision
            self.complaints.succeeded(Self.request)
            self.deliver(.groups(.read(snapshot, sentAt: sentAt)))
            var published: [MemberID: Observation] = [:]
            var claims: [Int: String] = [:]
            for pair in pairs {
                switch self.others.kind(of: pair.keyText) {
                case .observation(let observer): published[observer] = DetectorKeys.observation(pair.value)
                case .switchover(let group): claims[group] = DetectorKeys.claimant(pair.value)
                case nil: break
                }
            }
            self.deliver(.detector(.observationsRead(published)))
            self.deliver(.detector(.claimsRead(claims)))
            self.done = Reading(
                clusterID: snapshot.clusterID, revision: snapshot.revision,
                ranges: self.keys.ranges + self.others.ranges)
            return true
        } catch {
            self.followedFrom = nil
            if error.kind != .cancelled, self.complaints.failed(Self.request, error.kind) {
                self.report(
                    LogRecord(
                        .requestFailed,
                        "\(Self.request) has failed: \(error.description). The addresses do not need it",
                        ["REQUEST": Self.request, "REASON": error.description]))
            }
            return false
        }
    }

    /// What changed at one revision, and may concern the groups.
    func receive(_ clusterID: UInt64, _ revision: Int64, _ events: [WatchEvent]) {
        // The watch may begin before the read: what that has shown is not told again.
        guard let followedFrom = self.followedFrom, revision > followedFrom else { return }
        var changes: [GroupChange] = []
        for event in events {
            if let change = self.keys.change(event) {
                changes.append(change)
            } else if let news = self.others.event(event) {
                self.deliver(.detector(news))
            }
        }
        if !changes.isEmpty { self.deliver(.groups(.changed(clusterID: clusterID, revision: revision, changes))) }
    }

    func read(sentAt: Instant) async -> GroupsEvent {
        do throws(EtcdError) {
            return .read(try await Self.read(self.etcd, self.keys).snapshot, sentAt: sentAt)
        } catch {
            return .unread(reason: error.description)
        }
    }

    func stop() {
        self.reading?.cancel()
        self.patience?.cancel()
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
