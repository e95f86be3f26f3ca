// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import PatroniClient

/// Follows Patroni's keys and ours, for ever: reads everything, watches from there, and begins anew when a watch ends.
///
/// Nothing is lost between read and watch: the watch begins at the revision after the read's. What arrives goes to
/// `deliver`, one event for each revision.
@EventLoop
final class EtcdFollower {
    private let link: EtcdLink
    private let deliver: @EventLoop (Event) -> Void
    private let jitter: @EventLoop () -> Double
    private let meet: @EventLoop ([String]) -> Void
    private var task: Task<Void, Never>?
    private var watches: [Task<Void, Never>] = []
    /// Why the watches ended last, for the status.
    private(set) var lastError: String?
    private(set) var isWatching = false

    /// `meet` is told, at each beginning, which members Patroni knows.
    init(
        _ link: EtcdLink, jitter: @escaping @EventLoop () -> Double, meet: @escaping @EventLoop ([String]) -> Void,
        deliver: @escaping @EventLoop (Event) -> Void
    ) {
        self.link = link
        self.meet = meet
        self.jitter = jitter
        self.deliver = deliver
    }

    func start() {
        guard self.task == nil else { return }
        self.task = EventLoop.spawn { await self.follow() }
    }

    func stop() {
        self.task?.cancel()
        self.endWatches()
    }

    /// The watch is behind what was read elsewhere: another endpoint may do better.
    func restart() {
        self.link.client.dropCurrentEndpoint("its watch is behind")
        self.endWatches()
    }

    private func endWatches() {
        for watch in self.watches { watch.cancel() }
        self.watches = []
    }

    private func follow() async {
        var failures = 0
        while !Task.isCancelled {
            do throws(EtcdError) {
                let sentAt = Instant.now
                let snapshot = try await self.link.read()
                self.deliver(.readAnswered(snapshot, sentAt: sentAt))
                failures = 0
                self.meet(try await self.link.members())
                await self.watch(from: snapshot.revision + 1, clusterID: snapshot.clusterID)
            } catch {
                self.lastError = error.description
                failures += 1
            }
            // 50 ms to 2 s, doubled at each failure, and spread by half.
            let step = Duration.milliseconds(50) * (1 << min(failures, 5))
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

    /// Watches both prefixes until either watch ends.
    private func watch(from revision: Int64, clusterID: UInt64) async {
        self.isWatching = true
        defer { self.isWatching = false }
        let ranges: [KeyRange] = [.prefix(self.link.keys.patroni.prefix), .prefix(self.link.keys.prefix)]
        self.watches = ranges.map { range in
            EventLoop.spawn {
                do throws(EtcdError) {
                    try await self.link.client.watch(range, from: revision) { batch in
                        self.receive(batch, clusterID: clusterID)
                    }
                } catch {
                    self.lastError = error.description
                }
                self.endWatches()
            }
        }
        for watch in self.watches { await watch.value }
    }

    private func receive(_ batch: WatchBatch, clusterID: UInt64) {
        // Another cluster behind the same address: what was read does not belong to it.
        guard batch.header.clusterID == clusterID else { return self.endWatches() }
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
