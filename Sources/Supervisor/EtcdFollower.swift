// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import PatroniClient

/// Follows Patroni's keys and ours, for ever: reads everything, watches from there, and begins anew when a watch ends.
///
/// Nothing is lost between read and watch: the watch begins at the revision after the read's. What arrives goes to
/// `deliver`, one event for each revision. Bounded: attempts that do not last are 25 ms to 2 s apart, and each cause of
/// an interruption is reported once until a watch has lasted.
@EventLoop
final class EtcdFollower {
    private let link: EtcdLink
    private let deliver: @EventLoop (Event) -> Void
    private let jitter: @EventLoop () -> Double
    private let meet: @EventLoop ([String]) -> Void
    private let report: @EventLoop (LogRecord) -> Void
    private var task: Task<Void, Never>?
    private var watches: [Task<Void, Never>] = []
    /// Since when both watches are established.
    private var establishedAt: Instant?
    /// When Patroni's members were asked for.
    private var metAt: Instant?
    /// Which of them etcd has confirmed.
    private var confirmed: Set<Int> = []
    /// The first reason why one of the present watches ended.
    private var ending: Ending?
    private var reported: Set<Cause> = []
    /// Why the watch was interrupted last; nil once it is established again.
    private(set) var interruption: String?

    private enum Ending { case error(EtcdError), otherCluster, asked }

    private struct Cause: Hashable {
        let kind: EtcdError.Kind?
        let endpoint: String
    }

    /// A watch that lived for less has not shown that it can.
    private static let lasting: Duration = .seconds(5)
    private static let causeLimit = 16

    /// `meet` is told, when a watch was established, at most once a minute, which members Patroni knows.
    init(
        _ link: EtcdLink, jitter: @escaping @EventLoop () -> Double, meet: @escaping @EventLoop ([String]) -> Void,
        report: @escaping @EventLoop (LogRecord) -> Void, deliver: @escaping @EventLoop (Event) -> Void
    ) {
        self.link = link
        self.meet = meet
        self.report = report
        self.jitter = jitter
        self.deliver = deliver
    }

    /// Whether etcd has confirmed both watches, and neither has ended.
    var isWatching: Bool { self.establishedAt != nil && self.ending == nil }

    func start() {
        guard self.task == nil else { return }
        self.task = EventLoop.spawn { await self.follow() }
    }

    func stop() {
        self.task?.cancel()
        self.end(.asked)
    }

    /// The watch is behind what was read elsewhere: another endpoint may do better. One that is only being begun is left
    /// alone.
    func restart() {
        guard self.isWatching else { return }
        self.end(.asked)
        self.link.client.dropCurrentEndpoint("its watch is behind")
    }

    private func follow() async {
        var failures = 0
        while !Task.isCancelled {
            do throws(EtcdError) {
                let sentAt = Instant.now
                let snapshot = try await self.link.read()
                self.deliver(.followed(snapshot, sentAt: sentAt))
                let hasLasted = await self.watch(from: snapshot.revision + 1, clusterID: snapshot.clusterID)
                failures = hasLasted ? 0 : failures + 1
            } catch {
                // Reported by the core, whose own reads fail like this one.
                self.interruption = error.description
                failures += 1
            }
            // 50 ms to 2 s, doubled at each failure, and spread by half.
            let step = min(Duration.milliseconds(50) * (1 << min(failures, 6)), .seconds(2))
            await self.pause(step * (0.5 + self.jitter() / 2))
        }
    }

    private func pause(_ delay: Duration) async {
        do throws(WaitError) {
            try await EventLoop.sleep(for: delay)
        } catch {
            // Cancelled: the loop sees it.
        }
    }

    // MARK: - The watches

    /// Watches Patroni's and our keys until either watch ends; answers whether they lasted.
    ///
    /// Of Patroni's, in the order of their names, those from `config` to `leader`: the members and the status, which change
    /// with every one of its loops, lie behind.
    private func watch(from revision: Int64, clusterID: UInt64) async -> Bool {
        (self.ending, self.confirmed) = (nil, [])
        let patroni = self.link.keys.patroni
        let ranges: [KeyRange] = [.from(patroni.config, through: patroni.leader), .prefix(self.link.keys.prefix)]
        let watches = ranges.enumerated().map { index, range in
            EventLoop.spawn {
                do throws(EtcdError) {
                    try await self.link.client.watch(range, from: revision) { batch in
                        if batch.isCreation { self.confirm(index, of: ranges.count) }
                        self.receive(batch, clusterID: clusterID)
                    }
                } catch {
                    self.end(.error(error))
                }
            }
        }
        self.watches = watches
        for watch in watches { await watch.value }
        let hasLasted = self.establishedAt.map { Instant.now - $0 >= Self.lasting } ?? false
        self.establishedAt = nil
        if hasLasted { self.reported = [] }
        self.tellInterruption()
        return hasLasted
    }

    private func confirm(_ index: Int, of count: Int) {
        self.confirmed.insert(index)
        guard self.confirmed.count == count, self.ending == nil, self.establishedAt == nil else { return }
        self.establishedAt = .now
        self.interruption = nil
        // A failure of this may end the watch that asks for it, so it must be rare.
        guard self.metAt.map({ Instant.now - $0 >= .seconds(60) }) ?? true else { return }
        self.metAt = .now
        EventLoop.spawn { if let members = await self.link.members() { self.meet(members) } }
    }

    private func end(_ ending: Ending) {
        if self.ending == nil { self.ending = ending }
        for watch in self.watches { watch.cancel() }
        self.watches = []
    }

    private func tellInterruption() {
        let (cause, reason): (Cause, String)
        switch self.ending {
        case .error(let error):
            guard error.kind != .cancelled else { return }
            (cause, reason) = (Cause(kind: error.kind, endpoint: error.endpoint), error.description)
        case .otherCluster: (cause, reason) = (Cause(kind: nil, endpoint: ""), "another etcd cluster answers")
        case .asked, nil: return
        }
        self.interruption = reason
        guard self.reported.count < Self.causeLimit, self.reported.insert(cause).inserted else { return }
        self.report(
            LogRecord(
                .watchInterrupted,
                "the watch of etcd is interrupted: \(reason). Until it is established again, changes are seen by reads only",
                ["REASON": reason]))
    }

    private func receive(_ batch: WatchBatch, clusterID: UInt64) {
        // Another cluster behind the same address: what was read does not belong to it.
        guard batch.header.clusterID == clusterID else { return self.end(.otherCluster) }
        var changes: [KeyChange] = []
        var revision: Int64 = 0
        for event in batch.events {
            if event.keyValue.modRevision != revision, !changes.isEmpty {
                self.deliver(.watched(clusterID: clusterID, revision: revision, changes: changes))
                changes = []
            }
            revision = event.keyValue.modRevision
            if event.kind == .put { self.link.examine(event.keyValue) }
            if let change = self.link.keys.change(event) { changes.append(change) }
        }
        if !changes.isEmpty { self.deliver(.watched(clusterID: clusterID, revision: revision, changes: changes)) }
    }
}
