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
}
