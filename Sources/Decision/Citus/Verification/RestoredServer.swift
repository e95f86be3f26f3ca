// SPDX-License-Identifier: Apache-2.0

/// What a server knows of where it was restored to.
public struct RestoredServer: Hashable, Sendable {
    /// How its timelines ended, the oldest first; empty on its first one.
    public var ends: [TimelineEnd]
    /// The markers that stand in it, the newest first: each was written just before a restore point was made.
    public var markers: [Marker]
    /// Bytes of log since it was promoted; nil where that is not known.
    public var written: Int64?

    public init(ends: [TimelineEnd], markers: [Marker], written: Int64? = nil) {
        self.ends = ends
        self.markers = markers
        self.written = written
    }

    public struct TimelineEnd: Hashable, Sendable {
        public var timeline: Int
        public var lsn: String
        /// In PostgreSQL's words.
        public var reason: String

        public init(timeline: Int, lsn: String, reason: String) {
            self.timeline = timeline
            self.lsn = lsn
            self.reason = reason
        }
    }

    public struct Marker: Hashable, Sendable {
        /// Not the same for any two restore points, whatever their names.
        public var id: String
        public var name: String
        /// Seconds since 1970.
        public var made: Int64

        public init(id: String, name: String, made: Int64) {
            self.id = id
            self.name = name
            self.made = made
        }
    }

    /// Where the last recovery ended.
    public enum Stop: Hashable, Sendable {
        case restorePoint(String)
        /// At the end of the log, at a time, a transaction, or wherever: in PostgreSQL's words.
        case elsewhere(String)
        /// It was never promoted.
        case never
    }

    /// PostgreSQL writes `at restore point "NAME"` where a recovery ended at one (xlogrecovery.c, `getRecoveryStopReason`).
    public var stop: Stop {
        guard let last = self.ends.last else { return .never }
        let begin = "at restore point \""
        guard last.reason.hasPrefix(begin), last.reason.hasSuffix("\"") else { return .elsewhere(last.reason) }
        return .restorePoint(String(last.reason.dropFirst(begin.count).dropLast()))
    }

    func marker(named name: String) -> [Marker] { self.markers.filter { $0.name == name } }
}

/// What is proven of the point that all nodes were restored to.
public enum RestorePointProof: Hashable, Sendable {
    /// Every server's recovery ended at this point, and each has the same marker of it.
    case proven(RestoredServer.Marker)
    /// Some server stopped somewhere else: all of them, by name, with where.
    case different([String])
    /// All have stopped at a point of this name, but it is not shown that it is the same one, or was made on all at once.
    case unproven(name: String, why: String)
    /// Some servers were not looked at.
    case unseen
}

/// What is on record of a restore point, outside of the servers that were restored.
public enum RestorePointRecord: Hashable, Sendable {
    /// Every lock was held until the last point had been made.
    case complete
    /// It was begun, and nothing says that it came to its end.
    case incomplete
}

/// More than what checkpoints and the first looks at a server write: clients have been there.
private let writtenLimit: Int64 = 1 << 30

/// Whether the servers of all groups were restored to one point. `records`: by the points' numbers.
func restorePointProof(_ servers: [LookedAt], _ records: [String: RestorePointRecord]) -> RestorePointProof {
    let restored = servers.compactMap { server in server.facts.restored.map { (server.name, $0) } }
    guard restored.count == servers.count, let first = restored.first else { return .unseen }
    guard case .restorePoint(let name) = first.1.stop, restored.allSatisfy({ $0.1.stop == first.1.stop }) else {
        return .different(
            restored.map { server, facts in
                switch facts.stop {
                case .restorePoint(let name): "\(server) stopped at restore point \"\(name)\""
                case .elsewhere(let reason): "\(server) stopped elsewhere: \(reason)"
                case .never: "\(server) was not restored to a point, or not promoted since"
                }
            })
    }
    let markers = restored.map { $0.1.marker(named: name) }
    if let index = markers.firstIndex(where: { $0.count != 1 }) {
        let why =
            markers[index].isEmpty
            ? "\(restored[index].0) has no marker of it: it was not made by pharos restore-point"
            : "\(restored[index].0) has \(markers[index].count) markers of that name"
        return .unproven(name: name, why: why)
    }
    guard let marker = markers.first?.first, markers.allSatisfy({ $0.first?.id == marker.id }) else {
        return .unproven(name: name, why: "the nodes have different markers of that name: they are different points")
    }
    if let later = restored.first(where: { $0.1.markers.contains { $0.made > marker.made } }) {
        return .unproven(
            name: name,
            why: "\(later.0) has a marker of a later restore point: it has been written to since it was restored")
    }
    if let busy = restored.first(where: { ($0.1.written ?? 0) > writtenLimit }) {
        return .unproven(
            name: name,
            why:
                "\(busy.0) has written \((busy.1.written ?? 0) >> 20) MiB of log since it was promoted: clients may have been there, and the others may have been restored at another time"
        )
    }
    switch records[marker.id] {
    case .complete?: return .proven(marker)
    case .incomplete?:
        return .unproven(
            name: name,
            why:
                "its record (\(marker.id)) says that it is not complete: commits may have gone on while it was being made. Never restore to it"
        )
    case nil:
        return .unproven(
            name: name,
            why:
                "no record of it (\(marker.id)) was found, which says whether it came to its end: give it with --record FILE, as pharos restore-point --json and pharos restore-points --json print it"
        )
    }
}

extension ClusterFacts {
    /// Whether the servers of all groups were restored to one point; nil where the coordinator was not reached.
    public var restorePoint: RestorePointProof? {
        self.coordinator.map { restorePointProof(lookedAt(self, $0), self.restorePointRecords) }
    }
}

/// What the walk through a restored cluster says of its restore point.
func checkRestorePoint(_ servers: [LookedAt], _ facts: ClusterFacts) -> [Finding] {
    guard facts.isAfterRestore else { return [] }
    switch restorePointProof(servers, facts.restorePointRecords) {
    case .proven, .unseen: return []  // Unseen is told for each server.
    case .different(let places):
        return [
            Finding(
                .restorePointsDiffer, .critical, "the nodes are not at one point: \(places.joined(separator: "; "))",
                .init(
                    "Restore the nodes that are off, to the restore point of the others. A node that was restored to a time or to the end of its archive is at no point that the others share.",
                    refusal: "only a restore brings them to one point"))
        ]
    case .unproven(let name, let why):
        return [
            Finding(
                .restorePointUnproven, .critical,
                "all nodes stopped at restore points named \"\(name)\", but that does not show that they are at one point: \(why)",
                .init(
                    "If it was made with citus_create_restore_point, before Citus 14.0 it is one point only if nobody wrote through a worker while it was made: only you can know. Make restore points with pharos restore-point.",
                    refusal: "it cannot be proven afterwards"))
        ]
    }
}

/// Why no restore point can be made of all groups now; nil where one can.
public func whyNoRestorePoint(_ facts: ClusterFacts) -> String? {
    let obstacles: Set<Finding.Code> = [
        .coordinatorUnreachable, .etcdUnreadable, .rowUnreachable, .rowUnverified, .rowInRecovery, .extensionMissing,
        .rowNotLeader, .groupWithoutPrimary, .twoPrimaries, .localGroupWrong, .inactive, .noMetadata, .groupVanished,
        .secondCoordinator,
    ]
    return verify(facts).first { obstacles.contains($0.code) && $0.severity > .note }.map {
        "not every group can be reached where its row says: \($0.code.rawValue): \($0.evidence) (pharos verify)"
    }
}
