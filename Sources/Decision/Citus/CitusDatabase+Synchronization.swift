// SPDX-License-Identifier: Apache-2.0

/// How changes of one database of the coordinator arrive on the workers.
extension CitusDatabase {
    mutating func synchronizationTold(at now: Instant) {
        if self.awaited != nil { self.reading.hasten(to: now) }
    }

    mutating func copiesCompared(
        _ findings: [CopyFinding], askedAt: Instant, at now: Instant, into reports: inout [CitusReport]
    ) {
        self.copiesSilentSince = nil
        // One that was given up may have looked before the last change.
        guard let awaited = self.awaited, let since = awaited.comparingSince, askedAt >= since else { return }
        let different = findings.filter { $0.result == .different }.map(\.endpoint)
        guard different.isEmpty else {
            self.awaited?.comparingSince = nil
            if now - awaited.since > .seconds(5), !awaited.isReported {
                self.awaited?.isReported = true
                reports.append(.copiesDiffer(self.name, nodes: different))
            }
            self.reading.due = now + (awaited.isReported ? Self.pace : .milliseconds(200))
            if awaited.groups.isEmpty, self.awaited?.isReported == true {
                // Nothing was changed: they are looked at again in a while.
                self.awaited = nil
                self.compareAt = now + Self.comparison.again
            }
            return
        }
        self.awaited = nil
        let unverified = findings.filter { $0.result != .same }
        for (group, since) in awaited.groups.sorted(by: { $0.key < $1.key }) {
            reports.append(.synchronized(self.name, group: group, after: now - since, unverified: unverified))
        }
    }

    private static func workers(_ rows: [NodeRow]) -> [NodeRow] {
        rows.filter { $0.group != 0 && $0.role == .primary && $0.isActive && $0.hasMetadata }
    }

    /// Those to whom Citus has not brought the last change yet.
    static func behind(_ rows: [NodeRow]) -> [NodeRow] { self.workers(rows).filter { !$0.isSynchronized } }

    /// Citus marks a row unsynchronized with each update, and synchronized when it has rewritten that node's copy.
    mutating func checkSynchronization(
        _ rows: [NodeRow], at now: Instant, into actions: inout [CitusAction], _ reports: inout [CitusReport]
    ) {
        guard var awaited = self.awaited, !awaited.isComparing else { return }
        let (workers, behind) = (Self.workers(rows), Self.behind(rows))
        awaited.reads += 1
        if behind.isEmpty {
            awaited.comparingSince = now
            actions.append(.compareCopies(self.name, workers.map(\.endpoint)))
        } else {
            // It starts within 50 ms, and takes longer with more workers.
            let pause = Self.synchronizationBackoff.pause(after: awaited.reads)
            let isLate = now - awaited.since > .seconds(10)
            self.reading.due = now + (isLate ? Self.pace : pause)
            if isLate, !awaited.isReported {
                awaited.isReported = true
                for group in awaited.groups.keys.sorted() {
                    reports.append(.unsynchronized(self.name, group: group, nodes: behind.map(\.endpoint)))
                }
            }
        }
        self.awaited = awaited
    }
}
