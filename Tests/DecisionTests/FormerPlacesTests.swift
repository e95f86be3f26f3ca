// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Places where members were that etcd does not name any more: who accepts writes there is found.
struct FormerPlacesTests {
    private static let old = NodeEndpoint("10.0.1.9", 5432)
    private static let own = ServerIdentity.server(system: "7", started: "200")

    private static func found(
        _ server: ServerIdentity, group: Int = 1, _ change: (inout ClusterFacts) -> Void = { _ in }
    ) -> [Finding] {
        verify(
            VerificationTests.facts { facts in
                facts.coordinator?.facts.server = Self.own
                VerificationTests.change(&facts, VerificationTests.worker) { $0.server = Self.own }
                VerificationTests.change(&facts, VerificationTests.other) {
                    $0.server = .server(system: "8", started: "1")
                }
                facts.former = [group: [Self.old: server]]
                change(&facts)
            }
        ).filter { $0.code != .systemWrong }
    }

    @Test func `a server of the group that accepts writes there is a second primary`() {
        let cutOff = ServerIdentity.server(system: "7", started: "100")
        let found = Self.found(cutOff)
        #expect(found.map(\.code) == [.secondPrimary] && found.map(\.severity) == [.critical])
        #expect(found.first?.node == Self.old && found.first?.group == 1)
        #expect(Self.found(cutOff, group: 0).map(\.code) == [.secondCoordinator])
        // Whose leader does not say who it is cannot be told apart from it.
        let doubtful = Self.found(cutOff) { facts in
            VerificationTests.change(&facts, VerificationTests.worker) { $0.server = .unknown(reason: "x") }
        }
        #expect(doubtful.map(\.code) == [.secondPrimary])
        #expect(doubtful.first?.evidence.contains("could not be asked who it is") == true)
    }

    @Test func `a standby, the leader by another address, and another cluster's server are none`() {
        #expect(Self.found(.server(system: "7", started: "100", isInRecovery: true)) == [])
        #expect(Self.found(Self.own) == [])
        #expect(Self.found(.server(system: "9", started: "100")) == [], "the address has gone to another cluster")
        #expect(Self.found(.server(system: "7", started: "1"), group: 5) == [], "nobody leads it")
    }

    @Test func `what cannot be reached is a note, not in order and not wrong`() {
        let found = Self.found(.unknown(reason: "no route"))
        #expect(found.map(\.code) == [.notLookedAt] && found.map(\.severity) == [.note])
        #expect(found.first?.evidence.contains("10.0.1.9:5432") == true)
    }

    @Test func `only places of this etcd, of groups that have a leader, without the members of now, and not all`() {
        var places = KnownPlaces(cluster: 7)
        for number in 0..<12 { places.learn(NodeEndpoint("10.0.1.\(number)", 5432), of: 1) }
        places.learn(NodeEndpoint("10.0.9.1", 5432), of: 9)
        let leaders: [Int: ClusterFacts.Leader] = [
            1: .init("a1", NodeEndpoint("10.0.1.11", 5432), others: ["a2": NodeEndpoint("10.0.1.10", 5432)])
        ]
        let former = FormerPlaces(places, of: leaders, cluster: 7).byGroup
        #expect(former.keys.sorted() == [1])
        #expect(former[1]?.map(\.host) == (2...9).map { "10.0.1.\($0)" }, "the newest")
        #expect(FormerPlaces(places, of: leaders, cluster: 8).byGroup.isEmpty)
        var many = KnownPlaces(cluster: 7)
        for group in 1...100 { for number in 0..<10 { many.learn(NodeEndpoint("h\(number)", group), of: group) } }
        let all = FormerPlaces(many, of: (1...100).reduce(into: [:]) { $0[$1] = .init("x", nil) }, cluster: 7)
        #expect(all.byGroup.values.reduce(0) { $0 + $1.count } == FormerPlaces.totalLimit)
    }
}
