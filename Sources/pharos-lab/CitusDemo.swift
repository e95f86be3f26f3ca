// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab

/// The part of the demo with Citus: leader changes of a worker, while 50 sessions write through the coordinator.
struct CitusDemo {
    private let install: String

    init(_ install: String) { self.install = install }

    @EventLoop
    func play() async throws(LabError) {
        var options = LabOptions()
        options.installTree = self.install
        options.citus = LabCitus(.scopes)
        options.citus?.settings = ["mode: own"]
        print("\nCitus: a coordinator and a worker, two nodes each, and two databases.")
        let lab = try await Lab.up(options) { print("  \($0)") }
        let coordinator = try await lab.awaitHealth(timeout: .seconds(120))
        try await lab.prepareCitus()
        print("It is up, with \(lab.citusDescription). \(coordinator) is the coordinator.")
        print("50 sessions write through it.")
        try await self.scene(lab, "4. A planned switchover of the worker", for: .seconds(8)) {
            leader async throws(LabError) in
            _ = try await lab.switchover(group: 1)
        }
        try await lab.awaitHealth()
        try await self.scene(lab, "5. The worker's node loses its power", for: .seconds(32)) {
            leader async throws(LabError) in
            try await lab.giveEtcdLeadership(to: "n5")
            try await lab.kill(leader)
        }
        let dead = try await DemoScene.deadNode(lab)
        try await lab.start(dead)
        try await lab.awaitHealth()
    }

    /// Does it, waits until pg_dist_node of every database names the next leader, and prints the timeline.
    @EventLoop
    private func scene(
        _ lab: Lab, _ title: String, for span: Duration, _ act: @EventLoop (String) async throws(LabError) -> Void
    ) async throws(LabError) {
        print("\n\(title)")
        guard let leader = try await lab.leader(group: 1) else { throw LabError(.state, "the worker has no leader") }
        let writers = try lab.startWriters(50, for: span)
        do throws(WaitError) { try await EventLoop.sleep(for: .seconds(2)) } catch {
            throw LabError(.state, "interrupted")
        }
        let start = Lab.now
        try await act(leader)
        try await lab.waitFor("pg_dist_node of every database to name the next leader", timeout: .seconds(90)) {
            guard let now = try await lab.leader(group: 1), now != leader else { return false }
            for database in LabCitus.databases where try await lab.rows(database: database)[1] != now { return false }
            return true
        }
        let end = Lab.now
        let report = try await writers.value.get()
        print(try lab.timeline().render(since: start, until: end), terminator: "")
        print(
            "\(report.sessions) sessions: \(report.writes) writes, \(report.errorCount) errors, none wrote for \(Int(report.gap)) ms"
        )
        for (message, count) in report.errors.sorted(by: { $0.value > $1.value }) {
            print("  \(count) times: \(message)")
        }
    }
}
