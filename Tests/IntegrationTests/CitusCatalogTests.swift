// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EventLoop
import PostgresClient
import TestSupport
import Testing

@testable import Shell

extension IntegrationTests {
    /// What is written to `pg_dist_node`, against the stand-in for Citus.
    @Suite(.serialized)
    struct CitusCatalogTests {
        init() { EventLoop.shared.executor.startThread() }

        /// A registered cluster: node 1 is the coordinator, 2 the worker of group 1, 3 that of group 2.
        @EventLoop
        private struct Cluster {
            let citus: LocalCitus
            let session: PostgresConnection
            let catalog: CitusCatalog

            init() async throws {
                self.citus = try await LocalCitus()
                self.session = try await PostgresConnection(self.citus.conninfo("c"))
                self.catalog = try await CitusCatalog(PostgresConnection(self.citus.conninfo("c")))
                for statement in CitusCatalog.fenceTable + [
                    "select citus_set_coordinator_host('127.0.0.1', \(self.citus.ports[0]))",
                    "select citus_add_node('127.0.0.1', \(self.citus.ports[1]))",
                    "select citus_add_node('127.0.0.1', \(self.citus.ports[2]))",
                    "create table d (a integer)", "select citus_stand_in.distribute('d', 8)",
                ] { _ = try await self.session.query(statement) }
            }

            /// Where the node with `id` is, as the catalog says.
            func address(of id: Int) async throws -> String? {
                try await self.catalog.nodes().first { $0.id == id }.map { "\($0.host):\($0.port)" }
            }

            /// The fence of group 1.
            func fence() async throws -> [[String?]] {
                try await self.session.query(
                    "select etcd_cluster, revision, superseded from pharos.citus_fence where groupid = 1")
            }
        }

        /// Node 2 moves to `host`, on the authority of `revision` of an etcd cluster.
        private func update(_ host: String, etcd: UInt64 = .max, revision: Int64) -> CitusUpdate {
            CitusUpdate([self.part(host, revision: revision)], etcdCluster: etcd)
        }

        private func part(_ host: String, revision: Int64, group: Int = 1) -> CitusUpdate.Part {
            CitusUpdate.Part(
                group: group, steps: [.move(nodeID: group + 1, host: host, port: 6432)], revision: revision)
        }

        @Test @EventLoop func `rows are read as they are`() async throws {
            let cluster = try await Cluster()
            _ = try await cluster.session.query("update pg_dist_node set metadatasynced = null where nodeid = 3")
            let nodes = try await cluster.catalog.nodes()
            #expect(nodes.map(\.id) == [1, 2, 3] && nodes.map(\.group) == [0, 1, 2])
            #expect(nodes.map(\.port) == Array(cluster.citus.ports[0..<3]))
            #expect(nodes.map(\.isSynchronized) == [true, true, false])
            #expect(nodes.allSatisfy { $0.host == "127.0.0.1" && $0.role == .primary && $0.cluster == "default" })
            #expect(nodes.allSatisfy { $0.isActive && $0.hasMetadata })
        }

        @Test @EventLoop func `the past changes nothing, and a replaced etcd is the past`() async throws {
            let cluster = try await Cluster()
            let catalog = cluster.catalog
            #expect(try await catalog.apply(self.update("new", revision: 20)) == .applied)
            #expect(try await cluster.address(of: 2) == "new:6432")
            // A second attempt with the same knowledge is no past; older knowledge is.
            #expect(try await catalog.apply(self.update("new", revision: 20)) == .applied)
            let older = try await catalog.apply(self.update("old", revision: 19))
            #expect(older == .refused(.olderRevision(group: 1, applied: 20)))
            #expect(try await cluster.address(of: 2) == "new:6432")
            // A rebuilt etcd counts from the beginning. What the one before it says does not count any more.
            #expect(try await catalog.apply(self.update("rebuilt", etcd: 7, revision: 3)) == .applied)
            let before = try await catalog.apply(self.update("old", revision: 1000))
            #expect(before == .refused(.supersededCluster(group: 1, by: 7)))
            #expect(try await cluster.address(of: 2) == "rebuilt:6432")
            #expect(try await cluster.fence() == [["7", "3", "{\(UInt64.max)}"]])
            // Groups have fences of their own.
            let other = CitusUpdate([self.part("other", revision: 1, group: 2)], etcdCluster: 7)
            #expect(try await catalog.apply(other) == .applied)
        }

