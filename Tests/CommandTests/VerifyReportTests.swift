// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON
import Testing

@testable import pharos

/// What `pharos verify --json` prints.
struct VerifyReportTests {
    @Test func `the shards that a lost group takes along are there as numbers`() throws {
        let loss = ShardLoss(
            shards: 3, elsewhere: 1, bytes: 4096, tableCount: 2,
            tables: [
                .init(name: "public.d", shards: 2, bytes: 4096, examples: [7, 9]),
                .init(name: "public.e", shards: 1, bytes: nil, examples: [11]),
            ])
        let report = VerificationReport(database: "app", findings: [], losses: [1: loss])
        let document = try #require(JSON.parse(Array(report.json.utf8)))
        let group = try #require(document["shards_out_of_reach"]?.array?.first)
        #expect(group["group"]?.int64 == 1 && group["shards"]?.int64 == 3 && group["elsewhere"]?.int64 == 1)
        #expect(group["bytes"]?.int64 == 4096 && group["table_count"]?.int64 == 2)
        let tables = try #require(group["tables"]?.array)
        #expect(tables.map { $0["table"]?.string } == ["public.d", "public.e"])
        #expect(tables.map { $0["shards"]?.int64 } == [2, 1] && tables.map { $0["bytes"]?.int64 } == [4096, nil])
        #expect(tables.first?["examples"]?.array?.compactMap(\.int64) == [7, 9])
    }

    /// A script that runs a statement on the wrong node may delete what another one needs.
    @Test func `a statement goes with the server that it is for`() throws {
        let worker = NodeEndpoint("10.0.1.1", 5432)
        let remedies: [(Finding.Remedy, String?)] = [
            (.init("x", sql: ["delete"], on: .server(worker)), "10.0.1.1:5432"),
            (.init("x", repairedBy: ["update"], on: .leader(of: 0)), "the leader of group 0"),
            (.init("x", changes: [.removeSecondary(worker)], on: .server(worker)), "10.0.1.1:5432"),
            (.init("x", commands: ["pharos grant-sql"]), nil), (.init("x", sql: [], on: .server(worker)), nil),
        ]
        for (remedy, place) in remedies {
            let report = VerificationReport(
                database: "app", findings: [Finding(.inactive, .warning, "why", remedy)], restorePoint: nil)
            let document = try #require(JSON.parse(Array(report.json.utf8)))
            let finding = try #require(document["findings"]?.array?.first)
            #expect(finding["run_on"]?.string == place)
            #expect((finding["sql"]?.array?.isEmpty == true) == (place == nil))
            #expect(report.text.contains("on \(place ?? "?"):") == (place != nil), "\(report.text)")
        }
    }

    @Test func `nothing is called true beyond what was looked at`() {
        func end(_ findings: [Finding]) -> String? {
            VerificationReport(database: "app", findings: findings).text.split(separator: "\n").last.map(String.init)
        }
        #expect(end([]) == "app: pg_dist_node is true")
        #expect(
            end([Finding(.notLookedAt, .note, "why", .init("x"))])
                == "app: pg_dist_node is true, as far as it was looked at")
        #expect(end([Finding(.inactive, .warning, "why", .init("x"))]) == "app: 1 findings")
    }
}
