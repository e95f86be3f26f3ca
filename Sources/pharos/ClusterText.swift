// SPDX-License-Identifier: Apache-2.0
import Journal
import LenientJSON

/// The whole cluster as people read it: what needs somebody, worst first, with what to do; then all groups in one table.
struct ClusterText {
    static let unknown: Int32 = 3

    private let cluster: JSON

    init(_ cluster: JSON) { self.cluster = cluster }

    private var groups: [JSON] { self.cluster["groups"]?.array ?? [] }
    private var problems: [JSON] { self.cluster["problems"]?.array ?? [] }
    /// A daemon that has not read the groups yet knows nothing of them.
    private var isKnown: Bool { self.cluster["read_seconds_ago"]?.int64 != nil }

    private func count(_ severity: String) -> Int { self.problems.count { $0["severity"]?.string == severity } }

    var exitStatus: Int32 {
        if !self.isKnown { return Self.unknown }
        return self.count("critical") > 0 ? 2 : self.count("warning") > 0 ? 1 : 0
    }

    var text: String {
        guard self.isKnown else { return "the daemon here has not read the groups in etcd yet: pharos status\n" }
        let age = self.cluster["read_seconds_ago"]?.int64 ?? 0
        let read = self.cluster["is_current"]?.bool == true ? "etcd is watched, read \(age) s ago" : "read \(age) s ago"
        var lines = [
            "\(self.cluster["scope"]?.string ?? "?"), as the daemon of \(self.cluster["seen_by"]?.string ?? "?") knows it (\(read))"
        ]
        for problem in self.problems {
            let mark = problem["severity"]?.string == "critical" ? "!" : "-"
            lines.append("\(mark) \(problem["text"]?.string ?? "?")")
            lines.append("    \(problem["advice"]?.string ?? "")")
        }
        lines += self.readiness
        lines += self.table
        // Names and reasons came over the network: none may steer the terminal.
        return lines.map { LogRecord.escaped($0) + "\n" }.joined()
    }

    /// One line for each group; those of which a failure would not be survived come first.
    private var readiness: [String] {
        let texts = self.groups.compactMap { ReadinessText(group: $0["group"]?.int64, $0["readiness"]) }
        return texts.filter { !$0.isInOrder }.map { "! \($0.text)" }
            + texts.filter(\.isInOrder).map { "  \($0.text)" }
    }

    private var table: [String] {
        var rows = [["GROUP", "MEMBER", "ROLE", "STATE", "LAG", "PHAROS", "ADDRESSES"]]
        for group in self.groups {
            let addresses = group["addresses"]?.array ?? []
            for member in group["members"]?.array ?? [] {
                let name = member["member"]?.string ?? "?"
                let held = addresses.filter { $0["holder"]?.string == name }.compactMap { $0["address"]?.string }
                rows.append([
                    "\(group["group"]?.int64 ?? 0)", name, Self.role(member), member["verdict"]?.string ?? "?",
                    Self.lag(member), Self.daemon(member), held.joined(separator: " "),
                ])
            }
        }
        return Self.aligned(rows)
    }

    private static func role(_ member: JSON) -> String {
        let role = member["role"]?.string ?? "?"
        return member["is_synchronous"]?.bool == true ? "sync \(role)" : role
    }

    private static func lag(_ member: JSON) -> String {
        guard member["role"]?.string == "standby", let lag = member["lag_bytes"]?.int64 else { return "" }
        return lag < 1 << 20 ? "\(lag / 1024) KiB" : lag < 1 << 30 ? "\(lag >> 20) MiB" : "\(lag >> 30) GiB"
    }

    private static func daemon(_ member: JSON) -> String {
        member["has_daemon"]?.bool == true ? member["version"]?.string ?? "yes" : "none"
    }

    /// Columns as wide as their widest.
    static func aligned(_ rows: [[String]]) -> [String] {
        var widths: [Int] = []
        for row in rows {
            for (index, cell) in row.enumerated() {
                if index < widths.count {
                    widths[index] = max(widths[index], cell.count)
                } else {
                    widths.append(cell.count)
                }
            }
        }
        return rows.map { row in
            var line = ""
            for (index, cell) in row.enumerated() {
                line += cell
                let isLast = row[(index + 1)...].allSatisfy(\.isEmpty)
                if isLast { break }
                line += String(repeating: " ", count: widths[index] - cell.count + 2)
            }
            return line
        }
    }

