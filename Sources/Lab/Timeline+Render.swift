// SPDX-License-Identifier: Apache-2.0

extension Timeline {
    /// The events from `start` on, one a line with milliseconds relative to it, and then the numbers that matter.
    public func render(since start: Int64, until end: Int64) -> String {
        let events = self.events.filter { $0.at >= start && $0.at <= end && $0.kind != .stalled }
        let lines = events.map { "\(Self.milliseconds($0.at - start))  \(Self.sentence($0))" }
        return (lines + [""] + self.summary(since: start, until: end)).joined(separator: "\n") + "\n"
    }

    /// The numbers that matter since `start`, one a line.
    public func summary(since start: Int64, until end: Int64) -> [String] {
        var lines: [String] = []
        for group in Set(self.events.map { $0.group ?? 0 }).sorted() {
            let changes = self.leaderChanges(group: group, since: start).filter { $0.at <= end }
            guard let last = changes.last(where: { $0.node != nil }), let node = last.node else { continue }
            lines.append("leader key named \(node) after \(Self.plain(last.at - start)) ms")
            if let writable = self.firstWritable(node, since: start) {
                lines.append("\(node) accepted writes after \(Self.plain(writable.at - start)) ms")
            }
            if let row = self.firstRow(group: group, naming: node, since: start) {
                lines.append("pg_dist_node named \(node) after \(Self.plain(row - start)) ms")
            }
        }
        let held = self.holdings().filter { $0.from <= end && $0.until ?? .max >= start }.map(\.address)
        for address in Set(held + self.gaps(since: start).map(\.address)).sorted() {
            if let moved = self.firstAppearance(of: address, since: start), let node = moved.node {
                lines.append("\(address) came to \(node) after \(Self.plain(moved.at - start)) ms")
            }
            for gap in self.gaps(of: address, since: start) {
                let length = gap.milliseconds.map { "for \(Self.tenths($0)) ms" } ?? "from then on"
                lines.append("a client could not write through \(address) \(length) (\(gap.reason))")
            }
            let overlap = Self.tenths(self.overlap(of: address, since: start, until: end))
            lines.append("two nodes held \(address) for \(overlap) ms")
        }
        let stall = self.longestStall(since: start)
        if stall > 0 { lines.append("the observer's own longest stall was \(stall) ms") }
        return lines
    }

    private static func sentence(_ event: LabEvent) -> String {
        let node = event.node ?? "?"
        let address = event.address ?? "?"
        switch event.kind {
        case .addressAppeared: return "\(node) has \(address)"
        case .addressDisappeared: return "\(node) no longer has \(address)"
        case .announced: return "\(node) tells the network that it has \(address)"
        case .leader:
            let key = event.group.map { "the leader key of group \($0)" } ?? "Patroni's leader key"
            return event.node.map { "\(key) names \($0)" } ?? "\(key) is gone"
        case .row: return "pg_dist_node names \(node) as the primary of group \(event.group ?? 0)"
        case .writable: return "\(node)'s PostgreSQL accepts writes"
        case .readOnly: return "\(node)'s PostgreSQL is in recovery"
        case .silent: return "\(node)'s PostgreSQL does not answer"
        case .writesFailing: return "the client's writes through \(address) fail: \(event.text ?? "")"
        case .writesWorking: return "the client's writes through \(address) work"
        case .mark: return "== \(event.text ?? "")"
        case .stalled: return "(the observer stalled for \(event.milliseconds ?? 0) ms)"
        case .overrun: return "(the observer lost messages of the kernel and read everything anew)"
        }
    }

    /// Microseconds as milliseconds with one decimal.
    private static func plain(_ microseconds: Int64) -> String { self.tenths(Double(microseconds) / 1000) }

    /// The same, right-aligned.
    private static func milliseconds(_ microseconds: Int64) -> String {
        let text = self.plain(microseconds)
        return String(repeating: " ", count: max(0, 9 - text.count)) + text
    }

    private static func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
