// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EtcdValues
public import EventLoop
import Glibc
import HTTPClient
import PostgresClient
public import Settings

/// Makes a restore point of all groups at once.
///
/// The commit records of distributed transactions (`pg_dist_transaction`) are locked on every node, in every database with Citus, before
/// the first point is made, and until the last one is: so each distributed transaction has been committed where it began before
/// that node's point, or is rolled back everywhere. That is what Citus 14.0 does; here it is done on every version. The
/// locks belong to transactions that each server ends by itself after ``holdLimit``; that all of them were still there after the last point
/// was made is looked at, and otherwise the point does not count.
@EventLoop
public final class RestorePointMaker {
    /// Why none was made.
    public struct Failure: Error, CustomStringConvertible, Sendable {
        public let description: String
    }

    /// What is told on the way.
    public typealias Progress = @EventLoop (String) -> Void

    private let settings: Settings
    private let verifier: ClusterVerifier
    private let progress: Progress
    private var sessions: [Session] = []

    /// For each lock; other sessions' commits wait behind a lock that is waited for.
    private static let lockTimeout: Duration = .seconds(1)
    private static let holdLimit: Duration = .seconds(10)
    private static let pause: Duration = .seconds(2)

    /// One database on one node.
    private struct Session {
        let group: Int
        let member: String
        /// The first database of a node: the point is made once per server.
        let isFirst: Bool
        let name: String
        let catalog: CitusCatalog
    }

    /// Nil where the configuration follows nothing of Citus.
    public init?(_ settings: Settings, progress: @escaping Progress) {
        guard let verifier = ClusterVerifier(settings) else { return nil }
        self.settings = settings
        self.verifier = verifier
        self.progress = progress
    }

    /// Makes the point, and puts it on record in etcd. One that was made and cannot be put on record is told, and answered.
    public func make(_ name: String, attempts: Int) async throws(Failure) -> RestorePoint {
        let all = await self.verifier.gather(isDeep: false, isAfterRestore: false)
        for facts in all {
            if let problem = whyNoRestorePoint(facts) {
                throw Failure(description: "\(facts.database): \(problem)")
            }
        }
        let leaders = self.verifier.revisions
        let id = Self.randomID()
        var point = RestorePoint(
            id: id, name: name, made: WallClock.milliseconds, by: self.settings.member,
            citusVersion: all.first?.coordinator?.facts.citusVersion, blocked: 0, attempts: 0, isComplete: false,
            places: [])
        do throws(Failure) {
            try await self.connect(all, name)
            // Before anything is made: if this ends anywhere from here on, the record says that the point is not complete.
            try await self.begin(point)
            try await self.each(self.sessions, "write the marker") { catalog throws(CitusError) in
                try await catalog.writeRestoreMarker(id: id, name: name)
            }
            try await self.block(attempts, &point)
        } catch {
            await self.giveUp(point)
            throw error
        }
        let held = Instant.now
        let made = await self.makePoints(name)
        let stillHeld = await self.unblock()
        point.blocked += Int64((Instant.now - held) / .milliseconds(1))
        point.places = made.places
        let problems = made.problems + stillHeld + (await self.changes(since: leaders))
        point.isComplete = problems.isEmpty
        for session in self.sessions where session.isFirst {
            // So that the archive has it soon.
            do throws(CitusError) { try await session.catalog.switchWAL() } catch {
                self.progress("\(session.name): the log could not be switched to the next file: \(error.reason)")
            }
        }
        await self.record(point)
        guard problems.isEmpty else {
            throw Failure(
                description:
                    "restore point \(name) is not complete, and must never be restored to: \(problems.joined(separator: "; ")). Make another one, under another name"
            )
        }
        return point
    }

    /// A leader that was lost meanwhile may have taken its point with it.
    private func changes(since leaders: [Int: Int64]) async -> [String] {
        let (_, _, problem) = await self.verifier.leaders()
        if let problem { return ["whether the same members lead still could not be looked at: etcd: \(problem)"] }
        return self.sessions.filter(\.isFirst).compactMap { session in
            self.verifier.revisions[session.group] == leaders[session.group]
                ? nil : "the leader key of group \(session.group) was written meanwhile: another member may have led"
        }
    }

    private func begin(_ point: RestorePoint) async throws(Failure) {
        do throws(RestorePointList.Failure) { try await RestorePointList(self.settings).write(point) } catch {
            throw Failure(description: "it could not be put on record in etcd, and was not begun: \(error.description)")
        }
    }

    // MARK: - Steps

