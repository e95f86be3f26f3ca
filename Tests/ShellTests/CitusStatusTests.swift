// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import Decision
@testable import Shell

/// The object `citus` of the status, as docs/operations.md names its keys.
struct CitusStatusTests {
    private static let node = NodeEndpoint("10.77.0.3", 5432)

    private func document(_ verification: ClusterVerification?) throws -> JSON {
        let status = CitusStatus(
            mode: .own, isWriter: true,
            groups: [.init(number: 1, leader: "n3", endpoint: Self.node, isSwitchingOver: true)],
            databases: [
                .init(
                    name: "app", unreadable: nil, rowCount: 3, drifts: [1], refusals: [2: .noPrimary],
                    heldGroup: 1, unsynchronizedGroups: [3],
                    versions: CitusVersions(citus: "13.2-1", postgres: "15.18"))
            ],
            readAt: Instant(sinceBoot: .seconds(70)), rivals: [Self.node], verification: verification)
        return try #require(JSON.parse(status.document(at: Instant(sinceBoot: .seconds(100))).compact.utf8))
    }

    @Test func `a verification says when, what it found, and what it could not look at`() throws {
        let findings = [
            Finding(.shardMissing, .critical, group: 1, node: Self.node, "it is not there", .init("")),
            Finding(.notLookedAt, .warning, group: 2, node: Self.node, "10.77.0.5 does not answer", .init("")),
            Finding(.cleanupPending, .note, group: 0, node: Self.node, "two", .init("")),
        ]
        let said = try self.document(
            ClusterVerification(
                at: Instant(sinceBoot: .seconds(10)), databases: [DatabaseVerification("app", findings)],
                failure: "late"))
        let verification = try #require(said["verification"]?.object)
        #expect(verification["seconds_ago"]?.int64 == 90 && verification["failure"]?.string == "late")
        let database = try #require(verification["databases"]?.array?.first?.object)
        #expect(
            Set(database.keys) == ["database", "critical", "warnings", "notes", "codes", "not_looked_at"])
        #expect(["critical", "warnings", "notes"].map { database[$0]?.int64 } == [1, 1, 1])
        #expect(
            database["codes"]?.array?.map { $0.string } == ["not-looked-at", "shard-missing"], "notes are no codes")
        #expect(database["not_looked_at"]?.array?.map { $0.string } == ["10.77.0.5 does not answer"])
    }

    @Test func `without one it is null; groups and databases have their keys`() throws {
        let said = try self.document(nil)
        #expect(said.object?["verification"] == .null)
        #expect(said["groups_read_seconds_ago"]?.int64 == 30)
        #expect(said["groups"]?.array?.first?["endpoint"]?.string == "10.77.0.3:5432")
        #expect(said["groups"]?.array?.first?["is_switching_over"]?.bool == true)
        let database = try #require(said["databases"]?.array?.first?.object)
        #expect(database["drifting_groups"]?.array?.map { $0.int64 } == [1] && database["held_group"]?.int64 == 1)
        #expect(database["needs_operator"]?.array?.first?["group"]?.int64 == 2)
        #expect(database["unsynchronized_groups"]?.array?.map { $0.int64 } == [3])
        #expect(database["citus_version"]?.string == "13.2-1" && database["postgres_version"]?.string == "15.18")
        #expect(said["rival_coordinators"]?.array?.map { $0.string } == ["10.77.0.3:5432"])
    }
}
