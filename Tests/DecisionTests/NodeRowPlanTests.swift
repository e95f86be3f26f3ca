// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

struct NodeRowPlanTests {
    static let coordinator = NodeRow(id: 1, group: 0, endpoint: NodeEndpoint("c1", 5432), role: .primary)
    static let worker = NodeRow(id: 2, group: 1, endpoint: NodeEndpoint("w1", 5432), role: .primary)
    static let secondary = NodeRow(id: 5, group: 1, endpoint: NodeEndpoint("w2", 5432), role: .secondary)

    @Test func `a row that names the leader is left alone`() {
        let rows = [Self.coordinator, Self.worker, Self.secondary]
        #expect(NodeRowPlan(group: 1, leader: NodeEndpoint("w1", 5432), rows: rows) == .isTrue)
        #expect(NodeRowPlan(group: 0, leader: NodeEndpoint("c1", 5432), rows: rows) == .isTrue)
    }

    @Test func `an address that no row has is one move; so is another port of the same host`() {
        let rows = [Self.coordinator, Self.worker, Self.secondary]
        for leader in [NodeEndpoint("w3", 5432), NodeEndpoint("w1", 5433)] {
            let plan = NodeRowPlan(group: 1, leader: leader, rows: rows)
            #expect(plan == .moves([NodeRowPlan.Move(id: 2, from: Self.worker.endpoint, endpoint: leader)]))
        }
    }

    @Test func `a registered secondary and the primary swap addresses, and rows keep their roles`() {
        let rows = [Self.coordinator, Self.worker, Self.secondary]
        guard case .moves(let moves) = NodeRowPlan(group: 1, leader: Self.secondary.endpoint, rows: rows) else {
            Issue.record("no moves")
            return
        }
        // At no step do two rows have one address: it is unique.
        var after = rows
        for move in moves {
            #expect(!after.contains { $0.endpoint == move.endpoint })
            for index in after.indices where after[index].id == move.id { after[index].endpoint = move.endpoint }
        }
        var expected = rows
        (expected[1].endpoint, expected[2].endpoint) = (Self.secondary.endpoint, Self.worker.endpoint)
        #expect(after == expected)
        #expect(moves.count == 3)
    }

    @Test func `the temporary address is one that no row has`() {
        let left = NodeRow(id: 9, group: 4, endpoint: NodeEndpoint("pharos-swap-2", 5432), role: .primary)
        let plan = NodeRowPlan(group: 1, leader: Self.secondary.endpoint, rows: [Self.worker, Self.secondary, left])
        guard case .moves(let moves) = plan else {
            Issue.record("no moves")
            return
        }
        #expect(moves[0].endpoint == NodeEndpoint("pharos-swap-2-", 5432))
    }

    @Test func `what cannot be put right by moving addresses is refused`() {
        let leader = NodeEndpoint("w2", 5432)
        var unavailable = Self.worker
        unavailable.role = .unavailable
        #expect(NodeRowPlan(group: 1, leader: leader, rows: [Self.coordinator]) == .refused(.noPrimary))
        #expect(NodeRowPlan(group: 1, leader: leader, rows: [unavailable]) == .refused(.noPrimary))
        var second = Self.secondary
        second.role = .primary
        let several = NodeRowPlan(group: 1, leader: leader, rows: [second, Self.worker])
        #expect(several == .refused(.severalPrimaries(ids: [2, 5])))
        // An address of another group's, and one of this group that is neither primary nor secondary.
        var foreign = Self.secondary
        foreign.group = 2
        let taken = NodeRowPlan(group: 1, leader: leader, rows: [Self.worker, foreign])
        #expect(taken == .refused(.endpointTaken(id: 5, group: 2)))
        var lost = Self.secondary
        lost.role = .unavailable
        let own = NodeRowPlan(group: 1, leader: leader, rows: [Self.worker, lost])
        #expect(own == .refused(.endpointTaken(id: 5, group: 1)))
    }

    @Test(arguments: ["a1:5432", "[fd77::1]:5432", "10.77.0.1:1"]) func `a place is read as it is written`(text: String)
    {
        #expect(NodeEndpoint(text)?.description == text)
    }

    @Test(arguments: ["", ":", "a1", "a1:", ":5432", "a1:x", "fd77::1:5432", "a1:05432", "[]:1"])
    func `what is no place is refused`(text: String) { #expect(NodeEndpoint(text) == nil) }
}
