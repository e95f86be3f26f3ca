// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import Journal

/// Follows ranges of keys, for ever: reads them, watches from there, and begins anew when a watch ends.
///
/// Nothing is lost between read and watch: the watch begins at the revision after the read's. What arrives goes to
/// `receive`, once for each revision and range. Bounded: attempts that do not last are 25 ms to 2 s apart, and each cause of an
/// interruption is reported once until a watch has lasted.
@EventLoop
final class EtcdFollower {
    /// Where a read was made, how far it goes, and what is to be watched from there. Ranges may overlap: each key is watched
    /// once.
    struct Reading {
        let clusterID: UInt64
        let revision: Int64
        let ranges: [KeyRange]
    }

    private let client: EtcdClient
    /// What is followed, for a person; nil: what the addresses need.
    private let what: String?
    /// Between reads that fail.
    private let pauses: Backoff
    private let jitter: @EventLoop () -> Double
    private let read: @EventLoop () async throws(EtcdError) -> Reading
    private let receive: @EventLoop (_ clusterID: UInt64, _ revision: Int64, [WatchEvent]) -> Void
    private let established: @EventLoop () -> Void
    private let report: @EventLoop (LogRecord) -> Void
    private var task: Task<Void, Never>?
    private var watches: [Task<Void, Never>] = []
    /// When the last read began.
    private var readAt: Instant?
    /// The pause before the next read, while there is one.
    private var pausing: Task<Void, Never>?
    /// Since when all watches are established.
    private var establishedAt: Instant?
    /// Whether all is to be read anew, as was said since the last read began.
    private var isRenewed = false
    /// Which of them etcd has not confirmed yet.
    private var unconfirmed: Set<KeyRange> = []
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

    /// Between watches that do not last, too.
    nonisolated static let usualPauses = Backoff(first: .milliseconds(50), longest: .seconds(2))
    /// A watch that lived for less has not shown that it can.
    private static let lasting: Duration = .seconds(5)
    private static let causeLimit = 16

    /// - Parameters:
    ///   - read: reads everything that is to be followed, and delivers it; answers the revision that all of it has reached.
    ///   - receive: is told what changed at each later revision.
    ///   - established: is called whenever etcd has confirmed every watch.
    init(
        _ client: EtcdClient, what: String? = nil,
        pauses: Backoff = EtcdFollower.usualPauses,
        jitter: @escaping @EventLoop () -> Double,
        read: @escaping @EventLoop () async throws(EtcdError) -> Reading,
        receive: @escaping @EventLoop (_ clusterID: UInt64, _ revision: Int64, [WatchEvent]) -> Void,
        established: @escaping @EventLoop () -> Void = {}, report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.client = client
        self.what = what
        self.pauses = pauses
        self.jitter = jitter
        self.read = read
        self.receive = receive
        self.established = established
        self.report = report
    }

    /// Whether etcd has confirmed every watch, and none has ended.
    var isWatching: Bool { self.establishedAt != nil && self.ending == nil }

    func start() {
        guard self.task == nil else { return }
        self.task = EventLoop.spawn { await self.follow() }
    }

    func stop() {
        self.task?.cancel()
        self.pausing?.cancel()
        self.end(.asked)
    }

    /// The watch is behind what was read elsewhere: another endpoint may do better. One that is only being begun is left
    /// alone.
    func restart() {
        guard self.isWatching else { return }
        self.end(.asked)
        self.client.dropCurrentEndpoint("its watch is behind")
    }

    /// All is read anew; begins to follow, if that has not begun.
    func renew() {
        self.isRenewed = true
        self.end(.asked)
        // What has just failed is not asked for at once again.
        if let readAt = self.readAt, Instant.now - readAt >= self.pauses.first { self.pausing?.cancel() }
        self.start()
    }

    private func follow() async {
        var (failures, flights) = (0, 0)
        while !Task.isCancelled {
            var step = Duration.zero
            do throws(EtcdError) {
                self.isRenewed = false
                self.readAt = .now
                let reading = try await self.read()
                failures = 0
                // What was asked for meanwhile is not in it.
                if !self.isRenewed { flights = await self.watch(reading) ? 0 : flights + 1 }
                // A watch that does not last means that all is read again: as seldom as if the read had failed.
                step = flights == 0 ? Self.usualPauses.first : self.pauses.pause(after: flights)
            } catch {
                // Reported by who reads: the core's own reads fail like this one.
                self.interruption = error.description
                failures += 1
                step = self.pauses.pause(after: failures)
            }
            // Spread by half.
            let delay = step * (0.5 + self.jitter() / 2)
            let pausing = EventLoop.spawn { await Self.pause(delay) }
            self.pausing = pausing
            await pausing.value
            self.pausing = nil
            if self.isRenewed { failures = 0 }
        }
    }

    private static func pause(_ delay: Duration) async {
        do throws(WaitError) {
            try await EventLoop.sleep(for: delay)
        } catch {
            // Cancelled: the loop sees it.
        }
    }

    // MARK: - The watches

    /// Watches every range until one watch ends; answers whether they lasted.
    private func watch(_ reading: Reading) async -> Bool {
        let ranges = KeyRange.joined(reading.ranges)
        (self.ending, self.unconfirmed) = (nil, Set(ranges))
        let watches =
            ranges.isEmpty
            ? [EventLoop.spawn { await Self.pause(.seconds(86_400)) }]
            : ranges.map { range in EventLoop.spawn { await self.watch(range, reading) } }
        self.watches = watches
        for watch in watches { await watch.value }
        let hasLasted = self.establishedAt.map { Instant.now - $0 >= Self.lasting } ?? ranges.isEmpty
        self.establishedAt = nil
        if hasLasted { self.reported = [] }
        self.tellInterruption()
        return hasLasted
    }

    private func watch(_ range: KeyRange, _ reading: Reading) async {
        do throws(EtcdError) {
            try await self.client.watch(range, from: reading.revision + 1) { batch in
                if batch.isCreation { self.confirm(range) }
                self.receive(batch, clusterID: reading.clusterID)
            }
        } catch {
            self.end(.error(error))
        }
    }

    private func confirm(_ range: KeyRange) {
        self.unconfirmed.remove(range)
        guard self.unconfirmed.isEmpty, self.ending == nil, self.establishedAt == nil else { return }
        self.establishedAt = .now
        self.interruption = nil
        self.established()
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
                "the watch of etcd\(self.what.map { " for \($0)" } ?? "") is interrupted: \(reason). Until it is there again, only the periodic reads show what changes",
                ["REASON": reason]))
    }

    private func receive(_ batch: WatchBatch, clusterID: UInt64) {
        // Another cluster behind the same address: what was read does not belong to it.
        guard batch.header.clusterID == clusterID else { return self.end(.otherCluster) }
        var events: [WatchEvent] = []
        var revision: Int64 = 0
        for event in batch.events {
            if event.keyValue.modRevision != revision, !events.isEmpty {
                self.receive(clusterID, revision, events)
                events = []
            }
            revision = event.keyValue.modRevision
            events.append(event)
        }
        if !events.isEmpty { self.receive(clusterID, revision, events) }
    }
}