    /// One line for a monitoring system, with figures.
    var check: String {
        guard self.isKnown else { return "PHAROS UNKNOWN - the daemon has not read the groups yet" }
        let members = self.groups.flatMap { $0["members"]?.array ?? [] }
        let addresses = self.groups.flatMap { $0["addresses"]?.array ?? [] }
        let held = addresses.count { $0["holder"]?.string != nil }
        let (critical, warnings) = (self.count("critical"), self.count("warning"))
        let word = critical > 0 ? "CRITICAL" : warnings > 0 ? "WARNING" : "OK"
        let all = "\(self.groups.count) groups, \(members.count) members, \(held) of \(addresses.count) addresses held"
        let what = self.problems.first?["text"]?.string
        let figures =
            "critical=\(critical) warning=\(warnings) groups=\(self.groups.count) members=\(members.count) addresses=\(addresses.count) held=\(held)"
        // A bar divides the text from the figures.
        let text = LogRecord.escaped(what ?? all).replacing("|", with: "/")
        return
            "PHAROS \(word) - \(text)\(self.problems.count > 1 ? " (and \(self.problems.count - 1) more)" : "") | \(figures)"
    }
}

/// Who reaches whom, as the daemons publish it.
struct CrosscheckText {
    private let cluster: JSON

    init(_ cluster: JSON) { self.cluster = cluster }

    private var members: [(group: Int64, member: JSON)] {
        (self.cluster["groups"]?.array ?? []).flatMap { group in
            (group["members"]?.array ?? []).map { (group: group["group"]?.int64 ?? 0, member: $0) }
        }
    }

    private struct Observer: Hashable, Comparable {
        let group: Int64
        let name: String

        static func < (a: Observer, b: Observer) -> Bool { (a.group, a.name) < (b.group, b.name) }
    }

    private static func opinions(_ member: JSON) -> [Observer: String] {
        var cells: [Observer: String] = [:]
        for opinion in member["opinions"]?.array ?? [] {
            let observer = Observer(group: opinion["of_group"]?.int64 ?? 0, name: opinion["of"]?.string ?? "?")
            let (patroni, postgres) = (opinion["patroni"]?.string ?? "?", opinion["postgres"]?.string ?? "?")
            cells[observer] = Self.cell(patroni, postgres)
        }
        return cells
    }

    private static let reached = "reached"
    private static let itself = "itself"

    private static func cell(_ patroni: String, _ postgres: String) -> String {
        switch (patroni, postgres) {
        case ("healthy", "healthy"): self.reached
        case ("unknown", "unknown"): "?"
        case (_, "healthy"): "Patroni: \(patroni)"
        case ("healthy", _): "PostgreSQL: \(postgres)"
        default: patroni == postgres ? "both: \(patroni)" : "\(patroni), \(postgres)"
        }
    }

    var exitStatus: Int32 {
        guard self.cluster["read_seconds_ago"]?.int64 != nil else { return ClusterText.unknown }
        let isReached = self.members.allSatisfy { group, member in
            let itself = Observer(group: group, name: member["member"]?.string ?? "?")
            return Self.opinions(member).allSatisfy {
                $0.value == Self.reached || ($0.key == itself && $0.value == "?")
            }
        }
        return isReached ? 0 : 1
    }

    var text: String {
        guard self.cluster["read_seconds_ago"]?.int64 != nil else {
            return "the daemon here has not read the groups in etcd yet: pharos status\n"
        }
        let members = self.members
        let observers = Set(members.flatMap { Self.opinions($0.member).keys }).sorted()
        guard !observers.isEmpty else { return "no daemon publishes what it holds of others\n" }
        var rows = [["MEMBER"] + observers.map { "by \($0.name)/\($0.group)" }]
        for (group, member) in members {
            let name = member["member"]?.string ?? "?"
            let cells = Self.opinions(member)
            rows.append(
                ["\(name)/\(group)"]
                    + observers.map { observer in
                        let isItself = observer == Observer(group: group, name: name)
                        let cell = cells[observer] ?? "-"
                        return isItself && (cell == "?" || cell == "-") ? Self.itself : cell
                    })
        }
        let lines =
            ClusterText.aligned(rows)
            + ["reached: Patroni and PostgreSQL there answer; -: does not ask there, or is cut off; ?: not known (yet)"]
        return lines.map { LogRecord.escaped($0) + "\n" }.joined()
    }
}
