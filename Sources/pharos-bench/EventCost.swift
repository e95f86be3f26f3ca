// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop

/// What the core takes for one answered probe, by how many members it watches, three to a group.
enum EventCost {
    static let sizes = [100, 1000, 4000]
    private static let rounds = 7
    private static let events = 20_000

    /// The median over the rounds, in nanoseconds; the sizes take turns.
    static func measure() -> [Int: Double] {
        var cores = Dictionary(uniqueKeysWithValues: self.sizes.map { ($0, self.core($0)) })
        var samples: [Int: [Double]] = [:]
        for round in 0...self.rounds {
            for size in self.sizes {
                guard var core = cores[size] else { continue }
                cores[size] = nil
                let began = ContinuousClock.now
                var actions: [Action] = []
                for event in 0..<self.events {
                    let id = self.id((event &* 7919) % size)
                    let findings = ProbeFindings(
                        patroni: .answered, postgres: .answered, isPrimary: false, position: 1000)
                    core.handle(
                        .detector(.probed(id, findings, askedAt: self.start)), at: self.start + .seconds(1),
                        into: &actions)
                    actions.removeAll(keepingCapacity: true)
                }
                // Once unmeasured.
                let passed = ContinuousClock.now - began
                if round > 0 { samples[size, default: []].append(passed / .nanoseconds(1) / Double(self.events)) }
                cores[size] = core
            }
        }
        return samples.compactMapValues { Statistics($0)?.median }
    }

    private static let start = Instant(sinceBoot: .seconds(100))
    private static func id(_ index: Int) -> MemberID { MemberID(index / 3, "m\(index)") }

    private static func core(_ size: Int) -> Core {
        let settings = DetectorSettings(watchesAllGroups: true, seed: 1)
        var core = Core(
            CoreSettings(member: "m0", node: "boot", addresses: [], detector: settings), at: self.start)
        let facts = (0..<size).map { index in
            GroupChange(
                index / 3,
                .member(
                    "m\(index)",
                    GroupMember(
                        endpoint: NodeEndpoint("10.0.0.1", index + 1), isRunning: true, isPrimary: false,
                        api: "http://10.0.0.1")))
        }
        var actions: [Action] = []
        core.handle(
            .groups(.read(GroupsSnapshot(clusterID: 7, revision: 1, facts: facts), sentAt: self.start)),
            at: self.start, into: &actions)
        return core
    }
}

/// What was measured of the failure detector at scale.
struct DetectorResult {
    var cpuPercent = 0.0
    var residentKiB = 0
    /// Of the core alone, by the number of members.
    var eventNanoseconds: [Int: Double] = [:]
    /// Of the daemon's socket, in milliseconds, by path.
    var answers: [String: [Double]] = [:]
    static let paths = ["/status", "/cluster"]

    private var growth: Double? {
        guard let few = self.eventNanoseconds[100], let many = self.eventNanoseconds[1000] else { return nil }
        return many / few
    }

    var text: String {
        let mebibytes = Double(self.residentKiB) / 1024
        var rows = [
            [
                "CPU, % of one processor", decimal(self.cpuPercent), "at most 5", verdict(self.cpuPercent <= 5),
            ],
            ["Resident memory (VmRSS), MiB", decimal(mebibytes), "at most 64", verdict(mebibytes <= 64)],
        ]
        for size in EventCost.sizes {
            guard let cost = self.eventNanoseconds[size] else { continue }
            rows.append(["One answered probe in the core, \(size) members, ns", decimal(cost), "", ""])
        }
        if let growth = self.growth {
            rows.append(["the same, 1,000 / 100 members", decimal(growth), "at most 1.5", verdict(growth <= 1.5)])
        }
        for path in Self.paths {
            guard let answers = Statistics(self.answers[path] ?? []) else { continue }
            rows.append([
                "The socket's answer to \(path), median, ms", decimal(answers.median), "at most 20",
                verdict(answers.median <= 20),
            ])
        }
        return Table(
            [
                "\(DetectorBenchmark.members) members in \(DetectorBenchmark.groups) groups, 30 s x 5", "measured",
                "goal",
                "",
            ], rows
        ).text
    }

    var json: String {
        let costs = EventCost.sizes.map { "\"\($0)\": \(decimal(self.eventNanoseconds[$0] ?? 0))" }
        let answers = Self.paths.compactMap { path in
            Statistics(self.answers[path] ?? []).map { "\"\(path)\": \($0.json)" }
        }
        return "{\"members\": \(DetectorBenchmark.members), \"cpu_percent\": \(decimal(self.cpuPercent)), "
            + "\"answer_ms\": {\(answers.joined(separator: ", "))}, "
            + "\"resident_kib\": \(self.residentKiB), \"probe_ns_by_members\": {\(costs.joined(separator: ", "))}}"
    }
}
