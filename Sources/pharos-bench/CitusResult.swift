// SPDX-License-Identifier: Apache-2.0

/// What was measured of Citus, in milliseconds.
struct CitusResult {
    /// One change of each kind, and what one needs at least.
    struct Round {
        var one: Double
        var two: Double
        var besideDown: Double
        var floor: Double
    }

    /// Whether it was Citus itself, or the stand-in.
    var citus = BenchPostgres.citus
    var rounds: [Round] = []
    var reading: [Double] = []
    var verification: [Double] = []
    var deepVerification: [Double] = []
    /// The longest wait of any commit while a restore point was made.
    var restorePointWaits: [Double] = []
    /// Between the last write before a switchover and the first one after it, and what of that came after the new primary accepted writes.
    var switchoverPauses: [Double] = []
    var switchoverAdditions: [Double] = []
    var switchoverErrors = 0
    /// Within ``rest`` seconds.
    var transactionsAtRest: Int?

    /// Seconds.
    static let rest = 60

    mutating func add(_ round: Round) { self.rounds.append(round) }

    private struct Measure {
        let name: String
        let key: String
        let values: [Double]
        /// Of the median.
        var limit: Double?
    }

    private var measures: [Measure] {
        [
            Measure(
                name: "leader key put to update committed", key: "update", values: self.rounds.map(\.one), limit: 25),
            Measure(name: "the floor of its round trips", key: "update_floor", values: self.rounds.map(\.floor)),
            Measure(name: "two groups at once", key: "update_of_two", values: self.rounds.map(\.two)),
            Measure(
                name: "one group while another is down for good", key: "update_beside_down",
                values: self.rounds.map(\.besideDown)),
            Measure(name: "looking at 1,000 rows", key: "read_1000_rows", values: self.reading, limit: 100),
            Measure(name: "pharos verify, 8 workers", key: "verify_8_workers", values: self.verification, limit: 1000),
            Measure(
                name: "pharos verify --deep, 10,000 shards", key: "verify_deep_10000_shards",
                values: self.deepVerification, limit: 10_000),
            Measure(
                name: "pharos restore-point, 8 workers: longest wait of a commit", key: "restore_point_wait",
                values: self.restorePointWaits, limit: 500),
            Measure(name: "planned switchover: no write for", key: "switchover_pause", values: self.switchoverPauses),
            Measure(
                name: "of that after the new primary accepts writes", key: "switchover_addition",
                values: self.switchoverAdditions, limit: 100),
        ]
    }

    /// Medians beside that of one group's change.
    private var ratios: [(name: String, key: String, value: Double, limit: Double?)] {
        func ratio(_ values: [Double], _ others: [Double]) -> Double? {
            guard let value = Statistics(values), let other = Statistics(others), other.median > 0 else { return nil }
            return value.median / other.median
        }
        let one = self.rounds.map(\.one)
        return [
            ("one group / the floor", "update_to_floor", ratio(one, self.rounds.map(\.floor)), nil),
            ("two groups at once / one", "two_to_one", ratio(self.rounds.map(\.two), one), 1.3),
            ("one while another is down / one", "beside_down_to_one", ratio(self.rounds.map(\.besideDown), one), 1.1),
        ].compactMap { (name: String, key: String, value: Double?, limit: Double?) in
            value.map { (name, key, $0, limit) }
        }
    }

    var text: String {
        let rows = self.measures.compactMap { measure -> [String]? in
            guard let statistics = Statistics(measure.values) else { return nil }
            return [measure.name] + statistics.cells + [
                "\(statistics.count)", measure.limit.map { "median at most \(Int($0))" } ?? "",
                measure.limit.map { verdict(statistics.median <= $0) } ?? "",
            ]
        }
        var facts = self.ratios.map { ratio in
            [
                ratio.name, decimal(ratio.value), ratio.limit.map { "at most \(decimal($0))" } ?? "",
                ratio.limit.map { verdict(ratio.value <= $0) } ?? "",
            ]
        }
        if !self.switchoverPauses.isEmpty {
            let name =
                "errors of \(CitusSwitchoverBenchmark.sessions) sessions in \(self.switchoverPauses.count) switchovers"
            facts.append([name, "\(self.switchoverErrors)", "0", verdict(self.switchoverErrors == 0)])
        }
        if let count = self.transactionsAtRest {
            let limit = Self.rest / 10 + 1
            let name = "transactions in \(Self.rest) s while nothing happens"
            facts.append([name, "\(count)", "at most \(limit)", verdict(count <= limit)])
        }
        return [
            Table(["Citus (\(self.citus)), ms", "median", "p99", "min", "max", "runs", "goal", ""], rows).text,
            facts.isEmpty ? nil : Table(["Medians, and counts", "measured", "goal", ""], facts).text,
        ].compactMap(\.self).joined(separator: "\n\n")
    }

    var json: String {
        var members = ["\"is_stand_in\": \(!BenchPostgres.hasCitus)"]
        members += self.measures.map { "\"\($0.key)_ms\": \(Statistics($0.values)?.json ?? "null")" }
        members += self.ratios.map { "\"\($0.key)\": \(decimal($0.value))" }
        members.append("\"switchover_errors\": \(self.switchoverPauses.isEmpty ? "null" : "\(self.switchoverErrors)")")
        members.append("\"transactions_at_rest\": \(self.transactionsAtRest.map(String.init) ?? "null")")
        return "{\n    " + members.joined(separator: ",\n    ") + "\n  }"
    }
}
