// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// Which single failures would be survived, and what the audit finds, as the daemon judges it.
extension PharosMetrics {
    /// Nothing where the daemon has not judged it, or does not see the present: absence is what is not known.
    var readiness: [MetricFamily] {
        guard let cluster = self.cluster else { return [] }
        let isCurrent = cluster["is_current"]?.bool == true
        let counts = isCurrent ? cluster["audit"]?["counts"] : nil
        let grades = ["red", "amber", "note", "accepted"].flatMap { grade in
            (counts?[grade]?.int64).map { [MetricFamily.Sample([("grade", grade)], Double($0))] } ?? []
        }
        var (survivable, accepted): ([MetricFamily.Sample], [MetricFamily.Sample]) = ([], [])
        for group in isCurrent ? cluster["groups"]?.array ?? [] : [] {
            let number = "\(group["group"]?.int64 ?? 0)"
            for (failure, lines) in Self.byFailure(group["readiness"]?.array ?? []) {
                // Of several that one kind of failure may befall, such as standbys, the worst counts.
                let lost = lines.filter { $0["outcome"]?.string == "not_survived" }
                let labels = [(name: "group", value: number), (name: "failure", value: failure)]
                guard !lost.isEmpty || lines.allSatisfy({ $0["outcome"]?.string == "survived" }) else { continue }
                survivable.append(.init(labels, lost.isEmpty ? 1 : 0))
                guard !lost.isEmpty else { continue }
                accepted.append(.init(labels, lost.allSatisfy { $0["accepted_until"]?.string != nil } ? 1 : 0))
            }
        }
        return [
            MetricFamily(
                "pharos_failover_survivable", .gauge,
                "Whether a single failure would be survived now; no sample where that is not known", survivable),
            MetricFamily(
                "pharos_failover_accepted", .gauge, "Whether somebody has accepted that it would not be", accepted),
            MetricFamily(
                "pharos_audit_findings", .gauge,
                "What the rules of pharos audit find that the daemon can judge, by grade", grades),
        ]
    }

    /// In the order of the lines.
    private static func byFailure(_ lines: [JSON]) -> [(failure: String, lines: [JSON])] {
        var all: [(failure: String, lines: [JSON])] = []
        for line in lines {
            guard let failure = line["failure"]?.string else { continue }
            if let index = all.firstIndex(where: { $0.failure == failure }) {
                all[index].lines.append(line)
            } else {
                all.append((failure, [line]))
            }
        }
        return all
    }
}
