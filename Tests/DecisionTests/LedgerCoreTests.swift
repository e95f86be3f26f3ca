// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The ledger within the core: what watches and probes show goes to it, and what it says comes out.
struct LedgerCoreTests {
    private struct Node {
        private var core: Core
        private(set) var now = Instant(sinceBoot: .seconds(100))
        private(set) var told: [FailoverRecord] = []
        private(set) var written: FailoverRecord?

        init() {
            self.core = Core(
                CoreSettings(
                    member: "n1", node: "boot-a", addresses: [], detector: DetectorSettings(.fast, group: 2, seed: 1)),
                at: self.now)
        }

        mutating func on(_ event: Event, after delay: Duration = .milliseconds(10)) {
            self.now = self.now + delay
            var actions: [Action] = []
            self.core.handle(event, at: self.now, into: &actions)
            for action in actions {
                if case .report(.logLost(let record)) = action { self.told.append(record) }
                if case .record(.own(let record)) = action { self.written = record }
            }
        }

        mutating func watched(_ revision: Int64, leader: String?) {
            self.on(.watched(clusterID: 7, revision: revision, changes: [.leader(leader)]))
            self.see(revision, leader.map { .leader($0, since: revision) } ?? .noLeader)
        }

        mutating func see(_ revision: Int64, _ facts: GroupFact..., group: Int = 2) {
            let changes = facts.map { GroupChange(group, $0) }
            self.on(.groups(.changed(clusterID: 7, revision: revision, changes)))
        }

        mutating func probed(_ id: MemberID, isPrimary: Bool, position: Int64) {
            let findings = ProbeFindings(
                patroni: .answered, postgres: .answered, isPrimary: isPrimary, position: position)
            self.on(.detector(.probed(id, findings, askedAt: self.now)))
        }
    }

    @Test func `the failover to this node is told with what it has lost, once`() {
        var node = Node()
        node.on(.tick)
        node.on(.readAnswered(etcd(leader: "n2"), sentAt: node.now))
        let facts: [GroupFact] =
            ["n1", "n2"].map { .member($0, DetectorScript.member($0)) } + [.leader("n2", since: 3)]
        let snapshot = GroupsSnapshot(clusterID: 7, revision: 4, facts: facts.map { GroupChange(2, $0) })
        node.on(.groups(.read(snapshot, sentAt: node.now)))
        node.see(5, .log(.position(500, writtenAt: 5)))
        let probedAt = node.now
        node.probed(MemberID(2, "n2"), isPrimary: true, position: 600)
        node.see(6, .log(.position(700, writtenAt: 6)))
        // What is replayed there, or written in another group, is no part of it.
        node.probed(MemberID(2, "n2"), isPrimary: false, position: 9000)
        node.probed(MemberID(3, "n2"), isPrimary: true, position: 9000)
        node.see(7, .log(.position(9000, writtenAt: 7)), group: 3)
        node.see(8, .member("n2", nil))
        node.watched(8, leader: nil)
        node.watched(9, leader: "n1")
        #expect(node.written?.to == "n1" && node.written?.lost == nil && node.told.isEmpty)
        node.see(10, .log(.position(1000, writtenAt: 10)))
        node.see(11, .log(.ended(timeline: 3, at: 650, promoted: "n1", writtenAt: 11)))
        let lost = LostLog(.atLeast(bytes: 50), keptUntil: probedAt, timeline: 3, end: 650, seen: 700)
        #expect(node.told.map(\.lost) == [lost] && node.told.first?.revision == 9)
        #expect(node.written?.lost == lost)
        node.see(12, .log(.position(1100, writtenAt: 12)))
        node.on(.tick, after: .seconds(60))
        #expect(node.told.count == 1)
    }
}
