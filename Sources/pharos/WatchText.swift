// SPDX-License-Identifier: Apache-2.0
import Journal
import LenientJSON

/// One frame of `pharos watch`: the cluster, the failover that goes on against its budgets, and the last records of the daemon here.
struct WatchText {
    private let cluster: JSON
    private let status: JSON

    init(cluster: JSON, status: JSON) { (self.cluster, self.status) = (cluster, status) }

    /// The lines that fit into `size`, in characters; nil: all of them, whole.
    func lines(_ size: (columns: Int, rows: Int)?) -> [String] {
        var lines = ClusterText(self.cluster).text.split(separator: "\n").map(String.init)
        lines += self.failover
        let events = (self.status["events"]?.array ?? []).compactMap { event -> String? in
            event["message"]?.string.map { "    " + LogRecord.escaped($0) }
        }
        guard let size else { return lines + (events.isEmpty ? [] : ["last records here:"] + events.suffix(10)) }
        if lines.count > size.rows { lines = Array(lines.prefix(max(0, size.rows - 1))) + ["… (more rows than fit)"] }
        let room = size.rows - lines.count - 1
        if room > 0, !events.isEmpty { lines += ["last records here:"] + events.suffix(room) }
        return lines.map { String($0.prefix(size.columns)) }
    }

    private var failover: [String] {
        let failover = self.cluster["failover"]
        guard let to = failover?["to"]?.string else { return [] }
        var lines = [
            "group \(failover?["group"]?.int64 ?? 0): \(failover?["from"]?.string ?? "nobody") -> \(to), under way:"
        ]
        for span in failover?["spans"]?.array ?? [] {
            let (length, budget) = (span["milliseconds"]?.int64 ?? 0, max(1, span["budget_milliseconds"]?.int64 ?? 1))
            let name = span["span"]?.string ?? "?"
            let state = span["is_over"]?.bool == true ? "took" : "has taken"
            let over = length > budget ? "  OVER" : ""
            lines.append(
                "    \(name)\(String(repeating: " ", count: max(1, 11 - name.count)))\(HistoryText.bar(Double(length) / Double(budget))) \(state) \(HistoryText.text(.milliseconds(length))) of \(HistoryText.text(.milliseconds(budget)))\(over)"
            )
        }
        return lines.map { LogRecord.escaped($0) }
    }

    /// A frame that replaces the one before, from the upper left corner. What needs somebody is marked by its first character; colour
    /// says it once more.
    static func frame(_ lines: [String], isColoured: Bool) -> String {
        let coloured = lines.map { line -> String in
            guard isColoured else { return line }
            if line.hasPrefix("! ") { return "\u{1b}[1;31m\(line)\u{1b}[0m" }
            if line.hasPrefix("- ") { return "\u{1b}[33m\(line)\u{1b}[0m" }
            return line
        }
        return "\u{1b}[H" + coloured.map { $0 + "\u{1b}[K\r\n" }.joined() + "\u{1b}[J"
    }
}
