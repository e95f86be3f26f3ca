// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// What stands in the way of a change of pg_dist_node, and what goes wrong in the middle of one.
extension LabTests {
    @Test(arguments: [false, true]) @EventLoop
    func `a writer with an open transaction is told of and ended in the end, and nothing piles up before`(
        isStopped: Bool
    ) async throws {
        try await Scene.playCitus("a blocker\(isStopped ? " that cannot be killed" : "")", .scopes, ["mode: own"]) {
            scene in
            let blocker = try await scene.blocker("begin; select citus_stand_in.write('items', 3)")
            if isStopped { try await scene.run(scene.leader, "kill", "-STOP", "\(blocker)") }
            let (old, new) = try await scene.change(.switchover)
            try await scene.awaitLog(scene.leader, "the update of group 1 waits for pid \(blocker)", .seconds(30))
            if isStopped {
                try await scene.awaitLog(scene.leader, "other sessions are in the way", .seconds(30))
                try await scene.awaitLog(scene.leader, "Tried again in 2.0 s", .seconds(60))
                // The daemon's session, the stand-in's helper of it, and nothing else; whatever was tried before.
                let waiting = try await scene.lab.sql(
                    """
                    select count(*) from pg_stat_activity
                    where usename = 'pharos' and datname = 'app' and wait_event_type = 'Lock'
                    """)
                #expect(["0\n", "1\n"].contains(waiting), "attempts pile up: \(waiting)")
                #expect(try await scene.lab.rows()[1] == old)
                try await scene.run(scene.leader, "kill", "-CONT", "\(blocker)")
            }
            try await scene.awaitRows()
            try await scene.awaitLog(scene.leader, "app: group 1 follows its leader \(new)")
            // A session that is ended lets its locks go before it is gone.
            try await scene.wait("the blocker and who helped against it to be gone", .seconds(10)) {
                try await scene.lab.sql(
                    """
                    select count(*) from pg_stat_activity
                    where application_name in ('blocker', 'citus_stand_in_helper')
                    """) == "0\n"
            }
        }
    }

    @Test @EventLoop func `while the worker's nodes are down the coordinator's change waits for them, and is told`()
        async throws
    {
        try await Scene.playCitus("workers down", .scopes, ["mode: own"]) { scene in
            try await scene.lab.giveEtcdLeadership(to: "n5")
            let workers = scene.lab.options.groups[1].nodes
            for node in workers { try await scene.lab.kill(node) }
            _ = try await scene.insistOnSwitchover(to: try scene.other(than: scene.leader))
            let new = try await scene.awaitLeader(of: 0, otherThan: scene.leader)
            for database in LabCitus.databases {
                try await scene.awaitLog(new, "\(database): group 0 follows its leader \(new)", .seconds(20))
                #expect(try await scene.lab.rows(database: database)[0] == new)
                try await scene.awaitLog(
                    new, "\(database): Citus has not brought the change of group 0 to", .seconds(30))
            }
            #expect(try await scene.recordCount("the change of group 0 has reached the workers") == 0)
            for node in workers { try await scene.lab.start(node) }
            try await scene.awaitRows()
            for database in LabCitus.databases {
                try await scene.awaitLog(
                    new, "\(database): the change of group 0 has reached the workers", .seconds(60))
            }
            #expect(try await scene.lab.rows(on: try await scene.worker())[0] == new)
        }
    }