        @Test @EventLoop func `the rows of several groups are changed together or not at all, and the cause is told`()
            async throws
        {
            let cluster = try await Cluster()
            let catalog = cluster.catalog
            var both = CitusUpdate(
                [self.part("new1", revision: 5), self.part("new2", revision: 5, group: 2)], etcdCluster: 7)
            #expect(try await catalog.apply(both) == .applied)
            #expect(try await cluster.address(of: 2) == "new1:6432")
            #expect(try await cluster.address(of: 3) == "new2:6432")
            // The second group's fence refuses: the first one's row stays, and so does its fence.
            both.parts = [self.part("newer1", revision: 9), self.part("older2", revision: 4, group: 2)]
            #expect(try await catalog.apply(both) == .refused(.olderRevision(group: 2, applied: 5)))
            #expect(try await cluster.address(of: 2) == "new1:6432")
            #expect(try await cluster.fence().first?[1] == "5")
            // The second group's change fails.
            both.parts = [self.part("newer1", revision: 9), self.part("newer2", revision: 9, group: 2)]
            // The second group's row is not where it was read: nothing is written over what somebody has changed meanwhile.
            let from = CitusUpdate.Place(host: "elsewhere", port: 6432)
            both.parts[1].steps = [.move(nodeID: 3, host: "newer2", port: 6432, from: from)]
            #expect(try await catalog.apply(both) == .refused(.rowChanged(group: 2)))
            #expect(try await cluster.address(of: 2) == "new1:6432")
            #expect(try await cluster.address(of: 3) == "new2:6432")
            both.parts[1].steps = [.move(nodeID: 99, host: "nobody", port: 1)]
            let error = await #expect(throws: CitusError.self) { try await catalog.apply(both) }
            guard case .change(group: 2, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await cluster.address(of: 2) == "new1:6432")
            #expect(try await cluster.fence().first?[1] == "5")
        }

        @Test @EventLoop func `an etcd that was replaced is in force again once a person has said so`() async throws {
            let cluster = try await Cluster()
            let catalog = cluster.catalog
            // A site, the disaster site with an etcd of its own, and the site again.
            #expect(try await catalog.apply(self.update("a", etcd: 7, revision: 100)) == .applied)
            #expect(try await catalog.apply(self.update("b", etcd: 8, revision: 5)) == .applied)
            let back = self.update("c", etcd: 7, revision: 900)
            #expect(try await catalog.apply(back) == .refused(.supersededCluster(group: 1, by: 8)))
            #expect(try await catalog.fences(superseding: 7) == [1: 8])
            #expect(try await catalog.fences(superseding: 8) == [:])
            try await catalog.run([CitusCatalog.statementToReinstate(7, group: 1)])
            #expect(try await catalog.apply(back) == .applied)
            #expect(try await catalog.fences(superseding: 8) == [1: 7])
            #expect(
                try await catalog.apply(self.update("d", etcd: 8, revision: 6))
                    == .refused(.supersededCluster(group: 1, by: 7)))
        }

        /// Citus has settings that only members of `pg_read_all_settings` may see, such as `citus.node_conninfo`; so has PostgreSQL.
        @Test @EventLoop func `a setting that the role may not see hides nothing else`() async throws {
            let cluster = try await Cluster()
            _ = try await cluster.session.query("create role guest login")
            let guest = try await CitusCatalog(PostgresConnection(cluster.citus.conninfo("c") + " user=guest"))
            let names = ["data_directory", "work_mem", "pharos.nothing", "citus.node_conninfo"]
            let shown = try await guest.settings(names)
            // Citus's own is one that SQL cannot make: what the stand-in has by that name, everybody may see.
            let hidden = ["data_directory"] + (LocalCitus.isReal ? ["citus.node_conninfo"] : [])
            #expect(shown.hidden == hidden)
            #expect(Set(shown.values.keys) == Set(names).subtracting(hidden + ["pharos.nothing"]))
            _ = try await cluster.session.query("grant pg_read_all_settings to guest")
            #expect(try await guest.settings(names).hidden == [])
        }

