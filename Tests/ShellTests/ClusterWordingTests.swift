// SPDX-License-Identifier: Apache-2.0
import Decision
import Metrics
import Testing

@testable import Shell

/// What is said of a cluster's problems, and under which names.
struct ClusterWordingTests {
    private static let id = MemberID(1, "w1")
    private static let all: [ClusterProblem] = [
        .cutOff, .isPast, .paused,
        .reactionsPaused(ReactionPause(by: "root", reason: "work", endsAt: 0, until: Instant(sinceBoot: .seconds(9)))),
        .noLeader(group: 1), .severalPrimaries(group: 1, ["w1", "w2"]),
        .unheld(group: 1, "10.0.0.9", leader: "w1"),
        .heldByAnother(group: 1, "10.0.0.9", holder: "w2", leader: "w1"),
        .notWell(Self.id, .nodeFailed, reason: "neither answers", since: nil), .noCandidate(group: 1, leader: "w1"),
        .noStandby(group: 1, leader: "w1"), .candidateUnknown(group: 1, leader: "w1"), .noDaemon(Self.id),
        .notSurvived(group: 1, failures: ["the leader's node is lost"], reason: "no majority", advice: "etcdctl"),
        .lookedAfterBySome(group: 1, "10.0.0.9", by: ["w1"], not: ["w2"]), .versionsDiffer(["1", "2"]),
    ]

    @Test func `every problem says what is, and what to do on which node`() {
        for problem in Self.all {
            let text = Wording.text(problem, age: .seconds(3), at: Instant(sinceBoot: .seconds(9)))
            #expect(!text.isEmpty && !Wording.advice(problem).isEmpty)
            if problem.group != nil { #expect(text.contains("1"), "\(text)") }
        }
    }

    @Test func `the metrics count every problem and every verdict, and no other`() {
        #expect(Set(Self.all.map { Wording.code($0) }) == Set(PharosMetrics.problems))
        #expect(PharosMetrics.problems.count == Self.all.count)
        #expect(PharosMetrics.verdicts == DetectorVerdict.allCases.map(\.rawValue))
    }
}
