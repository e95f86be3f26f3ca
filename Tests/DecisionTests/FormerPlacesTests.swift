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
    }

    @Test func `what cannot be told from the leader is not called a second primary`() {
        let server = ServerIdentity.server(system: "7", started: "100")
        for answer in [NodeAnswer.unreachable(reason: "x"), .withoutCitus] {
            let found = Self.found(server) { $0.nodes[VerificationTests.worker] = answer }.filter {
                $0.node == Self.old
            }
            #expect(found.map(\.code) == [.notLookedAt] && found.map(\.severity) == [.warning])
            #expect(found.first?.remedy.text.contains("Stop PostgreSQL") == false)
        }
        let unknown = Self.found(server) { facts in
            VerificationTests.change(&facts, VerificationTests.worker) { $0.server = .unknown(reason: "x") }
        }
        #expect(unknown.filter { $0.node == Self.old }.map(\.code) == [.notLookedAt])
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

    @Test func `where nobody listens nobody accepts writes`() {
        #expect(Self.found(.nobody) == [] && Self.found(.nobody) { $0.isAfterRestore = true } == [])
    }

    @Test func `after a restore what does not answer is not in order, until a person says that it is switched off`() {
        func found(_ server: ServerIdentity, off: Bool) -> [String] {
            Self.found(server) { facts in
                facts.isAfterRestore = true
                if off { facts.switchedOff = [Self.old] }
            }.map { "\($0.code.rawValue) \($0.severity)" }
        }
        let silent = Self.found(.unknown(reason: "no route")) { $0.isAfterRestore = true }
        #expect(silent.map(\.severity) == [.critical])
        #expect(silent.first?.remedy.text.hasSuffix("--switched-off 10.0.1.9:5432") == true)
        #expect(found(.unknown(reason: "no route"), off: true) == [])
        // Whoever answers is not switched off, whatever a person says.
        #expect(found(.server(system: "7", started: "100"), off: true) == ["second-primary critical"])
    }

    @Test func `what is remembered and cannot be read is not in order after a restore; that nothing is, is no secret`()
    {
        func found(_ change: @escaping (inout ClusterFacts) -> Void) -> [String] {
            [false, true].flatMap { isAfterRestore in
                verify(
                    VerificationTests.facts { facts in
                        facts.isAfterRestore = isAfterRestore
                        change(&facts)
                    }
                ).map { "\($0.code.rawValue) \($0.severity)" }
            }
        }
        #expect(found { $0.formerProblem = "too many" } == ["not-looked-at note", "not-looked-at critical"])
        #expect(found { $0.forgotten = "no daemon" } == ["not-looked-at note"])
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
        #expect(former[1]?.map(\.host) == (0...9).map { "10.0.1.\($0)" })
        #expect(FormerPlaces(places, of: leaders, cluster: 8).byGroup.isEmpty)
        var many = KnownPlaces(cluster: 7)
        for group in 1...100 { for number in 0..<10 { many.learn(NodeEndpoint("h\(number)", group), of: group) } }
        // Another group's member has the address now.
        let moved = [1: leaders[1], 2: .init("b1", NodeEndpoint("10.0.1.9", 5432))].compactMapValues { $0 }
        #expect(
            FormerPlaces(places, of: moved, cluster: 7).byGroup[1]?.contains(NodeEndpoint("10.0.1.9", 5432)) == false)
        let all = FormerPlaces(many, of: (1...100).reduce(into: [:]) { $0[$1] = .init("x", nil) }, cluster: 7)
        #expect(all.byGroup.values.reduce(0) { $0 + $1.count } == FormerPlaces.limit)
        #expect(all.leftOut == 1000 - FormerPlaces.limit)
        let left = Self.found(.unknown(reason: "x")) { facts in
            facts.former = [:]
            facts.formerProblem = "too many"
        }
        #expect(left.map(\.code) == [.notLookedAt] && left.first?.evidence.contains("too many") == true)
    }
}
