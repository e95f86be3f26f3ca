// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// How many are asked at once.
struct CitusGateTests {
    private static let groups = 1...(CitusCore.askedLimit + 8)
    /// All of them need their rows moved as soon as they have leaders.
    private static let rows =
        CitusScript.rows
        + Self.groups.dropFirst(2).map { group in
            NodeRow(id: group + 1, group: group, endpoint: NodeEndpoint("old\(group)", 5432), role: .primary)
        }

    private static let places: KnownPlaces = {
        var places = KnownPlaces()
        for row in Self.rows { places.learn(row.endpoint, of: row.group) }
        return places
    }()

    @Test func `leaders are asked a few at a time, and each has its turn`() {
        var script = CitusScript.settled(rows: Self.rows, places: Self.places)
        var underWay: Set<NodeEndpoint> = []
        var turns: [NodeEndpoint: Int] = [:]
        func begin(_ actions: [CitusAction]) {
            for case .askWritable(let endpoint) in actions {
                #expect(underWay.insert(endpoint).inserted)
                turns[endpoint, default: 0] += 1
            }
            #expect(underWay.count <= CitusCore.askedLimit)
        }
        for group in Self.groups {
            let member = GroupMember(endpoint: NodeEndpoint("new\(group)", 5432), isRunning: true, isPrimary: false)
            begin(script.changed(group, .member("new\(group)", member)))
            begin(script.leads(group, "new\(group)"))
        }
        #expect(underWay.count == CitusCore.askedLimit)
        // None accepts writes yet: they are asked again and again, and none waits for ever.
        for _ in 0..<400 {
            guard let next = underWay.min(by: { (turns[$0] ?? 0, $0.host) < (turns[$1] ?? 0, $1.host) }) else { break }
            underWay.remove(next)
            begin(script.on(.writable(next, .standby, askedAt: script.now)))
            begin(script.on(nil, after: .milliseconds(5)))
        }
        #expect(turns.count == Self.groups.count && (turns.values.min() ?? 0) >= 5, "\(turns)")
    }

    @Test func `those that never answer keep nobody else waiting for longer than their limit`() {
        var script = CitusScript.settled(rows: Self.rows, places: Self.places)
        var asked: Set<NodeEndpoint> = []
        func note(_ actions: [CitusAction]) {
            for case .askWritable(let endpoint) in actions { asked.insert(endpoint) }
        }
        for group in Self.groups {
            let member = GroupMember(endpoint: NodeEndpoint("new\(group)", 5432), isRunning: true, isPrimary: false)
            note(script.changed(group, .member("new\(group)", member)))
            note(script.leads(group, "new\(group)"))
        }
        #expect(asked.count == CitusCore.askedLimit)
        note(script.pass(AnswerLimits.writable + .seconds(1)))
        #expect(asked.count == Self.groups.count)
    }
}
