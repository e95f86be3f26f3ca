// SPDX-License-Identifier: Apache-2.0
import Decision
import Glibc
import Journal
import Shell

/// The ledger as people read it. Instants count from 1970.
struct HistoryText {
    private let records: [FailoverRecord]

    init(_ records: [FailoverRecord]) { self.records = records }

    /// Names came over the network: none may steer the terminal.
    private static func printed(_ lines: [String]) -> String { lines.map { LogRecord.escaped($0) + "\n" }.joined() }

    /// A line for each, newest last.
    var list: String {
        guard !self.records.isEmpty else { return "no change of leader is on record\n" }
        let hasGroups = Set(self.records.map(\.group)).count > 1
        let lines = self.records.map { record in
            let at = record.phases[.keyGained].map(Self.date) ?? "?"
            let span: String =
                switch FailoverSpan.allCases.first(where: { $0.name == "in all" })?.length(in: record) {
                case .took(let length)?: Self.text(length)
                case .notFinished?: Self.isWitnessed(record) ? "not seen" : "not finished"
                case .unknown?, nil: "?"
                }
            let group = hasGroups ? "group \(record.group)  " : ""
            return
                "\(record.revision)  \(at)  \(group)\(record.from ?? "nobody") -> \(record.to)  \(span)  \(Self.text(record.cause))"
        }
        return Self.printed(lines)
    }

    /// Whether another daemon wrote it than the new leader's, which sees what comes last.
    private static func isWitnessed(_ record: FailoverRecord) -> Bool { record.by.map { $0 != record.to } ?? false }

    /// The whole of one, with bars against the budgets.
    func timeline(_ record: FailoverRecord) -> String {
        var lines = [
            "\(record.revision): group \(record.group), \(record.from ?? "nobody") -> \(record.to), \(Self.text(record.cause))"
        ]
        if let by = record.by { lines.append("  times by the clock of \(by)") }
        let zero = record.phases[.firstFailure] ?? record.phases[.keyLost] ?? record.phases[.keyGained]
        var events = FailoverRecord.Phase.allCases.compactMap { phase in
            let clock = record.clocks[phase].map { "  (by the clock of \($0))" } ?? ""
            return record.phases[phase].map { (at: $0, text: phase.rawValue + clock) }
        }
        events += record.notes.map { (at: $0.at, text: "  \($0.text)") }
        for event in events.sorted(by: { $0.at < $1.at }) {
            let offset = zero.map { Self.offset(event.at - $0) } ?? ""
            lines.append("  \(Self.clock(event.at))  \(offset)  \(event.text)")
        }
        for span in FailoverSpan.allCases {
            let budget = span.budget ?? record.detectionBudget
            let length: Duration
            switch span.length(in: record) {
            case .unknown:
                lines.append("  \(Self.padded(span.name)) not known")
                continue
            case .notFinished(let phases):
                let missing = phases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
                lines.append(
                    "  \(Self.padded(span.name)) "
                        + (Self.isWitnessed(record)
                            ? "not seen: whether \(missing) has come, \(record.to)'s daemon has not said"
                            : "not finished: \(missing) has not come"))
                continue
            case .took(let span): length = span
            }
            let verdict = length <= budget ? "" : "  OVER"
            lines.append(
                "  \(Self.padded(span.name)) \(Self.bar(length / budget)) \(Self.text(length)) of \(Self.text(budget))\(verdict)"
            )
        }
        if let lost = record.lostText { lines.append("  \(Self.padded("lost")) \(lost)") }
        return Self.printed(lines)
    }

    static let width = 30

    /// Full at the budget.
    static func bar(_ share: Double) -> String {
        let filled = min(Self.width, max(0, Int((share * Double(Self.width)).rounded(.up))))
        return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled) + "]"
    }

    private static func padded(_ text: String) -> String {
        text + String(repeating: " ", count: max(0, 10 - text.count))
    }

    static func text(_ duration: Duration) -> String {
        let milliseconds = Int64(duration / .milliseconds(1))
        return milliseconds < 10_000 ? "\(milliseconds) ms" : "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
    }

    private static func offset(_ duration: Duration) -> String {
        let milliseconds = Int64(duration / .milliseconds(1))
        let sign = milliseconds < 0 ? "-" : "+"
        let (seconds, rest) = (abs(milliseconds) / 1000, abs(milliseconds) % 1000)
        let text = "\(sign)\(seconds).\(String(repeating: "0", count: 3 - "\(rest)".count))\(rest) s"
        return String(repeating: " ", count: max(0, 11 - text.count)) + text
    }

    private static func text(_ cause: FailoverRecord.Cause) -> String {
        switch cause {
        case .switchover: "a switchover that was asked for"
        case .grayFailure(let member): "a gray failure, switched over from by the daemon of \(member)"
        case .failure(let verdict): "a failure (\(verdict.rawValue))"
        case .unknown: "the leader key ended, nothing else is known"
        }
    }

    static func date(_ instant: Instant) -> String { Self.formatted(instant, "%Y-%m-%d %H:%M:%S") }
    private static func clock(_ instant: Instant) -> String {
        let milliseconds = Int64(instant.sinceBoot / .milliseconds(1)) % 1000
        let text = "\(milliseconds)"
        return Self.formatted(instant, "%H:%M:%S") + "." + String(repeating: "0", count: 3 - text.count) + text
    }

    /// In the local time zone.
    private static func formatted(_ instant: Instant, _ format: String) -> String {
        var seconds = time_t(instant.sinceBoot.components.seconds)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        let length = strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
