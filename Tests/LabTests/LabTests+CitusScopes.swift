// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// Citus where each group is a Patroni scope of its own: nobody but Pharos writes pg_dist_node.
extension LabTests {
    @Test(arguments: Scene.LeaderChange.allCases) @EventLoop
    func `in mode own the rows of both databases follow a worker's leader at once`(change: Scene.LeaderChange)
        async throws
    {
        try await Scene.playCitus("worker: \(change)", .scopes, ["mode: own"]) { scene in
            let begun = Lab.now
            var (old, new) = ("", "")
            let span: Duration = change == .switchover ? .seconds(10) : .seconds(45)
            let report = try await scene.withWriters(50, for: span) {
                (old, new) = try await scene.change(change)
                try await scene.awaitRows()
            }
            let timeline = try scene.timeline()
            let writable = try #require(timeline.firstWritable(new, since: begun)).at
            let row = try #require(timeline.firstRow(group: 1, naming: new, since: begun))
            print("the row named \(new) \(Double(row - writable) / 1000) ms after it accepted writes")
            #expect(report.writes > 0)
            for database in LabCitus.databases {
                try await scene.awaitLog(scene.leader, "\(database): group 1 follows its leader \(new)")
                try await scene.awaitLog(scene.leader, "\(database): the change of group 1 has reached the workers")
            }
            if change == .switchover {
                try await scene.awaitLog(
                    scene.leader, "writes to group 1 wait while its leader \(old) is switched over")
                #expect(report.errors == [:], "writers wait through a switchover, and none fails")
            } else {
                try await scene.lab.start(old)
            }
            let prepared = try await scene.lab.sql("select count(*) from pg_prepared_xacts")
            #expect(prepared == "0\n")
        }
    }

    @Test(arguments: Scene.LeaderChange.allCases) @EventLoop
    func `in mode reconcile what nobody has put right is put right after a while, in observe it is only told`(
        change: Scene.LeaderChange
    ) async throws {
        try await Scene.playCitus("worker: \(change)", .scopes, ["mode: observe", "settle: 3s"]) { scene in
            let (old, new) = try await scene.change(change)
            try await scene.awaitLog(scene.leader, "app: group 1 is at \(LabLayout.address(old)):5432", .seconds(30))
            try await scene.awaitLog(scene.leader, "This mode leaves it as it is")
            #expect(try await scene.lab.rows()[1] == old)
            #expect(try await scene.recordCount("follows its leader") == 0)
            let restarted = Lab.now
            try await scene.lab.configureCitus(["mode: reconcile", "settle: 3s"])
            try await scene.awaitRows()
            let updated = try await scene.awaitLog(scene.leader, "app: group 1 follows its leader \(new)")
            #expect(updated.at - restarted >= 3_000_000, "it has waited for another writer")
            if change == .powerOff { try await scene.lab.start(old) }
        }
    }

    @Test(arguments: Scene.LeaderChange.allCases) @EventLoop
    func `the coordinator's own row follows, by the daemon of the new coordinator`(change: Scene.LeaderChange)
        async throws
    {
        try await Scene.playCitus("coordinator: \(change)", .scopes, ["mode: own"]) { scene in
            let (_, new) = try await scene.change(change, of: 0)
            try await scene.awaitRows()
            try await scene.awaitLog(new, "its daemon keeps pg_dist_node")
            for database in LabCitus.databases {
                try await scene.awaitLog(new, "\(database): group 0 follows its leader \(new)")
                try await scene.awaitLog(new, "\(database): the change of group 0 has reached the workers")
            }
            let copy = try await scene.lab.rows(on: try await scene.worker())
            #expect(copy[0] == new)
            if change == .powerOff { try await scene.lab.start(scene.leader) }
        }
    }

    @Test @EventLoop func `both leaders lose their power at once, and every row is right in the end`() async throws {
        try await Scene.playCitus("power-off of both leaders", .scopes, ["mode: own"]) { scene in
            let worker = try await scene.worker()
            try await scene.lab.giveEtcdLeadership(to: "n5")
            try await scene.lab.kill(scene.leader)
            try await scene.lab.kill(worker)
            _ = try await scene.awaitLeader(of: 0, otherThan: scene.leader)
            _ = try await scene.awaitLeader(of: 1, otherThan: worker)
            try await scene.awaitRows()
            try await scene.lab.start(scene.leader)
            try await scene.lab.start(worker)
        }
    }

    @Test @EventLoop func `two workers' leaders lose their power at once while a third group is down for good`()
        async throws
    {
        try await Scene.playCitus("power-off of two workers", .scopes, ["mode: own"], workers: 3) { scene in
            try await scene.lab.giveEtcdLeadership(to: "n5")
            try await scene.lab.kill("n8")
            try await scene.wait("group 3 to have no leader", .seconds(60)) {
                try await scene.lab.leader(group: 3) == nil
            }
            let begun = Lab.now
            let old = try await [scene.worker(), #require(scene.lab.leader(group: 2))]
            for node in old { try await scene.lab.kill(node) }
            let new = try old.map(scene.other)
            for group in [1, 2] { _ = try await scene.awaitLeader(of: group, otherThan: old[group - 1]) }
            try await scene.awaitRows(lost: 3)
            let timeline = try scene.timeline()
            let writable = try new.map { try #require(timeline.firstWritable($0, since: begun)).at }
            let rows = try [1, 2].map {
                try #require(timeline.firstRow(group: $0, naming: new[$0 - 1], since: begun))
            }
            let late = try #require(rows.max()) - #require(writable.max())
            print("both rows were right \(Double(late) / 1000) ms after the second of \(new) accepted writes")
            // What synchronizes in the stand-in is no worker of Citus's that may be interrupted: it keeps the table for as long as it
            // connects to the third group, 3 s at a time.
            #expect(late <= (scene.lab.hasRealCitus ? 1_000_000 : 8_000_000))
            let named = timeline.events.filter { $0.kind == .row && $0.at >= begun }.compactMap(\.node)
            #expect(named.sorted() == new.sorted(), "no row has named anything else in between")
            for database in LabCitus.databases {
                #expect(try await scene.lab.rows(database: database)[3] == "n8", "nobody else was named")
                for (group, node) in zip([1, 2], new) {
                    try await scene.awaitLog(scene.leader, "\(database): group \(group) follows its leader \(node)")
                }
            }
            for node in old + ["n8"] { try await scene.lab.start(node) }
            try await scene.awaitRows()
        }
    }
}