    @Test @EventLoop func `a daemon that is killed in the middle of an update leaves nothing behind`() async throws {
        try await Scene.playCitus("killed between two statements", .scopes, ["mode: own"]) { scene in
            let worker = try await scene.worker()
            let wrong = try scene.other(than: worker)
            // Each lets the transaction come so far and no further. Citus itself asks the gate's table before any statement: there
            // nobody would get as far as the gate.
            let gate =
                scene.lab.hasRealCitus
                ? [] : [("the gate", "lock table pg_dist_local_group in access exclusive mode")]
            for (place, brake) in gate + [
                ("the fence", "lock table pharos.citus_fence in access exclusive mode"),
                ("the update", "lock table pg_dist_node in row exclusive mode"),
                ("the commit", "select pg_advisory_xact_lock(4242)"),
            ] {
                let isCommit = place == "the commit"
                if isCommit { try await scene.lab.sql(Scene.commitBrake) }
                // Wrong by hand; then the brake, before the daemon looks again.
                let blocker = try await scene.blocker(
                    """
                    update pg_dist_node set nodename = '\(LabLayout.address(wrong))' where groupid = 1;
                    begin; \(brake)
                    """)
                try await scene.run(scene.leader, "systemctl", "restart", "pharos")
                let waiting =
                    "select coalesce(max(pid), 0) from pg_stat_activity where usename = 'pharos' and \(blocker) = any (pg_blocking_pids(pid))"
                var backend = 0
                try await scene.wait("the daemon to wait at \(place)", .seconds(20)) {
                    backend = Int(try await scene.lab.sql(waiting).dropLast()) ?? 0
                    return backend != 0
                }
                try await scene.crash()
                // An abandoned call ends by itself, with the brake still on.
                try await scene.wait("the abandoned transaction to end", .seconds(10)) {
                    let text = try await scene.lab.sql(
                        "select count(*) from pg_stat_activity where pid = \(backend) and usename = 'pharos'")
                    return text == "0\n"
                }
                #expect(try await scene.lab.rows()[1] == wrong, "killed at \(place), it changed the row")
                try await scene.lab.sql("select pg_terminate_backend(\(blocker))")
                try await scene.awaitRows()
                if isCommit {
                    try await scene.lab.sql("drop trigger brake on pharos.citus_fence; drop function brake()")
                }
                print("killed at \(place): undone, and done by the next process")
            }
            #expect(try await scene.lab.sql("select count(*) from pg_prepared_xacts") == "0\n")
        }
    }

    @Test @EventLoop func `after etcd was rebuilt the rows follow as before, and the past stays the past`() async throws
    {
        try await Scene.playCitus("etcd rebuilt", .scopes, ["mode: own"]) { scene in
            let fence = "select distinct etcd_cluster from pharos.citus_fence"
            _ = try await scene.change(.switchover)
            try await scene.awaitRows()
            let before = try await scene.lab.sql(fence)
            try await scene.rebuildEtcd()
            try await scene.lab.awaitHealth()
            _ = try await scene.change(.switchover)
            try await scene.awaitRows()
            let superseded = try await scene.lab.sql(
                "select count(*) from pharos.citus_fence where groupid = 1 and \(before.dropLast()) = any (superseded)")
            // The lab's etcd gets the same number again if it is made of the same members; then it is the revision that tells.
            let now = try await scene.lab.sql("select etcd_cluster from pharos.citus_fence where groupid = 1")
            #expect(now == before || superseded == "1\n")
            print("etcd cluster \(before.dropLast()), then \(now.dropLast())")
        }
    }

    @Test @EventLoop func `an old coordinator that still accepts writes is told at once, as critical`() async throws {
        try await Scene.playCitus("stale coordinator", .scopes, ["mode: own"]) { scene in
            let old = scene.leader
            // Its PostgreSQL stays, and with it whatever writes to it.
            try await scene.keepDown("patroni")
            try await scene.run(old, "systemctl", "kill", "-s", "KILL", "--kill-whom=main", "patroni")
            let new = try await scene.awaitLeader(of: 0, otherThan: old)
            let told = try await scene.awaitLog(
                new, "two coordinators accept writes: \(LabLayout.address(old)):5432", .seconds(30))
            #expect(told.priority <= 2)
            let outcome = try await scene.lab.exec(new, ["pharos", "verify", "--json"])
            #expect(outcome.exitCode == 2)
            #expect(outcome.text.contains("second-coordinator"), "\(outcome.text)")
            try await scene.bringBack("patroni")
            try await scene.awaitLog(new, "\(LabLayout.address(old)):5432 no longer accepts writes", .seconds(60))
            try await scene.awaitRows()
        }
    }

