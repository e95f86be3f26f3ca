// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What the daemon makes of the coordinator's versions, and when it tells it.
struct VersionWatchTests {
    private static func limits(_ citus: String?, _ postgres: String) -> [VersionLimit] {
        let versions = CitusVersions(citus: citus, postgres: postgres)
        return VersionLimit.allCases.filter { $0.applies(to: versions) }
    }

    @Test func `each version lacks what the manual says, and nothing follows from one that is not known`() {
        #expect(Self.limits("14.0-1", "18.1") == [] && Self.limits("12.1-1", "14.20") == [])
        #expect(Self.limits("12.0-1", "15.18") == [.holdsNothing])
        #expect(Self.limits("11.1-1", "15.18") == [.sparesHolders, .holdsNothing])
        #expect(Self.limits("10.2-4", "14.20") == [.tooOld, .sparesHolders, .holdsNothing])
        #expect(Self.limits("13.2-1", "13.9") == [.tooOld])
        #expect(Self.limits("14.1-1", "18.1") == [.unknown] && Self.limits("14.0-1", "19beta1") == [.unknown])
        #expect(Self.limits(nil, "15.18") == [] && Self.limits("x", "?") == [])
    }

    @Test func `it is told once to who becomes the writer, again when it is something else, and its end`() {
        var script = CitusScript.settled()
        script.answeredRows = CitusScript.rows
        func told(_ citus: String) -> [[VersionLimit]] {
            _ = script.on(.versionsSeen(CitusScript.database, CitusVersions(citus: citus, postgres: "15.18")))
            return script.reports.compactMap { if case .versions(_, _, let limits) = $0 { limits } else { nil } }
        }
        #expect(told("12.0-1") == [[.holdsNothing]])
        #expect(script.core.citusStatus?.databases.first?.versions?.citus == "12.0-1")
        #expect(told("12.0-2") == [], "another one that lacks the same, or another connection")
        #expect(told("12.1-1") == [[]])
        #expect(told("13.2-1") == [])
        #expect(told("12.0-1") == [[.holdsNothing]])
        // Another node's daemon writes for a while.
        _ = script.leads(0, "c2")
        _ = script.leads(0, "c1")
        let again = script.reports.compactMap { if case .versions(_, _, let limits) = $0 { limits } else { nil } }
        #expect(again == [[.holdsNothing]])
    }

    @Test func `who does not write tells nothing`() {
        var script = CitusScript.settled()
        _ = script.leads(0, "c2")
        _ = script.on(.versionsSeen(CitusScript.database, CitusVersions(citus: "12.0-1", postgres: "15.18")))
        #expect(script.reports == [])
    }
}
