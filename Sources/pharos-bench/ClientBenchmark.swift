// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import NetworkBed

/// A client's view of real leader changes, in the lab: for how long it could not write through an address, and how much
/// of that came after the new primary accepted writes.
@EventLoop
struct ClientBenchmark {
    /// A staged tree (`make stage`) that is put on every node.
    let install: String
    let switchovers: Int
    let powerOffs: Int
    let restarts: Int

    init(install: String, switchovers: Int, powerOffs: Int, restarts: Int) {
        self.install = install
        self.switchovers = switchovers
        self.powerOffs = powerOffs
        self.restarts = restarts
    }

    func run() async throws(BedError) -> ClientResult {
        do throws(LabError) {
            var options = LabOptions()
            options.installTree = self.install
            let lab = try await Lab.up(options, program: Files.ownFolder() + "/pharos-lab") { complain($0) }
            do throws(LabError) {
                let result = try await self.measure(lab)
                try await Lab.down()
                return result
            } catch {
                try await Lab.down()
                throw error
            }
        } catch {
            throw BedError(error.message)
        }
    }

    private func measure(_ lab: Lab) async throws(LabError) -> ClientResult {
        let began = Lab.now
        var result = ClientResult()
        for number in 1...max(1, self.switchovers) {
            complain("switchover \(number) of \(self.switchovers)")
            result.switchovers += try await self.changeLeader(lab) { _ async throws(LabError) in
                try await lab.switchover()
            }
        }
        for number in 1...max(1, self.powerOffs) {
            complain("power-off \(number) of \(self.powerOffs)")
            var dead = ""
            result.powerOffs += try await self.changeLeader(lab) { leader async throws(LabError) in
                dead = leader
                try await lab.kill(leader)
            }
            try await lab.start(dead)
        }
        for number in 1...max(1, self.restarts) {
            complain("restart of the daemon \(number) of \(self.restarts)")
            result.restarts += try await self.restart(lab)
        }
        let timeline = try lab.timeline()
        result.overlap = timeline.overlap(since: began, until: Lab.now)
        result.longestStall = timeline.longestStall(since: began)
        return result
    }

    /// For how many milliseconds no node has each address while the leader's daemon is restarted.
    private func restart(_ lab: Lab) async throws(LabError) -> [Double] {
        let leader = try await lab.awaitHealth()
        let start = Lab.now
        try await lab.run(leader, ["systemctl", "restart", "pharos"])
        try await lab.awaitHealth()
        let timeline = try lab.timeline()
        return lab.options.plainAddresses.map { timeline.absence(of: $0, since: start, until: Lab.now) }
    }

    /// One leader change from a healthy beginning, as each address's client saw it.
    private func changeLeader(
        _ lab: Lab, by act: @EventLoop (String) async throws(LabError) -> Void
    ) async throws(LabError) -> [LeaderMove] {
        let leader = try await lab.awaitHealth()
        // The clients write again only a moment before this; what they do next must not depend on it.
        do throws(WaitError) { try await EventLoop.sleep(for: .seconds(2)) } catch {
            throw LabError(.state, "interrupted")
        }
        let start = try await lab.changeLeader(leader) { () async throws(LabError) in try await act(leader) }
        return LeaderMove.all(in: try lab.timeline(), since: start, addresses: lab.options.plainAddresses)
    }
}

/// One address at one leader change; milliseconds.
struct LeaderMove: Sendable {
    let address: String
    /// From the last write that worked to the first that worked again.
    let gap: Double
    /// From the new primary's acceptance of local writes to the address in its kernel.
    let appearance: Double
    /// From the new primary's acceptance of local writes to the first write through the address.
    let added: Double

    var isIPv6: Bool { self.address.contains(":") }

    static func all(in timeline: Timeline, since start: Int64, addresses: [String]) -> [LeaderMove] {
        addresses.compactMap { address in
            guard let appeared = timeline.firstAppearance(of: address, since: start), let node = appeared.node,
                let writable = timeline.firstWritable(node, since: start),
                let gap = timeline.gaps(of: address, since: start).last, let first = gap.firstSuccess,
                let length = gap.milliseconds
            else { return nil }
            return LeaderMove(
                address: address,
                gap: length,
                appearance: milliseconds(from: writable.at, to: appeared.at),
                added: milliseconds(from: writable.at, to: first)
            )
        }
    }
}

struct ClientResult: Sendable {
    var switchovers: [LeaderMove] = []
    var powerOffs: [LeaderMove] = []
    /// Milliseconds without an address while the daemon is restarted.
    var restarts: [Double] = []
    /// Milliseconds during which two nodes held one address, in all.
    var overlap = 0.0
    /// How late the observer's instants may be, in milliseconds.
    var longestStall = 0

    /// What one kind of leader change did to one kind of address.
    private struct Row {
        let name: String
        let key: String
        let moves: [LeaderMove]

        var measures: [(name: String, key: String, values: [Double])] {
            [
                ("no write for", "gap", self.moves.map(\.gap)),
                ("address in the kernel", "address", self.moves.map(\.appearance)),
                ("first write through it", "first_write", self.moves.map(\.added)),
            ]
        }
    }

    private var rows: [Row] {
        [
            Row(name: "switchover, IPv4", key: "switchover_ipv4", moves: self.switchovers.filter { !$0.isIPv6 }),
            Row(name: "switchover, IPv6", key: "switchover_ipv6", moves: self.switchovers.filter(\.isIPv6)),
            Row(name: "power-off, IPv4", key: "power_off_ipv4", moves: self.powerOffs.filter { !$0.isIPv6 }),
            Row(name: "power-off, IPv6", key: "power_off_ipv6", moves: self.powerOffs.filter(\.isIPv6)),
        ]
    }

    var text: String {
        var cells: [[String]] = []
        var facts: [[String]] = []
        for row in self.rows {
            for measure in row.measures {
                guard let statistics = Statistics(measure.values) else { continue }
                cells.append(["\(row.name): \(measure.name)"] + statistics.cells + ["\(statistics.count)"])
            }
            guard let added = Statistics(row.moves.map(\.added))?.median else { continue }
            let fact = "\(row.name): first write through it, median, ms"
            facts.append([fact, decimal(added), "at most 50", verdict(added <= 50)])
        }
        if let restart = Statistics(self.restarts) {
            cells.append(["restart of the daemon: no address for"] + restart.cells + ["\(restart.count)"])
            let fact = "restart of the daemon: no address for, median, ms"
            facts.append([fact, decimal(restart.median), "at most 100", verdict(restart.median <= 100)])
        }
        facts.append(["two nodes held one address, ms in all", decimal(self.overlap), "0", verdict(self.overlap == 0)])
        facts.append(["the observer's longest stall, ms", "\(self.longestStall)", "", ""])
        let measures = Table(["In ms", "median", "p99", "min", "max", "runs"], cells)
        return measures.text + "\n\n" + Table(["", "measured", "goal", ""], facts).text
    }

    var json: String {
        var members: [String] = []
        for row in self.rows {
            for measure in row.measures {
                guard let statistics = Statistics(measure.values) else { continue }
                members.append("\"\(row.key)_\(measure.key)_ms\": \(statistics.json)")
            }
        }
        if let restart = Statistics(self.restarts) { members.append("\"restart_absence_ms\": \(restart.json)") }
        members.append("\"overlap_ms\": \(decimal(self.overlap))")
        members.append("\"longest_stall_ms\": \(self.longestStall)")
        return "{\n    " + members.joined(separator: ",\n    ") + "\n  }"
    }
}
