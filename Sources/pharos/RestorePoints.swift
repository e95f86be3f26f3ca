// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Decision
import EventLoop
import Journal
import Settings
import Shell

struct MakeRestorePoint: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore-point", abstract: "Make a restore point of all groups of a Citus cluster at once.",
        discussion: """
            Commits of distributed transactions wait while it is made, for some milliseconds. All nodes can be restored to it with \
            recovery_target_name (docs/restore.md). Needs what `pharos grant-sql --restore` gives, on every node.
            Exit status: 0 made, 1 not made, 75 made but not archived everywhere within --wait, 78 no Citus is configured.
            """)
    @OptionGroup var file: ConfigurationOption
    @Argument(help: "Its name: letters, digits and . _ : + -, such as nightly-2026-11-30. Each name is used once.")
    var name: String
    @Option(help: "How often to try to get the locks, each for 1 s.") var attempts = 10
    @Option(help: "For how many seconds to wait until every group's archive has it.") var wait = 0
    @Flag(help: "Print the record as JSON.") var json = false

    func validate() throws {
        if let problem = RestorePoint.problem(ofName: self.name) { throw ValidationError(problem) }
        guard (1...100).contains(self.attempts) else { throw ValidationError("--attempts expects 1 to 100") }
        guard (0...86_400).contains(self.wait) else { throw ValidationError("--wait expects 0 to 86400 seconds") }
    }

    func run() throws {
        let (name, attempts, wait, isJSON) = (self.name, self.attempts, self.wait, self.json)
        let settings = try loadCitusSettings(self.file.path)
        let code = runOnLoop {
            let maker = RestorePointMaker(settings) { complain("pharos: " + LogRecord.escaped($0)) }
            guard let maker else { return 78 }
            do throws(RestorePointMaker.Failure) {
                var point = try await maker.make(name, attempts: attempts)
                if !isJSON { print(RestorePointText.made(point)) }
                let isArchived = wait == 0 ? true : await Self.archived(&point, settings, within: wait)
                if isJSON { print(point.json) }
                return isArchived ? 0 : 75
            } catch {
                complain("pharos: " + LogRecord.escaped(error.description))
                return 1
            }
        }
        guard code == .success else { throw code }
    }

    /// Whether every group's archive has the point within so many seconds.
    @EventLoop
    private static func archived(_ point: inout RestorePoint, _ settings: Settings, within seconds: Int) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        var problems: [String] = []
        while true {
            do throws(RestorePointList.Failure) {
                let found = try await RestorePointList(settings).refreshed()
                problems = found.problems
                if let newer = found.points.last(where: { $0.id == point.id }) { point = newer }
            } catch { problems = ["etcd: \(error.description)"] }
            if point.isArchived { return true }
            guard ContinuousClock.now < deadline else { break }
            do throws(WaitError) { try await EventLoop.sleep(for: .seconds(1)) } catch { break }
        }
        let missing = point.places.filter { $0.archived == nil }.map { "\($0.member) (\($0.segment))" }
        complain("pharos: not archived after \(seconds) s: \(missing.joined(separator: ", "))")
        for problem in problems { complain("pharos: " + LogRecord.escaped(problem)) }
        return false
    }
}

struct ListRestorePoints: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore-points",
        abstract: "List the restore points on record, and whether every group's archive has them.",
        discussion: """
            With a name: what PostgreSQL has to be told on each group's server to be restored to that point (docs/restore.md).
            Exit status: 0, 1 if a leader could not be asked for its archive, or if nobody may restore to the point of that name, 69 if \
            etcd does not answer.
            """)
    @OptionGroup var file: ConfigurationOption
    @Argument(help: "The point to restore to; without it, all are listed.") var name: String?
    @Flag(help: "Print the records as JSON.") var json = false

    func run() throws {
        let (isJSON, name) = (self.json, self.name)
        let settings = try loadCitusSettings(self.file.path)
        let code = runOnLoop {
            do throws(RestorePointList.Failure) {
                var (points, problems) = try await RestorePointList(settings).refreshed()
                if let name {
                    points.removeAll { $0.name != name }
                    // While its cluster is down, nobody can say what is in its archive: that is no reason not to restore.
                    if !isJSON { return Self.settings(of: points, named: name) }
                }
                if isJSON {
                    print("[" + points.map(\.json).joined(separator: ",\n ") + "]")
                } else {
                    for point in points { print(RestorePointText.line(point)) }
                    if points.isEmpty {
                        print(
                            settings.instance.addressed(
                                "no restore point is on record; make one: pharos restore-point NAME"))
                    }
                }
                for problem in problems { complain("pharos: " + LogRecord.escaped(problem)) }
                return problems.isEmpty ? 0 : 1
            } catch {
                complain("pharos: the restore points cannot be read: \(LogRecord.escaped(error.description))")
                return ExitStatus.unavailableNumber
            }
        }
        guard code == .success else { throw code }
    }

    private static func settings(of points: [RestorePoint], named name: String) -> Int32 {
        do throws(RestorePointText.Refusal) {
            print(try RestorePointText.recoverySettings(points, name))
            return 0
        } catch {
            complain("pharos: " + LogRecord.escaped(error.description))
            return 1
        }
    }
}
