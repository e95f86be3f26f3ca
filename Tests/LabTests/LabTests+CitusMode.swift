// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// Patroni's Citus mode: Patroni writes pg_dist_node of one database itself, and knows nothing of any other.
extension LabTests {
    @Test(arguments: Scene.LeaderChange.allCases) @EventLoop
    func `behind Patroni's own handler the default mode repairs what that does not`(change: Scene.LeaderChange)
        async throws
    {
        try await Scene.playCitus("worker: \(change)", .mode, ["settle: 8s"]) { scene in
            let (_, new) = try await scene.change(change)
            try await scene.awaitRows(["app"])
            try await scene.awaitRows()
            let told = try await scene.awaitLog(
                scene.leader, "reports: group 1 follows its leader \(new)", .seconds(20))
            let led = try #require(
                try scene.timeline().leaderChanges(group: 1, since: scene.start).last { $0.node == new })
            #expect(told.at - led.at < 8_000_000, "nobody else writes it, and it waited for another writer")
            #expect(try await scene.recordCount("app: group 1 follows") == 0, "Patroni had done it")
            if change == .powerOff { try await scene.lab.start(try scene.other(than: new)) }
        }
    }

    @Test(arguments: Scene.LeaderChange.allCases) @EventLoop
    func `mode observe leaves to Patroni what it does, and tells what it does not`(change: Scene.LeaderChange)
        async throws
    {
        try await Scene.playCitus("worker: \(change)", .mode, ["mode: observe", "settle: 8s"]) { scene in
            let (old, new) = try await scene.change(change)
            try await scene.awaitRows(["app"])
            try await scene.awaitLog(scene.leader, "reports: group 1 is at \(LabLayout.address(old))", .seconds(30))
            #expect(try await scene.lab.rows(database: "reports")[1] == old)
            #expect(try await scene.recordCount("follows its leader") == 0)
            try await scene.lab.configureCitus(["mode: own"])
            try await scene.awaitRows()
            if change == .powerOff { try await scene.lab.start(try scene.other(than: new)) }
        }
    }

    /// Two writers at once, against the manual's advice: they write the same.
    @Test(arguments: Scene.LeaderChange.allCases) @EventLoop
    func `in mode own beside Patroni's handler the rows are right all the same`(change: Scene.LeaderChange) async throws
    {
        try await Scene.playCitus("worker: \(change)", .mode, ["mode: own"]) { scene in
            let (_, new) = try await scene.change(change)
            try await scene.awaitRows()
            try await scene.awaitLog(scene.leader, "reports: group 1 follows its leader \(new)")
            // The coordinator's daemon puts on record when its rows followed, where the worker's own nodes find it.
            let record = try await scene.lastRecord(of: new, with: "metadata synced")
            #expect(record["phases"]?["metadata committed"]?.int64 != nil && record["group"]?.int64 == 1)
            if change == .powerOff { try await scene.lab.start(try scene.other(than: new)) }
            // Neither undoes what the other has done.
            try await scene.pause(.seconds(5))
            #expect(try await scene.lab.rows()[1] == new)
        }
    }

    @Test(arguments: Scene.LeaderChange.allCases) @EventLoop
    func `the coordinator's own change is followed in the database that Patroni does not know`(
        change: Scene.LeaderChange
    ) async throws {
        try await Scene.playCitus("coordinator: \(change)", .mode, ["settle: 8s"]) { scene in
            let (old, new) = try await scene.change(change, of: 0)
            try await scene.awaitRows()
            try await scene.awaitLog(new, "reports: group 0 follows its leader \(new)")
            if change == .powerOff { try await scene.lab.start(old) }
        }
    }

    /// A row made wrong by hand stays so with Patroni alone: it compares with what it remembers.
    @Test @EventLoop func `each drift is found by verify, and nothing is left when it is undone`() async throws {
        try await Scene.playCitus("drift", .mode, ["mode: observe"]) { scene in
            let (coordinator, worker) = (scene.leader, try await scene.worker())
            // What is wrong shall stay wrong until it is looked at.
            let isReal = scene.lab.hasRealCitus
            @EventLoop func synchronization(_ verb: String) async throws {
                for node in scene.lab.options.groups.flatMap(\.nodes) where !isReal {
                    try await scene.run(node, "systemctl", verb, "stand-in-sync@app", "stand-in-sync@reports")
                }
            }
            try await synchronization("stop")
            // Citus itself rolls such a transaction back as soon as it looks, and looks for rows that nobody told it of once a minute.
            @EventLoop func setCitus(_ statements: [String]) async throws {
                guard isReal else { return }
                for statement in statements + ["select pg_reload_conf()"] {
                    try await scene.lab.sql(statement, on: coordinator)
                }
            }
            let patience = "citus.recover_2pc_interval"
            // The second counts once an attempt has failed, as while a row names nobody.
            let haste = ["citus.metadata_sync_interval", "citus.metadata_sync_retry_interval"]
            try await setCitus(
                ["alter system set \(patience) = -1"] + haste.map { "alter system set \($0) = '300ms'" })
            @EventLoop func codes() async throws -> Set<String> {
                let outcome = try await scene.lab.exec(coordinator, ["pharos", "verify", "--json", "--deep"])
                let reports = try #require(JSON.parse(outcome.output)?.array, "\(outcome.text)")
                let findings = reports.filter { $0["database"]?.string == "app" }.flatMap {
                    $0["findings"]?.array ?? []
                }
                let found = findings.filter { $0["severity"]?.string != "note" }
                let isCritical = found.contains { $0["severity"]?.string == "critical" }
                #expect(outcome.exitCode == (isCritical ? 2 : found.isEmpty ? 0 : 1), "\(outcome.text)")
                return Set(found.compactMap { $0["code"]?.string })
            }
            @EventLoop func expectNone(_ when: String, but expected: Set<String> = []) async throws {
                let found = try await codes().subtracting(expected)
                #expect(found == [], "\(when)")
            }
            try await expectNone("at first")
            // Patroni 4 registers standbys too, in the database that it knows. They would be in the way of what follows.
            // In two transactions: Citus itself synchronizes what is committed.
            @EventLoop func sync(after statement: String) async throws {
                let unsynchronized = "update pg_dist_node set metadatasynced = false where groupid = 1"
                try await scene.lab.sql("\(statement); \(unsynchronized)", on: coordinator)
                try await scene.lab.sql("select citus_stand_in.sync()", on: coordinator)
                // Citus itself may be connecting still to whom a row named before, for as long as its time limit says.
                let behind = "select count(*) from pg_dist_node where hasmetadata and not metadatasynced"
                try await scene.wait("the metadata to be synchronized", .seconds(90)) {
                    try await scene.lab.sql(behind, on: coordinator) == "0\n"
                }
            }
            try await sync(after: "delete from pg_dist_node where noderole = 'secondary'")
            let standby = LabLayout.address(try scene.other(than: worker))
            let row = "update pg_dist_node set"
            try await scene.lab.sql(
                "begin; select txid_current(); prepare transaction 'citus_0_1_2_3'", on: worker)
            let prepared = Lab.now
            let right =
                "\(row) nodename = '\(LabLayout.address(worker))', hasmetadata = true, isactive = true,"
                + " noderole = 'primary' where groupid = 1"
            for (expected, node, inject, undo) in [
                (
                    ["row-not-leader", "row-in-recovery"], coordinator,
                    "\(row) nodename = '\(standby)' where groupid = 1", right
                ),
                (
                    ["row-not-leader", "row-unreachable"], coordinator,
                    "\(row) nodename = '10.77.0.99' where groupid = 1", right
                ),
                (["no-metadata"], coordinator, "\(row) hasmetadata = false where groupid = 1", right),
                (
                    ["not-synchronized"], coordinator, "\(row) metadatasynced = false where groupid = 1",
                    "\(row) metadatasynced = true"
                ),
                (["inactive"], coordinator, "\(row) isactive = false where groupid = 1", right),
                (["group-without-primary"], coordinator, "\(row) noderole = 'unavailable' where groupid = 1", right),
                (
                    ["group-unregistered"], coordinator,
                    "create table kept as table pg_dist_node; delete from pg_dist_node where groupid = 1",
                    "delete from pg_dist_node; insert into pg_dist_node table kept; drop table kept"
                ),
                (
                    ["two-primaries"], coordinator,
                    "set session_replication_role = replica; insert into pg_dist_node (nodeid, groupid, nodename) values (99, 1, '10.77.0.98')",
                    "delete from pg_dist_node where nodeid = 99"
                ),
                (
                    ["local-group-wrong"], worker, "update pg_dist_local_group set groupid = 0",
                    "update pg_dist_local_group set groupid = 1"
                ),
                (
                    ["nodes-differ"], worker, "\(row) noderack = 'elsewhere' where groupid = 1",
                    "\(row) noderack = 'default'"
                ),
                (
                    ["placements-differ"], worker, "update pg_dist_placement set groupid = 0 where shardid = 102008",
                    "update pg_dist_placement set groupid = 1 where shardid = 102008"
                ),
                (
                    ["shards-differ"], worker,
                    "create table kept as table pg_dist_shard; update pg_dist_shard set shardmaxvalue = '0' where shardid = 102008",
                    "delete from pg_dist_shard; insert into pg_dist_shard table kept; drop table kept"
                ),
                (
                    ["shard-missing"], worker, "alter table items_102008 rename to gone",
                    "alter table gone rename to items_102008"
                ),
            ] where !isReal || expected != ["not-synchronized"] {  // Citus itself puts that right within a moment.
                try await scene.lab.sql(inject, on: node)
                let found = try await codes()
                #expect(found.isSuperset(of: expected), "\(inject): \(found), not \(expected)")
                if node == coordinator, undo == right {
                    try await sync(after: undo)
                } else {
                    try await scene.lab.sql(undo, on: node)
                }
                // The prepared transaction is told as soon as it is a minute old, which may be in any of these rounds.
                try await expectNone("after \(undo)", but: ["orphaned-prepared"])
            }
            try await scene.wait("the prepared transaction to be old enough", .seconds(70)) {
                Lab.now - prepared > 61_000_000
            }
            #expect(try await codes() == ["orphaned-prepared"])
            try await scene.lab.sql("rollback prepared 'citus_0_1_2_3'", on: worker)
            try await expectNone("at last")
            try await setCitus(([patience] + haste).map { "alter system reset \($0)" })
            try await synchronization("start")
        }
    }
}
