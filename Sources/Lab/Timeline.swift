// SPDX-License-Identifier: Apache-2.0

/// What happened in a lab, in order, and the numbers that matter: who held an address when, for how long two nodes did,
/// and for how long a client could not write.
///
/// All instants are microseconds since boot (`CLOCK_BOOTTIME`).
public struct Timeline: Sendable {
    /// Events in the order of their instants; those of one instant in the order in which they were recorded.
    public let events: [LabEvent]

    /// A span during which a node's kernel had an address.
    public struct Holding: Sendable, Equatable {
        public let node: String
        public let address: String
        public let from: Int64
        /// The instant it ended; nil while it lasts.
        public let until: Int64?
    }

    /// A span during which a client could not write through an address.
    public struct Gap: Sendable, Equatable {
        public let address: String
        /// The last write that succeeded before.
        public let lastSuccess: Int64
        /// The first write that succeeded after; nil while it lasts.
        public let firstSuccess: Int64?
        /// What the first failed write said.
        public let reason: String
        /// Milliseconds between both successes; nil while it lasts.
        public var milliseconds: Double? { self.firstSuccess.map { Double($0 - self.lastSuccess) / 1000 } }
    }

    /// A change of Patroni's leader key.
    public struct LeaderChange: Sendable, Equatable {
        public let at: Int64
        /// The node it names; nil when the key went away.
        public let node: String?
    }

    /// Events in any order.
    public init(_ events: [LabEvent]) {
        // Stable, so that what one instant holds keeps its order; sorted() promises that since Swift 5, undocumented.
        self.events = events.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(
            \.element
        )
    }

    /// Every span during which a node had `address` (or any watched address), in order of their beginning.
    public func holdings(of address: String? = nil) -> [Holding] {
        struct Place: Hashable {
            var node: String
            var address: String
        }
        var open: [Place: Int64] = [:]
        var holdings: [Holding] = []
        for event in self.events {
            guard let node = event.node, let its = event.address, address == nil || address == its else { continue }
            let place = Place(node: node, address: its)
            if event.kind == .addressAppeared, open[place] == nil { open[place] = event.at }
            if event.kind == .addressDisappeared, let from = open.removeValue(forKey: place) {
                holdings.append(Holding(node: node, address: its, from: from, until: event.at))
            }
        }
        holdings += open.map { Holding(node: $0.key.node, address: $0.key.address, from: $0.value, until: nil) }
        return holdings.sorted { ($0.from, $0.node, $0.address) < ($1.from, $1.node, $1.address) }
    }

    /// The nodes that had `address` at an instant, by name.
    public func holders(of address: String, at instant: Int64) -> [String] {
        self.holdings(of: address).filter { $0.from <= instant && instant < $0.until ?? .max }.map(\.node).sorted()
    }

    /// Milliseconds during which two or more nodes had `address` (or any one of the watched addresses, added up) at
    /// once, from `start` to `end`. Whether there was an overlap at all is exact, because the observer reads all nodes'
    /// events from one queue of the kernel; how long it was is as exact as ``longestStall(since:)`` says. `end` is an instant up to which holdings that still last are counted.
    public func overlap(of address: String? = nil, since start: Int64 = 0, until end: Int64) -> Double {
        let addresses = address.map { [$0] } ?? Set(self.holdings().map(\.address)).sorted()
        return addresses.reduce(0) { $0 + self.overlapMicroseconds(of: $1, start, end) } / 1000
    }

    private func overlapMicroseconds(of address: String, _ start: Int64, _ end: Int64) -> Double {
        var changes: [(at: Int64, by: Int)] = []
        for holding in self.holdings(of: address) {
            let from = max(holding.from, start)
            let until = min(holding.until ?? end, end)
            if from < until { changes += [(from, 1), (until, -1)] }
        }
        // At one instant an end comes before a beginning: a handover is no overlap.
        changes.sort { ($0.at, $0.by) < ($1.at, $1.by) }
        var holders = 0
        var last = start
        var sum: Int64 = 0
        for change in changes {
            if holders > 1 { sum += change.at - last }
            holders += change.by
            last = change.at
        }
        return Double(sum)
    }

    /// Milliseconds from `start` to `end` during which no node had `address`. A `start` of 0 stands for its first
    /// appearance.
    public func absence(of address: String, since start: Int64 = 0, until end: Int64) -> Double {
        let holdings = self.holdings(of: address)
        var covered = max(start, start == 0 ? holdings.first?.from ?? end : start)
        var sum: Int64 = 0
        for holding in holdings {
            sum += max(0, min(holding.from, end) - covered)
            covered = max(covered, holding.until ?? end)
        }
        return Double(sum + max(0, end - covered)) / 1000
    }

    /// The spans since `start` during which a client could not write through `address` (or any).
    public func gaps(of address: String? = nil, since start: Int64 = 0) -> [Gap] {
        var open: [String: Gap] = [:]
        var gaps: [Gap] = []
        for event in self.events {
            guard let its = event.address, address == nil || address == its, let last = event.since else { continue }
            switch event.kind {
            case .writesFailing:
                open[its] = Gap(address: its, lastSuccess: last, firstSuccess: nil, reason: event.text ?? "")
            case .writesWorking:
                let reason = open.removeValue(forKey: its)?.reason ?? "late"
                gaps.append(Gap(address: its, lastSuccess: last, firstSuccess: event.at, reason: reason))
            case .addressAppeared, .addressDisappeared, .announced, .leader, .row, .writable, .readOnly, .silent, .mark,
                .stalled,
                .overrun:
                continue
            }
        }
        return (gaps + open.values).filter { $0.firstSuccess ?? .max >= start }
            .sorted { ($0.lastSuccess, $0.address) < ($1.lastSuccess, $1.address) }
    }

    /// Changes of a group's leader key since `start`.
    public func leaderChanges(group: Int = 0, since start: Int64 = 0) -> [LeaderChange] {
        self.events.filter { $0.kind == .leader && $0.at >= start && $0.group ?? 0 == group }
            .map { LeaderChange(at: $0.at, node: $0.node) }
    }

    /// The first instant since `start` at which the coordinator's pg_dist_node named `node` as a group's primary.
    public func firstRow(group: Int, naming node: String, since start: Int64 = 0) -> Int64? {
        self.events.first { $0.kind == .row && $0.at >= start && $0.group == group && $0.node == node }?.at
    }

    /// The first instant since `start` at which a node's PostgreSQL was seen to accept writes; nil if none was.
    public func firstWritable(_ node: String? = nil, since start: Int64 = 0) -> LabEvent? {
        self.events.first { $0.kind == .writable && $0.at >= start && (node == nil || $0.node == node) }
    }

    /// The first instant since `start` at which a node got `address`; nil if none did.
    public func firstAppearance(of address: String, on node: String? = nil, since start: Int64 = 0) -> LabEvent? {
        self.events.first {
            $0.kind == .addressAppeared && $0.at >= start && $0.address == address && (node == nil || $0.node == node)
        }
    }

    /// The longest stall of the observer since `start` in milliseconds: how late its stamps may be.
    public func longestStall(since start: Int64 = 0) -> Int {
        self.events.filter { $0.kind == .stalled && $0.at >= start }.compactMap(\.milliseconds).max() ?? 0
    }
}
