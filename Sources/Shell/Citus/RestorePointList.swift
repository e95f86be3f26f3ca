// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EtcdValues
public import EventLoop
import HTTPClient
public import Settings

/// The restore points on record in etcd.
@EventLoop
public struct RestorePointList {
    /// Why they cannot be read or written.
    public struct Failure: Error, CustomStringConvertible, Sendable {
        public let description: String
    }

    private let settings: Settings
    private let folder: String

    /// The newest ones that are kept: of hourly points those of 41 days.
    public nonisolated static let limit = 1000
    private static let page = 200

    public init(_ settings: Settings) {
        self.settings = settings
        self.folder = DetectorKeys(settings).restorePoints
    }

    private func with<Value>(
        _ work: @EventLoop (EtcdClient) async throws(EtcdError) -> Value
    ) async throws(Failure) -> Value {
        let http = HTTPClient()
        defer { http.close() }
        do throws(EtcdError) {
            return try await work(await EtcdClient.ofCommand(self.settings, http))
        } catch {
            throw Failure(description: error.description)
        }
    }

    /// The oldest first. What cannot be read is left out.
    public func read() async throws(Failure) -> [RestorePoint] {
        try await self.with { client throws(EtcdError) in try await self.pairs(client).compactMap(\.point) }
    }

    /// Adds a point, or what has come to be known of one; drops the oldest beyond ``limit``.
    public func write(_ point: RestorePoint) async throws(Failure) {
        let key = self.folder + DetectorKeys.name(point.made)
        try await self.with { client throws(EtcdError) in
            _ = try await client.commit(
                Transaction(compares: [], success: [.put(key: key, value: Array(point.json.utf8), lease: 0)]))
            let keys = try await self.pairs(client).map(\.key)
            guard keys.count > Self.limit else { return }
            let stale = KeyRange(
                start: Array(self.folder.utf8), end: Array(keys[keys.count - Self.limit].utf8))
            _ = try await client.commit(Transaction(compares: [], success: [.delete(stale)]))
        }
    }

    /// Forgets a point that was not made.
    func remove(_ point: RestorePoint) async throws(Failure) {
        let key = self.folder + DetectorKeys.name(point.made)
        try await self.with { client throws(EtcdError) in
            _ = try await client.commit(Transaction(compares: [], success: [.delete(.key(key))]))
        }
    }

    private func pairs(_ client: EtcdClient) async throws(EtcdError) -> [(key: String, point: RestorePoint?)] {
        var pairs: [(key: String, point: RestorePoint?)] = []
        var range = KeyRange.prefix(self.folder)
        while pairs.count < 2 * Self.limit {
            let page = try await client.range(range, limit: Self.page).keyValues
            pairs += page.map { (key: $0.keyText, point: RestorePoint(value: $0.value)) }
            guard page.count == Self.page, let last = page.last else { break }
            range = KeyRange(start: Array(last.keyText.utf8) + [0], end: range.end)
        }
        return pairs
    }

    /// The points, with what the leaders' archivers say now; what has changed is put on record. Answers too why some could not be asked.
    public func refreshed() async throws(Failure) -> (points: [RestorePoint], problems: [String]) {
        var points = try await self.read()
        guard points.contains(where: { $0.isComplete && !$0.isArchived }), let verifier = ClusterVerifier(self.settings)
        else { return (points, []) }
        let (archived, problems) = await verifier.lastArchived()
        for index in points.indices where points[index].isComplete {
            let before = points[index]
            for (group, server) in archived {
                points[index].note(
                    lastArchived: server.file, of: group, server.member, system: server.system,
                    at: WallClock.milliseconds)
            }
            if points[index] != before { try await self.write(points[index]) }
        }
        return (points, problems)
    }
}

extension ClusterVerifier {
    func restorePoints() -> RestorePointList { RestorePointList(self.settings) }

    /// By group, who leads it, what its server has archived last, and its system identifier; and who could not be asked.
    func lastArchived() async -> (archived: [Int: (member: String, file: String, system: String)], problems: [String]) {
        var facts = ClusterFacts(database: self.database, settings: self.citusSettings)
        let (leaders, _, problem) = await self.leaders()
        facts.leaders = leaders
        var archived: [Int: (member: String, file: String, system: String)] = [:]
        var problems = problem.map { ["etcd: \($0)"] } ?? []
        for (group, leader) in leaders.sorted(by: { $0.key < $1.key }) {
            do {
                let catalog = CitusCatalog(try await self.connect(group == 0 ? nil : leader.endpoint, facts))
                let identity = try await catalog.identity()
                let (file, isFailing) = try await catalog.lastArchived()
                if let file, let system = identity?.system { archived[group] = (leader.name, file, system) }
                if isFailing { problems.append("\(leader.name): archiving fails (pg_stat_archiver, and its log)") }
                if file == nil { problems.append("\(leader.name): nothing has been archived (archive_mode?)") }
            } catch {
                problems.append("\(leader.name): \(Self.reason(error))")
            }
        }
        return (archived, problems)
    }
}