    @Test @EventLoop func `standbys are registered as secondaries, swap roles, and the pool follows`() async throws {
        let settings = [
            "mode: own", "secondaries: register", #"poolinfo: { 1: "host={host} port={port}" }"#,
        ]
        try await Scene.playCitus("secondaries and pools", .scopes, settings) { scene in
            let grants = ["pharos", "grant-sql", "--role", "pharos", "--secondaries"]
            for database in LabCitus.databases {
                try await scene.lab.sql(try await scene.lab.run(scene.leader, grants), database: database)
            }
            let list = "select groupid, noderole, nodename from pg_dist_node order by groupid, noderole"
            @EventLoop func nodes(_ database: String) async throws -> [String] {
                try await scene.lab.sql(list, database: database).split(separator: "\n").map(String.init)
            }
            @EventLoop func expected() async throws -> [String] {
                let worker = try await scene.worker()
                return [
                    "0|primary|\(LabLayout.address(scene.leader))",
                    "0|secondary|\(LabLayout.address(try scene.other(than: scene.leader)))",
                    "1|primary|\(LabLayout.address(worker))",
                    "1|secondary|\(LabLayout.address(try scene.other(than: worker)))",
                ]
            }
            for database in LabCitus.databases {
                try await scene.wait("the secondaries of \(database)", .seconds(120)) {
                    try await nodes(database) == expected()
                }
            }
            let ids = "select string_agg(nodeid || noderole::text, ' ' order by nodeid) from pg_dist_node"
            let before = try await scene.lab.sql(ids)
            _ = try await scene.change(.switchover)
            let worker = try await scene.worker()
            let pool = "select poolinfo from pg_dist_poolinfo"
            for database in LabCitus.databases {
                try await scene.wait("the swap in \(database)", .seconds(20)) {
                    try await nodes(database) == expected()
                }
                try await scene.wait("the pool of \(database)", .seconds(20)) {
                    try await scene.lab.sql(pool, database: database)
                        == "host=\(LabLayout.address(worker)) port=5432\n"
                }
            }
            #expect(try await scene.lab.sql(ids) == before, "rows keep their ids and roles")
            // As it was, for the scenes that follow.
            try await scene.lab.configureCitus(["mode: observe"])
            for database in LabCitus.databases {
                try await scene.lab.sql(
                    """
                    select citus_remove_node(nodename, nodeport) from pg_dist_node where noderole = 'secondary';
                    delete from pg_dist_poolinfo
                    """, database: database)
            }
        }
    }
}

extension Scene {
    /// A transaction that waits at its commit for advisory lock 4242, where it has passed Pharos's fence.
    static let commitBrake = """
        create function brake() returns trigger language plpgsql as $$
        begin perform pg_advisory_xact_lock_shared(4242); return null; end $$;
        create constraint trigger brake after insert or update on pharos.citus_fence
            deferrable initially deferred for each row execute function brake()
        """

    /// A session of the superuser on the coordinator that has run these statements and stays, with what they have locked;
    /// answers its process id.
    func blocker(_ statements: String) async throws -> Int {
        let script = "(echo \"$1\"; sleep 600) | PGAPPNAME=blocker psql -X -q -d app"
        try await self.run(
            self.leader, "systemd-run", "--quiet", "--collect", "--uid=postgres", "sh", "-c", script, "sh",
            statements + ";")
        var process = 0
        try await self.wait("the blocker to hold what it was asked to", .seconds(10)) {
            let text = try await self.lab.sql(
                "select max(pid) from pg_stat_activity where application_name = 'blocker' and state = 'idle in transaction'"
            )
            process = Int(text.dropLast()) ?? 0
            return process != 0
        }
        return process
    }
}