    private func connect(_ all: [ClusterFacts], _ name: String) async throws(Failure) {
        for (index, facts) in all.enumerated() {
            var places: [(Int, String, NodeEndpoint?)] = [(0, facts.leaders[0]?.name ?? "the coordinator", nil)]
            for row in facts.coordinator?.rows ?? [] where row.role == .primary && row.group != 0 && !row.isClone {
                places.append((row.group, facts.leaders[row.group]?.name ?? "\(row.endpoint)", row.endpoint))
            }
            for (group, member, endpoint) in places {
                let what = "\(member), database \(facts.database)"
                do {
                    let catalog = CitusCatalog(try await self.verifier.connect(endpoint, facts))
                    let missing = try await catalog.missingRestoreFunctions()
                    guard missing.isEmpty else {
                        throw Failure(
                            description:
                                "\(what): there is no \(missing[0]) for this role. On that node, as a superuser: pharos grant-sql --restore | psql -d \(facts.database)"
                        )
                    }
                    guard try await !catalog.hasRestoreMarker(named: name) else {
                        throw Failure(
                            description:
                                "\(what): there is a restore point \(name) already, or one that was begun, and a restore stops at the first one of a name: choose another name"
                        )
                    }
                    self.sessions.append(
                        Session(group: group, member: member, isFirst: index == 0, name: what, catalog: catalog))
                } catch let failure as Failure {
                    throw failure
                } catch {
                    throw Failure(description: "\(what): \(ClusterVerifier.reason(error))")
                }
            }
        }
    }

    /// The coordinator first: what changes tables' definitions begins there, and would wait on a worker for what waits for it here.
    private func block(_ attempts: Int, _ point: inout RestorePoint) async throws(Failure) {
        var last = ""
        for attempt in 1...max(1, attempts) {
            point.attempts = attempt
            let begin = Instant.now
            do throws(Failure) {
                for sessions in [self.sessions.filter { $0.group == 0 }, self.sessions.filter { $0.group != 0 }] {
                    try await self.each(sessions, "block commits") { catalog throws(CitusError) in
                        try await catalog.blockCommits(lockTimeout: Self.lockTimeout, limit: Self.holdLimit)
                    }
                }
                point.blocked += Int64((Instant.now - begin) / .milliseconds(1))
                return
            } catch {
                last = error.description
                _ = await self.unblock()
                point.blocked += Int64((Instant.now - begin) / .milliseconds(1))
                guard attempt < attempts, self.sessions.allSatisfy(\.catalog.isUsable) else { break }
                self.progress("attempt \(attempt) of \(attempts): \(last); commits go on, the next one follows in 2 s")
                do throws(WaitError) { try await EventLoop.sleep(for: Self.pause) } catch { break }
            }
        }
        throw Failure(description: "no restore point was made: \(last)")
    }

    private func makePoints(_ name: String) async -> (places: [RestorePoint.Place], problems: [String]) {
        let tasks = self.sessions.filter(\.isFirst).map { session in
            EventLoop.task { () -> (Session, Result<RestorePlace, CitusError>) in
                do throws(CitusError) {
                    return (session, .success(try await session.catalog.makeRestorePoint(name)))
                } catch {
                    return (session, .failure(error))
                }
            }
        }
        var places: [RestorePoint.Place] = []
        var problems: [String] = []
        for task in tasks {
            switch await task.value {
            case (let session, .success(let place)):
                places.append(
                    RestorePoint.Place(
                        group: session.group, member: session.member, system: place.system, lsn: place.lsn,
                        segment: place.segment))
            case (let session, .failure(let error)): problems.append("\(session.name): \(error.reason)")
            }
        }
        return (places.sorted { $0.group < $1.group }, problems)
    }

    /// Lets commits go on everywhere; answers where they may have gone on before.
    private func unblock() async -> [String] {
        let tasks = self.sessions.map { session in
            EventLoop.task { () -> String? in
                do throws(CitusError) { try await session.catalog.unblockCommits() } catch {
                    return "\(session.name): its commits were not held until the end: \(error.reason)"
                }
                return nil
            }
        }
        var problems: [String] = []
        for task in tasks { if let problem = await task.value { problems.append(problem) } }
        return problems
    }

    /// On all of them side by side; the first problem is told.
    private func each(
        _ sessions: [Session], _ what: String,
        _ step: @escaping @EventLoop (CitusCatalog) async throws(CitusError) -> Void
    ) async throws(Failure) {
        let tasks = sessions.map { session in
            EventLoop.task { () -> String? in
                do throws(CitusError) { try await step(session.catalog) } catch {
                    return "\(session.name): could not \(what): \(error.reason)"
                }
                return nil
            }
        }
        var problem: String?
        for task in tasks {
            let found = await task.value
            problem = problem ?? found
        }
        if let problem { throw Failure(description: problem) }
    }

    /// A marker of a point that was not made says nothing; without it the name is free again.
    private func giveUp(_ point: RestorePoint) async {
        for session in self.sessions {
            do throws(CitusError) { try await session.catalog.deleteRestoreMarker(id: point.id) } catch {
                self.progress(
                    "\(session.name): the marker \(point.id) of a point that was not made stays: \(error.reason)")
            }
        }
        do throws(RestorePointList.Failure) { try await RestorePointList(self.settings).remove(point) } catch {
            self.progress("the record of a point that was not made stays in etcd: \(error.description)")
        }
    }

    private func record(_ point: RestorePoint) async {
        do throws(RestorePointList.Failure) { try await RestorePointList(self.settings).write(point) } catch {
            self.progress(
                "the point could not be put on record in etcd: \(error.description). Keep this line: \(point.json)")
        }
    }

    private static func randomID() -> String {
        var bytes = [UInt8](repeating: 0, count: 8)
        // Of /dev/urandom; fails for sizes above 256 bytes only (getentropy(3)).
        precondition(getentropy(&bytes, bytes.count) == 0, "no random bytes")
        return bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
    }
}
