// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// What a scene on the Citus cluster of the lab needs.
extension Scene {
    /// As ``play(_:_:isOverlapExpected:_:)``, on a Citus cluster whose rows are true, with these lines in every daemon's
    /// section `citus`.
    static func playCitus(
        _ name: String, _ layout: LabCitus.Layout, _ settings: [String] = [], workers: Int = 1,
        _ act: @EventLoop (Scene) async throws -> Void
    ) async throws {
        try await self.play("\(name) (\(layout.rawValue) \(settings.joined(separator: ", ")))") { options in
            options.citus = LabCitus(layout, workers: workers)
        } _: { scene in
            print(scene.lab.citusDescription)
            try await scene.lab.configureCitus(settings)
            try await scene.lab.awaitHealth()
            try await scene.awaitRows()
            try await act(scene)
            print("played with \(scene.lab.hasRealCitus ? "Citus" : "the stand-in for Citus")")
        }
    }

    /// The leader of the worker's group.
    func worker() async throws -> String { try #require(try await self.lab.leader(group: 1)) }

    /// The other node of a group.
    func other(than node: String) throws -> String {
        let group = try #require(self.lab.options.groups.first { $0.nodes.contains(node) })
        return try #require(group.nodes.first { $0 != node })
    }

    /// Waits until a group is led by another node than `leader`; answers it.
    func awaitLeader(of group: Int, otherThan leader: String, _ timeout: Duration = .seconds(60)) async throws
        -> String
    {
        var now = leader
        try await self.wait("group \(group) to be led by another than \(leader)", timeout) {
            now = try await self.lab.leader(group: group) ?? leader
            return now != leader
        }
        return now
    }

    /// Waits until the rows of every database (or of these) name the leaders; `lost`: a group that is down for good.
    func awaitRows(
        _ databases: [String] = LabCitus.databases, lost: Int? = nil, _ timeout: Duration = .seconds(60)
    ) async throws {
        try await self.wait("pg_dist_node of \(databases) to name the leaders", timeout) {
            let leaders = try await self.lab.leaders()
            let known = Set(self.lab.options.groups.map(\.number)).subtracting([lost].compactMap(\.self))
            guard let coordinator = leaders[0], known == Set(leaders.keys) else { return false }
            for database in databases {
                do throws(LabError) {
                    let rows = try await self.lab.rows(database: database, on: coordinator)
                    guard rows.filter({ $0.key != lost }) == leaders else { return false }
                } catch {
                    // It is starting, or stopping.
                    return false
                }
            }
            return true
        }
    }

    /// How many records of this text each of the coordinator's daemons has written since the scene began, in all.
    func recordCount(_ text: String) async throws -> Int {
        var count = 0
        for node in self.lab.options.groups[0].nodes {
            count += try await self.records(node).count { $0.message.contains(text) }
        }
        return count
    }

    /// Sessions that write through the coordinator for `span` while `act` is done; answers what they saw.
    func withWriters(
        _ sessions: Int, for span: Duration, _ act: @EventLoop () async throws -> Void
    ) async throws -> Writers.Report {
        let writers = try self.lab.startWriters(sessions, for: span, program: Self.variable("PHAROS_LAB_PROGRAM"))
        // Not from their first connections on.
        try await self.pause(.seconds(1))
        try await act()
        let report = try await writers.value.get()
        print("\(report.sessions) writers: \(report.writes) writes, gap \(report.gap) ms, errors \(report.errors)")
        return report
    }

    /// Does what takes the leadership of a group from its leader, and waits for the next.
    func change(_ change: LeaderChange, of group: Int = 1) async throws -> (old: String, new: String) {
        let old = try #require(try await self.lab.leader(group: group))
        switch change {
        case .switchover: try await self.lab.switchover(group: group)
        case .powerOff:
            try await self.lab.giveEtcdLeadership(to: "n5")
            try await self.lab.kill(old)
        }
        return (old, try await self.awaitLeader(of: group, otherThan: old))
    }

    enum LeaderChange: String, CaseIterable, CustomStringConvertible {
        case switchover, powerOff
        var description: String { self.rawValue }
    }
}
