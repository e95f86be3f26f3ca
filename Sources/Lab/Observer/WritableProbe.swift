// SPDX-License-Identifier: Apache-2.0
import EventLoop
import PostgresClient

/// Records when a node's PostgreSQL begins and ceases to accept local writes.
///
/// It asks through the node's own unix socket (reached through the machine's root folder), so that neither the virtual
/// address nor any cut of the network stands in between.
@EventLoop
final class WritableProbe {
    private let node: String
    private let recorder: EventRecorder
    private var last: LabEvent.Kind?

    /// Between two questions. An answer's instant is late by up to this.
    private static let period: Duration = .milliseconds(15)
    /// The same while no node accepts writes: the instant at which one does is what is measured most closely.
    private static let closePeriod: Duration = .milliseconds(3)
    /// The nodes that accept writes.
    private static var writable: Set<String> = []

    init(_ node: String, _ recorder: EventRecorder) {
        self.node = node
        self.recorder = recorder
        EventLoop.spawn { await self.run() }
    }

    private func run() async {
        while true {
            await self.ask()
            self.note(.silent)
            do throws(WaitError) { try await EventLoop.sleep(for: .milliseconds(25)) } catch { return }
        }
    }

    /// Asks again and again, until there is no answer.
    private func ask() async {
        do {
            guard let leader = try Machine(node: self.node).leader() else { return }
            let folder = "/proc/\(leader)/root/run/postgresql"
            guard Host.exists("\(folder)/.s.PGSQL.5432") else { return }
            let connection = try await PostgresConnection(
                "host=\(folder) user=writer dbname=postgres application_name=probe",
                timeout: .seconds(1)
            )
            while true {
                let rows = try await connection.query("SELECT pg_is_in_recovery()", timeout: .seconds(1))
                self.note(rows.first?.first == "f" ? .writable : .readOnly)
                try await EventLoop.sleep(for: Self.writable.isEmpty ? Self.closePeriod : Self.period)
            }
        } catch {
            // Off, starting, stopping or frozen: all the same here.
        }
    }

    private func note(_ kind: LabEvent.Kind) {
        guard kind != self.last else { return }
        // A node that never answered has not fallen silent.
        let isNews = self.last != nil || kind != .silent
        self.last = kind
        if kind == .writable { Self.writable.insert(self.node) } else { Self.writable.remove(self.node) }
        if isNews { self.recorder.record(LabEvent(at: BootClock.microseconds, kind, node: self.node)) }
    }
}
