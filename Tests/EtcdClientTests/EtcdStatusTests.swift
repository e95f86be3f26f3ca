// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import EtcdClient

/// What an endpoint says of itself, and its figures.
struct EtcdStatusTests {
    @Test func `a recorded status is read`() throws {
        let status = try GatewayDecoding.status(try Recorded("03-maintenance_status").json)
        #expect(
            status
                == EtcdStatus(
                    version: "3.4.23", memberID: 2_326_806_437_377_815_161, leaderID: 8_100_144_013_030_373_114,
                    size: 32_768,
                    sizeInUse: 32_768, alarms: []))
    }

    @Test func `without a leader there is no alarm`() throws {
        let status = try GatewayDecoding.status(try Recorded("11-status").json)
        #expect(status.leaderID == 0 && status.alarms.isEmpty)
    }

    @Test func `alarms are taken from its complaints, each once`() throws {
        let text = #"""
            {"header":{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"4"},"version":"3.5.16","dbSize":"5",
            "errors":["etcdserver: no leader","memberID:1 alarm:NOSPACE ","memberID:2 alarm:NOSPACE ","memberID:2 alarm:CORRUPT "]}
            """#
        let status = try GatewayDecoding.status(try #require(JSON.parse(Array(text.utf8))))
        #expect(status.alarms == ["CORRUPT", "NOSPACE"] && status.sizeInUse == nil)
    }

    @Test func `figures are read, the disk's by its histogram`() {
        let figures = EtcdFigures(
            """
            # HELP etcd_disk_wal_fsync_duration_seconds The latency
            etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 900
            etcd_disk_wal_fsync_duration_seconds_bucket{le="0.002"} 980
            etcd_disk_wal_fsync_duration_seconds_bucket{le="0.004"} 991
            etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 1000
            etcd_server_leader_changes_seen_total 3
            etcd_server_quota_backend_bytes 2.147483648e+09
            process_start_time_seconds 1.79e+09

            """.utf8)
        #expect(figures.slowestSync == 0.004 && figures.leaderChanges == 3)
        #expect(figures.quota == 2_147_483_648 && figures.startedAt == 1_790_000_000)
    }

    @Test(
        arguments: [
            ("", nil), ("nonsense\u{0}\n{}", nil), ("etcd_disk_wal_fsync_duration_seconds_bucket{le=\"+Inf\"} 0", nil),
            (
                "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"8\"} 1\netcd_disk_wal_fsync_duration_seconds_bucket{le=\"+Inf\"} 9",
                16.0
            ),
            ("etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.1\"} NaN", nil),
        ] as [(String, Double?)])
    func `what does not fit is no figure`(text: String, sync: Double?) {
        #expect(EtcdFigures(text.utf8).slowestSync == sync)
    }
}
