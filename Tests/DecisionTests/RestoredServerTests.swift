// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Whether servers are shown to be at one restore point.
struct RestoredServerTests {
    private static func server(
        _ group: Int, _ reasons: [String], markers: [(id: String, name: String)] = []
    ) -> LookedAt {
        var facts = NodeFacts(isInRecovery: false, localGroup: group)
        facts.restored = RestoredServer(
            ends: reasons.enumerated().map { .init(timeline: $0.offset + 1, lsn: "0/3000000", reason: $0.element) },
            markers: markers.map { .init(id: $0.id, name: $0.name, made: 1) })
        return LookedAt(group: group, endpoint: NodeEndpoint("10.0.\(group).1", 5432), facts: facts)
    }
    private static let at = "at restore point \"hourly\""

    @Test func `one point is proven by where each recovery ended and by one marker`() {
        let marker = [(id: "a1", name: "hourly")]
        let servers = (0...2).map { Self.server($0, ["no recovery target specified", Self.at], markers: marker) }
        #expect(restorePointProof(servers) == .proven(.init(id: "a1", name: "hourly", made: 1)))
    }

    @Test func `a server that stopped elsewhere, later, or nowhere is told`() {
        let marker = [(id: "a1", name: "hourly")]
        for reasons in [
            [], ["no recovery target specified"], ["before 2026-11-30 02:50:00+00\n"],
            [Self.at, "no recovery target specified"],
            ["at restore point \"other\""], ["after LSN 0/3000000"],
        ] {
            let servers = [Self.server(0, [Self.at], markers: marker), Self.server(1, reasons, markers: marker)]
            guard case .different(let places) = restorePointProof(servers) else {
                Issue.record("\(reasons) is taken for the same point")
                continue
            }
            #expect(places.count == 2 && places[0].contains("hourly"))
        }
    }

    @Test func `the same name is not the same point`() {
        let one = Self.server(0, [Self.at], markers: [(id: "a1", name: "hourly")])
        for markers in [[], [(id: "b2", name: "hourly")], [(id: "a1", name: "hourly"), (id: "b2", name: "hourly")]] {
            guard case .unproven("hourly", _) = restorePointProof([one, Self.server(1, [Self.at], markers: markers)])
            else {
                Issue.record("\(markers) proves something")
                continue
            }
        }
        var unseen = NodeFacts(isInRecovery: false, localGroup: 1)
        unseen.unseen[.restorePoint] = "no right"
        #expect(restorePointProof([one, LookedAt(group: 1, endpoint: nil, facts: unseen)]) == .unseen)
    }
}