        /// With Patroni's Citus mode every commit waits for a standby, which may have died together with the worker.
        @Test @EventLoop func `a row is moved while no synchronous standby is there`() async throws {
            let cluster = try await Cluster()
            for statement in ["alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()"] {
                _ = try await cluster.session.query(statement)
            }
            #expect(
                try await eventually(within: .seconds(20)) {
                    try await cluster.session.query("show synchronous_standby_names") == [["nobody"]]
                })
            #expect(try await cluster.catalog.apply(self.update("new", revision: 20)) == .applied)
            #expect(try await cluster.address(of: 2) == "new:6432")
        }

        @Test @EventLoop func `reference tables are seen`() async throws {
            let cluster = try await Cluster()
            #expect(try await cluster.catalog.hasSharedShards() == false)
            _ = try await cluster.session.query("create table r (a integer)")
            _ = try await cluster.session.query("select citus_stand_in.reference('r')")
            #expect(try await cluster.catalog.hasSharedShards() == true)
        }

        /// Citus's own worker can be had with the extension only: what must not be cancelled is tried here.
        @Test @EventLoop func `no session of a person's is interrupted as if it were Citus's worker`() async throws {
            let cluster = try await Cluster()
            _ = try await cluster.session.query(CitusCatalog.interruptSynchronization)
            let name = CitusCatalog.synchronizationWorker
            let person = try await PostgresConnection(cluster.citus.conninfo("c") + " application_name='\(name)'")
            _ = try await person.query("begin")
            _ = try await person.query("lock table pg_dist_node in row exclusive mode")
            let waiting = try await PostgresConnection(cluster.citus.conninfo("c"))
            var update = self.update("new", revision: 5)
            update.lockTimeout = .seconds(2)
            let attempt = update
            var outcome: CitusError?
            let task = EventLoop.spawn {
                do throws(CitusError) { _ = try await CitusCatalog(waiting).apply(attempt) } catch { outcome = error }
            }
            try await EventLoop.sleep(for: .milliseconds(500))
            let blockers = try await cluster.catalog.blockers(of: waiting.backendPID)
            #expect(blockers.map(\.pid) == [person.backendPID] && blockers.first?.application == name)
            #expect(try await cluster.catalog.interruptSynchronization(blocking: waiting.backendPID) == 0)
            await task.value
            guard case .change(group: 1, let cause) = outcome else {
                Issue.record("\(String(describing: outcome))")
                return
            }
            #expect(cause.sqlState == "55P03")
            #expect(try await person.query("select 1") == [["1"]])
        }

        @Test @EventLoop func `nothing but the coordinator's primary is written to`() async throws {
            let cluster = try await Cluster()
            let copy = "select md5(string_agg(n::text, ',' order by nodeid)) from pg_dist_node n"
            try await cluster.citus.addStandby()
            for (name, refusal) in [
                ("w1", CitusUpdateOutcome.Refusal.notCoordinator(group: 1)), ("w1s", .inRecovery),
            ] {
                let session = try await PostgresConnection(cluster.citus.conninfo(name))
                let before = try await session.query(copy)
                #expect(try await CitusCatalog(session).apply(self.update("new", revision: 1)) == .refused(refusal))
                #expect(try await session.query(copy) == before)
            }
        }

        @Test @EventLoop func `a call that is blocked gives up, and moves neither row nor fence`() async throws {
            let cluster = try await Cluster()
            let writer = try await PostgresConnection(cluster.citus.conninfo("c"))
            _ = try await writer.query("begin")
            _ = try await writer.query("select citus_stand_in.write_to_group('d', 1)")
            let before = try await cluster.address(of: 2)
            var update = self.update("new", revision: 5)
            update.lockTimeout = .milliseconds(100)
            let error = await #expect(throws: CitusError.self) { try await cluster.catalog.apply(update) }
            guard case .change(group: 1, let cause) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(cause.sqlState == "55P03")
            #expect(try await cluster.address(of: 2) == before)
            #expect(try await cluster.fence() == [])
            // The same connection serves the next attempt, which ends who is in the way.
            update.lockTimeout = .seconds(5)
            update.parts[0].blockers = .terminate(after: .zero)
            #expect(try await cluster.catalog.apply(update) == .applied)
            #expect(try await cluster.address(of: 2) == "new:6432")
            await #expect(throws: PostgresError.self) { try await writer.query("select 1") }
        }

        @Test @EventLoop func `a transaction that fails half way, or loses its connection, changes nothing`()
            async throws
        {
            let cluster = try await Cluster()
            let before = try await cluster.address(of: 2)
            var update = self.update("new", revision: 5)
            update.parts[0].steps.append(.move(nodeID: 99, host: "nobody", port: 1))
            let unknown = await #expect(throws: CitusError.self) { try await cluster.catalog.apply(update) }
            guard case .change(group: 1, let cause) = unknown else {
                Issue.record("\(String(describing: unknown))")
                return
            }
            #expect(cause.sqlState == "P0002")
            #expect(try await cluster.address(of: 2) == before)
            #expect(try await cluster.fence() == [])
            // A connection that ends while the second of two moves waits for a lock.
            let writer = try await PostgresConnection(cluster.citus.conninfo("c"))
            _ = try await writer.query("begin")
            _ = try await writer.query("select citus_stand_in.write_to_group('d', 2)")
            update.parts[0].steps[1] = .move(nodeID: 3, host: "elsewhere", port: 1)
            let attempt = update
            let lost = try await PostgresConnection(cluster.citus.conninfo("c"))
            var outcome: CitusError?
            let task = EventLoop.spawn {
                do throws(CitusError) { _ = try await CitusCatalog(lost).apply(attempt) } catch { outcome = error }
            }
            let blocked = """
                select pg_terminate_backend(pid) from pg_stat_activity
                where wait_event_type = 'Lock' and query like '%citus_update_node%' and pid <> pg_backend_pid()
                """
            let deadline = ContinuousClock.now + .seconds(20)
            while try await cluster.session.query(blocked).isEmpty, ContinuousClock.now < deadline {
                try await EventLoop.sleep(for: .milliseconds(10))
            }
            await task.value
            guard case .database(let end) = outcome else {
                Issue.record("\(String(describing: outcome))")
                return
            }
            #expect(end.sqlState == "57P01" && !lost.isUsable)
            #expect(try await cluster.address(of: 2) == before)
            #expect(try await cluster.fence() == [])
        }

        /// The stand-in has no worker in the background.
        @Test(.enabled(if: LocalCitus.isReal)) @EventLoop
        func `Citus's worker that waits for a dead node is interrupted, and the update passes`() async throws {
            let cluster = try await Cluster()
            let grants = CitusGrants(writes: true, secondaries: false, pools: false)
            for (_, sql) in grants.statements(role: "mover") { _ = try await cluster.session.query(sql) }
            let conninfo = try cluster.citus.conninfo("c") + " user=mover"
            // Up, and silent: Citus waits for it for citus.node_connection_timeout, 30 s.
            cluster.citus.servers["w2"]?.freeze()
            defer { cluster.citus.servers["w2"]?.thaw() }
            #expect(
                try await CitusCatalog(PostgresConnection(conninfo)).apply(self.update("new", revision: 5)) == .applied)
            let busy = """
                select a.pid from pg_locks l join pg_stat_activity a using (pid) where l.relation = 'pg_dist_node'::regclass
                    and l.mode = 'RowExclusiveLock' and a.application_name = '\(CitusCatalog.synchronizationWorker)'
                """
            let isBusy = try await eventually(within: .seconds(20)) {
                try await !cluster.session.query(busy).isEmpty
            }
            #expect(isBusy)
            let waiting = try await PostgresConnection(conninfo)
            var update = self.update("newer", revision: 6)
            update.lockTimeout = .seconds(5)
            let attempt = update
            var outcome: CitusUpdateOutcome?
            let task = EventLoop.spawn {
                do throws(CitusError) { outcome = try await CitusCatalog(waiting).apply(attempt) } catch {
                    Issue.record("\(error)")
                }
            }
            let other = try await CitusCatalog(PostgresConnection(conninfo))
            let isBlocked = try await eventually(within: .seconds(5)) {
                try await other.blockers(of: waiting.backendPID).contains {
                    $0.application == CitusCatalog.synchronizationWorker
                }
            }
            #expect(isBlocked)
            #expect(try await other.interruptSynchronization(blocking: waiting.backendPID) == 1)
            await task.value
            #expect(outcome == .applied)
            #expect(try await cluster.address(of: 2) == "newer:6432")
        }

        @Test @EventLoop func `a planned swap with a registered secondary keeps ids and roles`() async throws {
            let cluster = try await Cluster()
            let (first, second) = (cluster.citus.ports[1], cluster.citus.ports[3])
            let add = "select citus_add_secondary_node('127.0.0.1', \(second), '127.0.0.1', \(first))"
            #expect(try await cluster.session.query(add) == [["4"]])
            let rows = try await cluster.catalog.nodes().map { node in
                let role: NodeRow.Role =
                    switch node.role {
                    case .primary: .primary
                    case .secondary: .secondary
                    case .unavailable: .unavailable
                    }
                return NodeRow(
                    id: node.id, group: node.group, endpoint: NodeEndpoint(node.host, node.port), role: role)
            }
            guard case .moves(let moves) = NodeRowPlan(group: 1, leader: NodeEndpoint("127.0.0.1", second), rows: rows)
            else {
                Issue.record("no moves")
                return
            }
            let steps = moves.map {
                CitusUpdate.Step.move(
                    nodeID: $0.id, host: $0.endpoint.host, port: $0.endpoint.port,
                    from: CitusUpdate.Place(host: $0.from.host, port: $0.from.port))
            }
            let update = CitusUpdate([CitusUpdate.Part(group: 1, steps: steps, revision: 1)], etcdCluster: 1)
            #expect(try await cluster.catalog.apply(update) == .applied)
            let after = try await cluster.catalog.nodes().filter { $0.group == 1 }
            #expect(after.map(\.id) == [2, 4] && after.map(\.role) == [.primary, .secondary])
            #expect(after.map(\.port) == [second, first])
        }

        @Test @EventLoop func `what grant-sql gives is enough for every step, and without it each is refused`()
            async throws
        {
            let cluster = try await Cluster()
            try await cluster.citus.addStandby()
            let (standby, worker) = (cluster.citus.ports[3], cluster.citus.ports[1])
            let steps: [(CitusUpdate.Step, CitusGrants)] = [
                (
                    .pool(nodeID: 2, "host=127.0.0.1 port=\(worker)"),
                    CitusGrants(writes: true, secondaries: false, pools: true)
                ),
                (
                    .addSecondary(host: "127.0.0.1", port: standby, primaryHost: "127.0.0.1", primaryPort: worker),
                    CitusGrants(writes: true, secondaries: true, pools: false)
                ),
                (
                    .remove(host: "127.0.0.1", port: standby),
                    CitusGrants(writes: true, secondaries: true, pools: false)
                ),
                // Last: nobody answers there, and Citus itself brings grants to every worker.
                (
                    .move(nodeID: 2, host: "127.0.0.1", port: cluster.citus.ports[5]),
                    CitusGrants(writes: true, secondaries: false, pools: false)
                ),
            ]
            for (number, (step, grants)) in steps.enumerated() {
                let role = "r\(number)"
                let reading = CitusGrants(writes: false, secondaries: false, pools: false)
                for (_, sql) in reading.statements(role: role) { _ = try await cluster.session.query(sql) }
                try await cluster.citus.shareRole(role)
                let session = try await PostgresConnection(cluster.citus.conninfo("c") + " user=\(role)")
                let catalog = CitusCatalog(session)
                #expect(try await catalog.nodes().count >= 3)
                let update = CitusUpdate(
                    [CitusUpdate.Part(group: 1, steps: [step], revision: 1)], etcdCluster: 1)
                let error = await #expect(throws: CitusError.self) { try await catalog.apply(update) }
                let cause: PostgresError
                switch error {
                case .database(let refused), .change(_, let refused): cause = refused
                default:
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(cause.sqlState == "42501", "\(cause)")
                for (_, sql) in grants.statements(role: role) { _ = try await cluster.session.query(sql) }
                _ = try await cluster.session.query("select citus_stand_in.sync()")
                #expect(try await catalog.apply(update) == .applied, "\(step)")
            }
            #expect(try await cluster.address(of: 2) == "127.0.0.1:\(cluster.citus.ports[5])")
        }

        @Test @EventLoop func `a role that may only read the fence cannot use it`() async throws {
            let cluster = try await Cluster()
            for statement in [
                "create role reader login", "grant usage on schema pharos to reader",
                "grant select on pharos.citus_fence to reader",
            ] { _ = try await cluster.session.query(statement) }
            let conninfo = try cluster.citus.conninfo("c") + " user=reader"
            let catalog = try await CitusCatalog(PostgresConnection(conninfo))
            #expect(try await catalog.fenceProblem() == "the role reader lacks rights on it")
            _ = try await cluster.session.query("grant insert, update on pharos.citus_fence to reader")
            #expect(try await catalog.fenceProblem() == nil)
        }

        /// What Citus does with a new schema and its tables then, the stand-in does not.
        @Test(.enabled(if: LocalCitus.isReal)) @EventLoop
        func `where schemas are sharded the fence is a plain table all the same`() async throws {
            let cluster = try await Cluster()
            _ = try await cluster.session.query("set citus.enable_schema_based_sharding to on")
            // Made as a person would: a table of a tenant, on some worker.
            for statement in [
                "drop schema pharos cascade", "create schema pharos",
                "create table pharos.citus_fence (groupid integer)",
            ] { _ = try await cluster.session.query(statement) }
            let problem = try await CitusCatalog(cluster.session).fenceProblem()
            #expect(problem?.hasPrefix("it is a distributed table") == true, "\(problem ?? "nil")")
            _ = try await cluster.session.query("drop schema pharos cascade")
            let grants = CitusGrants(writes: true, secondaries: false, pools: false)
            for (_, sql) in grants.statements(role: "mover") { _ = try await cluster.session.query(sql) }
            let sharded = "select from pg_dist_partition where logicalrelid = 'pharos.citus_fence'::regclass"
            #expect(try await cluster.session.query(sharded).isEmpty)
            let conninfo = try cluster.citus.conninfo("c") + " user=mover"
            let mover = try await CitusCatalog(PostgresConnection(conninfo))
            #expect(try await mover.fenceProblem() == nil)
            #expect(try await mover.apply(self.update("new", revision: 5)) == .applied)
        }

        @Test @EventLoop func `what waits to be held is let go, and its wish for locks with it`() async throws {
            let cluster = try await Cluster()
            let grants = CitusGrants(writes: true, secondaries: false, pools: false)
            for (_, sql) in grants.statements(role: "mover") { _ = try await cluster.session.query(sql) }
            let conninfo = try cluster.citus.conninfo("c") + " user=mover"
            let database = CoordinatorDatabase(
                "postgres", conninfo: conninfo,
                nodes: NodeConnections(conninfo: "user=mover", database: "postgres", resolver: HostResolver())
            ) { _ in }
            // Somebody writes to the fence's row, and stays.
            for statement in [
                "begin", "insert into pharos.citus_fence (groupid, etcd_cluster, revision) values (1, 7, 1)",
            ] { _ = try await cluster.session.query(statement) }
            var ended: CitusEvent?
            let holding = EventLoop.spawn {
                ended = await database.hold(
                    1, 2, GroupAuthority(clusterID: 7, revision: 5), limit: .seconds(30))
            }
            let other = try await PostgresConnection(cluster.citus.conninfo("c"))
            let waiting = "select from pg_stat_activity where usename = 'mover' and wait_event_type = 'Lock'"
            let isWaiting = try await eventually(within: .seconds(10)) { try await !other.query(waiting).isEmpty }
            #expect(isWaiting && ended == nil)
            #expect(await database.releaseHold(1) == .holdEnded("postgres", group: 1, reason: "released"))
            await holding.value
            guard case .holdEnded("postgres", group: 1, let reason)? = ended else {
                Issue.record("\(String(describing: ended))")
                return
            }
            #expect(!reason.contains("lock timeout"), "it was not waited for: \(reason)")
            // Its own limit for the locks is 2 s: that it is gone before is the release's doing.
            let isGone = try await eventually(within: .milliseconds(1500)) { try await other.query(waiting).isEmpty }
            #expect(isGone)
            // One that has not come as far as its connection.
            ended = nil
            let hasty = EventLoop.spawn {
                ended = await database.hold(
                    1, 2, GroupAuthority(clusterID: 7, revision: 5), limit: .seconds(30))
            }
            await Task.yield()
            // Of another group it lets nothing go.
            #expect(await database.releaseHold(3) == .holdEnded("postgres", group: 3, reason: "released"))
            #expect(await database.releaseHold(1) == .holdEnded("postgres", group: 1, reason: "released"))
            await hasty.value
            #expect(ended == .holdEnded("postgres", group: 1, reason: "released"))
            database.stop()
        }
    }
}
