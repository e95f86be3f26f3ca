// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import NetworkBed

/// What 50 sessions that write through the coordinator see of a worker's switchover in the lab: with Pharos in mode own, and
/// with Patroni's own Citus handler, Pharos only looking on.
@EventLoop
struct CitusClientBenchmark {
    /// A staged tree (`make stage`) that is put on every node.
    let install: String
    let switchovers: Int

    private nonisolated static let sessions = 50
    private nonisolated static let span: Duration = .seconds(10)

    init(install: String, switchovers: Int) {
        self.install = install
        self.switchovers = switchovers
    }

    func run() async throws(BedError) -> CitusClientResult {
        do throws(LabError) {
            return CitusClientResult(
                pharos: try await self.measure(.scopes, "mode: own"),
                patroni: try await self.measure(.mode, "mode: observe"))
        } catch {
            throw BedError(error.message)
        }
    }

    private func measure(_ layout: LabCitus.Layout, _ mode: String) async throws(LabError) -> [Writers.Report] {
        var options = LabOptions()
        options.installTree = self.install
        options.citus = LabCitus(layout)
        options.citus?.settings = [mode]
        let lab = try await Lab.up(options, program: Files.ownFolder() + "/pharos-lab") { complain($0) }
        do throws(LabError) {
            try await lab.awaitHealth(timeout: .seconds(120))
            try await lab.prepareCitus()
            var reports: [Writers.Report] = []
            for number in 1...max(1, self.switchovers) {
                complain("\(layout.rawValue), \(mode): switchover \(number) of \(self.switchovers)")
                reports.append(try await self.switchover(lab))
            }
            try await Lab.down()
            return reports
        } catch {
            try await Lab.down()
            throw error
        }
    }

    private func switchover(_ lab: Lab) async throws(LabError) -> Writers.Report {
        try await lab.awaitHealth()
        let writers = try lab.startWriters(
            Self.sessions, for: Self.span, program: Files.ownFolder() + "/pharos-lab")
        do throws(WaitError) { try await EventLoop.sleep(for: .seconds(3)) } catch {
            throw LabError(.state, "interrupted")
        }
        try await lab.switchover(group: 1)
        return try await writers.value.get()
    }
}

/// A report a switchover.
struct CitusClientResult {
    var pharos: [Writers.Report]
    var patroni: [Writers.Report]

    private var rows: [(name: String, key: String, reports: [Writers.Report])] {
        [
            ("Pharos, mode own", "pharos_own", self.pharos),
            ("Patroni's Citus handler", "patroni_handler", self.patroni),
        ]
    }

    var text: String {
        var cells: [[String]] = []
        for row in self.rows {
            for (name, values) in [
                ("errors", row.reports.map { Double($0.errorCount) }), ("no write for, ms", row.reports.map(\.gap)),
            ] {
                guard let statistics = Statistics(values) else { continue }
                cells.append(["\(row.name): \(name)"] + statistics.cells + ["\(statistics.count)"])
            }
        }
        let table = Table(
            ["A worker's switchover under 50 writers (a stand-in)", "median", "p99", "min", "max", "runs"], cells)
        guard let own = Statistics(self.pharos.map(\.gap)), let other = Statistics(self.patroni.map(\.gap)),
            other.median > 0
        else { return table.text }
        return table.text
            + "\n\nThe median gap is \(decimal(own.median / other.median)) of that with Patroni's handler."
    }

    var json: String {
        let members = self.rows.map { row in
            let errors = Statistics(row.reports.map { Double($0.errorCount) })?.json ?? "null"
            let gap = Statistics(row.reports.map(\.gap))?.json ?? "null"
            return "\"\(row.key)\": {\"errors\": \(errors), \"gap_ms\": \(gap)}"
        }
        return "{\"is_stand_in\": true, \(members.joined(separator: ", "))}"
    }
}
