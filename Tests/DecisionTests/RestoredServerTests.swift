// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Whether servers are shown to be at one restore point.
struct RestoredServerTests {
    private static func server(
        _ group: Int, _ reasons: [String], markers: [(id: String, name: String)] = [], written: Int64? = nil
    ) -> LookedAt {
        var facts = NodeFacts(isInRecovery: false, localGroup: group)
        facts.restored = RestoredServer(
            ends: reasons.enumerated().map { .init(timeline: $0.offset + 1, lsn: "0/3000000", reason: $0.element) },
            markers: markers.enumerated().map {
                .init(id: $0.element.id, name: $0.element.name, made: $0.element.name == "later" ? 2 : 1)
            }, written: written)
        return LookedAt(group: group, endpoint: NodeEndpoint("10.0.\(group).1", 5432), facts: facts)
    }
    private static let records: [String: RestorePointRecord] = ["a1": .complete]
    private static let at = "at restore point \"hourly\""

    @Test func `one point is proven by where each recovery ended and by one marker`() {
        let marker = [(id: "a1", name: "hourly")]
        let servers = (0...2).map { Self.server($0, ["no recovery target specified", Self.at], markers: marker) }
        #expect(restorePointProof(servers, Self.records) == .proven(.init(id: "a1", name: "hourly", made: 1)))
    }

    /// Stop and marker are there also where a lock was lost while the point was being made.
    @Test func `nothing is proven without a record that the point came to its end`() {
        let servers = (0...2).map { Self.server($0, [Self.at], markers: [(id: "a1", name: "hourly")]) }
        for records in [[:], ["a1": RestorePointRecord.incomplete], ["b2": .complete]] {
            guard case .unproven("hourly", _) = restorePointProof(servers, records) else {
                Issue.record("\(records) proves something")
                continue
            }
        }
    }

    @Test func `a cluster that has been written to since proves nothing`() {
        let marker = [(id: "a1", name: "hourly")]
        for busy in [
            Self.server(1, [Self.at], markers: marker + [(id: "c3", name: "later")]),
            Self.server(1, [Self.at], markers: marker, written: 2 << 30),
        ] {
            guard case .unproven = restorePointProof([Self.server(0, [Self.at], markers: marker), busy], Self.records)
            else {
                Issue.record("\(busy) proves something")
                continue
            }
        }
    }

    @Test func `a server that stopped elsewhere, later, or nowhere is told`() {
        let marker = [(id: "a1", name: "hourly")]
        for reasons in [
            [], ["no recovery target specified"], ["before 2026-11-30 02:50:00+00\n"],
            [Self.at, "no recovery target specified"],
            ["at restore point \"other\""], ["after LSN 0/3000000"],
        ] {
            let servers = [Self.server(0, [Self.at], markers: marker), Self.server(1, reasons, markers: marker)]
            guard case .different(let places) = restorePointProof(servers, Self.records) else {
                Issue.record("\(reasons) is taken for the same point")
                continue
            }
            #expect(places.count == 2 && places[0].contains("hourly"))
        }
    }

    @Test func `the same name is not the same point`() {
        let one = Self.server(0, [Self.at], markers: [(id: "a1", name: "hourly")])
        for markers in [[], [(id: "b2", name: "hourly")], [(id: "a1", name: "hourly"), (id: "b2", name: "hourly")]] {
            guard
                case .unproven("hourly", _) = restorePointProof(
                    [one, Self.server(1, [Self.at], markers: markers)], Self.records)
            else {
                Issue.record("\(markers) proves something")
                continue
            }
        }
        var unseen = NodeFacts(isInRecovery: false, localGroup: 1)
        unseen.unseen[.restorePoint] = "no right"
        #expect(restorePointProof([one, LookedAt(group: 1, endpoint: nil, facts: unseen)], Self.records) == .unseen)
    }
}
