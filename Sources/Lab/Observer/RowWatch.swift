// SPDX-License-Identifier: Apache-2.0
import EventLoop
import PostgresClient

/// Records when the primary rows of pg_dist_node name other nodes than before: in the first of the lab's databases, as
/// that server of the coordinator's group says which accepts writes.
@EventLoop
final class RowWatch {
    private let node: String
    private let recorder: EventRecorder
    /// What this server said last, by group.
    private var last: [Int: String] = [:]
    /// What is recorded: a new coordinator that says the same as the old one is no news.
    private static var recorded: [Int: String] = [:]

    /// Between two questions. An answer's instant is late by up to this.
    private static let period: Duration = .milliseconds(5)

    init(_ node: String, _ recorder: EventRecorder) {
        self.node = node
        self.recorder = recorder
        EventLoop.spawn { await self.run() }
    }

    private func run() async {
        while true {
            await self.ask()
            do throws(WaitError) { try await EventLoop.sleep(for: .milliseconds(100)) } catch { return }
        }
    }

    /// Asks again and again, until there is no answer.
    private func ask() async {
        do {
            guard let leader = try Machine(node: self.node).leader() else { return }
            let folder = "/proc/\(leader)/root/run/postgresql"
            guard Host.exists("\(folder)/.s.PGSQL.5432") else { return }
            let connection = try await PostgresConnection(
                "host=\(folder) user=writer dbname=\(LabCitus.databases[0]) application_name=rows",
                timeout: .seconds(1))
            while true {
                let rows = try await connection.query(
                    """
                    select groupid, nodename from pg_dist_node
                    where noderole = 'primary' and not pg_is_in_recovery() order by groupid
                    """, timeout: .seconds(1))
                for row in rows { self.note(row) }
                // A standby is looked at at leisure.
                try await EventLoop.sleep(for: rows.isEmpty ? .milliseconds(50) : Self.period)
            }
        } catch {
            // Off, starting, stopping, frozen, or without the database yet: all the same here.
        }
    }

    private func note(_ row: [String?]) {
        guard row.count == 2, let group = row[0].flatMap({ Int($0) }), let host = row[1] else { return }
        guard self.last[group] != host else { return }
        self.last[group] = host
        guard Self.recorded[group] != host else { return }
        Self.recorded[group] = host
        let node = "n\(host.split(separator: ".").last ?? "?")"
        self.recorder.record(LabEvent(at: BootClock.microseconds, .row, node: node, group: group))
    }
}
