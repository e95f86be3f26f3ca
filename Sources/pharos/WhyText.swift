// SPDX-License-Identifier: Apache-2.0
import Journal
import LenientJSON

/// What `pharos why` says: for each address the rule that decides, for each member the verdict, the evidence, and what it would
/// take to change it.
struct WhyText {
    private let status: JSON

    init(_ status: JSON) { self.status = status }

    var text: String {
        var lines: [String] = []
        for address in self.status["addresses"]?.array ?? [] {
            lines.append("\(address["address"]?.string ?? "?")  \(address["explanation"]?.string ?? "?")")
            if let port = PortText(address) { lines.append("\(port.mark)   \(port.text)") }
        }
        guard let detector = self.status["detector"] else {
            return Self.printed(lines + ["the failure detector does not run"])
        }
        lines.append(self.profile(detector))
        if detector["is_isolated"]?.bool == true {
            lines.append("! nobody answers this node at present: it concludes nothing about anybody")
        }
        for split in detector["split_brains"]?.array ?? [] {
            let members = (split["members"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
            lines.append("! group \(split["group"]?.int64 ?? 0): several members accept writes: \(members)")
        }
        let etcdMark = detector["is_etcd_well"]?.bool == false ? "!" : " "
        lines.append("\(etcdMark) etcd: \(detector["etcd"]?.string ?? "?")")
        if let pause = detector["reactions_paused"] {
            lines.append(
                "! reactions are paused by \(pause["by"]?.string ?? "?") until \(pause["until"]?.string ?? "?"): \(pause["reason"]?.string ?? "?"). To end that: pharos resume-reactions"
            )
        }
        if let reason = detector["no_switchover_because"]?.string {
            lines.append("no switchover is asked for: \(reason)")
        }
        let targets = detector["targets"]?.array ?? []
        if targets.isEmpty { lines.append("no other member is known") }
        for target in targets { lines += self.lines(target) }
        return Self.printed(lines)
    }

    /// Names and reasons came over the network: none may steer the terminal.
    private static func printed(_ lines: [String]) -> String { lines.map { LogRecord.escaped($0) + "\n" }.joined() }

    private func profile(_ detector: JSON) -> String {
        let profile = detector["profile"]
        let milliseconds = profile?["interval_ms"]?.int64 ?? 0
        let interval = milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
        let health = detector["local_health"]?.int64 ?? 0
        let scale = health == 0 ? "" : "; this node doubts itself: thresholds are \(health + 1) times as high"
        return
            "members are probed every \(interval), \(profile?["threshold"]?.int64 ?? 0) failures count, agreement: \(profile?["agreement"]?.string ?? "?"), at least \(profile?["minimum_sources"]?.int64 ?? 0) sources\(scale)"
    }

    private func lines(_ target: JSON) -> [String] {
        let name = "\(target["member"]?.string ?? "?") (group \(target["group"]?.int64 ?? 0))"
        let role = target["is_leader"]?.bool == true ? ", leader" : ""
        let lag = target["lag_bytes"]?.int64.map { ", \($0) bytes behind" } ?? ""
        let verdict = target["verdict"]?.string ?? "?"
        let mark = DetectorStatusText.isInOrder(target) ? " " : "!"
        var lines = ["\(mark) \(name)\(role)\(lag): \(verdict): \(target["reason"]?.string ?? "")"]
        for aspect in target["aspects"]?.array ?? [] { lines += self.aspect(aspect) }
        return lines
    }

    private func aspect(_ aspect: JSON) -> [String] {
        let name = aspect["aspect"]?.string == "patroni" ? "Patroni" : "PostgreSQL"
        let span = aspect["for_seconds"]?.int64.map { " for \($0) s" } ?? ""
        let count = "\(aspect["accusers"]?.int64 ?? 0) of \(aspect["heard"]?.int64 ?? 0) sources hold it failed"
        let score = "score here \(Self.number(aspect["score"])) of \(Self.number(aspect["threshold"]))"
        var lines = ["    \(name) \(aspect["state"]?.string ?? "?")\(span); \(count); \(score)"]
        if let seconds = aspect["first_failure_seconds_ago"]?.int64 {
            let healthy = aspect["last_healthy_seconds_ago"]?.int64.map { ", last success \($0) s ago" } ?? ""
            lines.append("        first failure \(seconds) s ago\(healthy)")
        }
        for evidence in aspect["evidence"]?.array ?? [] {
            let reason = evidence["reason"]?.string.map { ": \($0)" } ?? ""
            lines.append("        \(evidence["source"]?.string ?? "?"): \(evidence["state"]?.string ?? "?")\(reason)")
        }
        lines.append("        \(aspect["outlook"]?.string ?? "")")
        return lines
    }

    private static func number(_ value: JSON?) -> String {
        if let whole = value?.int64 { return "\(whole)" }
        if case .fraction(let fraction) = value { return "\(fraction)" }
        return "?"
    }
}
