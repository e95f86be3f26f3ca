// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// A whole Citus cluster goes back to a restore point, with Patroni on every node: docs/restore.md, step by step.
extension LabTests {
    @Test(arguments: LabCitus.Layout.allCases) @EventLoop
    func `a cluster is restored to a point by the manual, and what is wrong on the way is refused`(
        layout: LabCitus.Layout
    ) async throws {
        try await Scene.playCitus("restore", layout, ["mode: own"]) { scene in
            let groups = scene.lab.options.groups
            let leaders = try await scene.lab.leaders()
            let (coordinator, worker) = (try #require(leaders[0]), try #require(leaders[1]))
            let standbys = groups.flatMap(\.nodes).filter { !leaders.values.contains($0) }
            // Before it is needed.
            for node in leaders.values { try await scene.takeBackup(on: node) }
            try await scene.writeItems(1...20)
            try await scene.run(coordinator, "pharos", "restore-point", "hourly", "--wait", "60")
            // What nobody wants to keep, and one table more.
            try await scene.writeItems(21...40)
            try await scene.lab.sql("create table mistake (k integer)")
            // 1 is the network's; 2: the leadership wanders meanwhile, as it does on such a day.
            let dynamic = try await scene.keepDynamicConfiguration(on: coordinator)
            for node in groups.flatMap(\.nodes) {
                try await scene.run(node, "systemctl", "disable", "--now", "patroni", "pharos")
                try await scene.shell(node, "mv \(scene.data) \(scene.data).before")
            }
            for node in [coordinator, worker] { try await scene.forgetCluster(on: node) }
            // 3, 4, 5: the coordinator first. No cluster is up: etcd alone says what the points are.
            let recovery = try await scene.recoverySettings(of: "hourly", on: coordinator)
            for node in [coordinator, worker] { try await scene.quietCitus(on: node) }
            try await scene.restoreByHand(coordinator, recovery[0] ?? "")
            // 6
            try await scene.run(coordinator, "systemctl", "start", "patroni")
            try await scene.wait("\(coordinator) to lead", .seconds(60)) {
                try await scene.lab.leader() == coordinator
            }
            try await scene.restoreDynamicConfiguration(on: coordinator)
            #expect(try await scene.keepDynamicConfiguration(on: coordinator) == dynamic)
            // 7: while a group is not there, nothing that was not looked at is called in order.
            let alone = try await scene.walk(on: coordinator)
            #expect(alone.contains("NOT YET  3.") && alone.contains("group-vanished"))
            #expect(!alone.contains("ok       6.") && alone.contains("NOT SEEN 6."), "\(alone)")
            #expect(!alone.contains("may be opened"))
            // As one does it who restores the coordinator alone: the worker goes on where it was.
            try await scene.shell(worker, "mv \(scene.data).before \(scene.data)")
            try await scene.run(worker, "systemctl", "start", "patroni")
            try await scene.wait("\(worker) to lead with what it had", .seconds(60)) {
                try await scene.lab.leader(group: 1) == worker
            }
            var older = ""
            try await scene.wait("the walk to see the worker", .seconds(30)) {
                older = try await scene.walk(on: coordinator)
                return !older.contains("group-vanished")
            }
            #expect(older.contains("NOT YET  6.") && older.contains("restore-points-differ"), "\(older)")
            #expect(!older.contains("may be opened"), "\(older)")
            try await scene.run(worker, "systemctl", "stop", "patroni")
            try await scene.shell(worker, "mv \(scene.data) \(scene.data).before")
            try await scene.forgetCluster(on: worker)
            // As one does it who has not read step 5: Patroni drops the target, and the server waits for what will never come.
            try await scene.placeBackup(on: worker, recovery[1] ?? "")
            try await scene.run(worker, "systemctl", "start", "patroni")
            try await scene.wait("Patroni to drop the target", .seconds(30)) {
                let text = try await scene.lab.run(
                    worker, ["sh", "-c", "grep recovery_target_name \(scene.data)/postgresql.conf | tail -1"])
                return text.contains("= ''")
            }
            #expect(!(try await scene.walk(on: coordinator)).contains("may be opened"))
            try await scene.run(worker, "systemctl", "stop", "patroni")
            // By the manual's second way, first with a script that cannot run twice: attempt after attempt fails.
            try await scene.shell(worker, "rm -rf \(scene.data)")
            try await scene.bootstrap(worker, recovery[1] ?? "", isScriptKept: true)
            try await scene.wait("the bootstrap to fail twice", .seconds(60)) {
                try await scene.records(worker, ["-u", "patroni"]).count { $0.message.contains("Failed to bootstrap") }
                    >= 2
            }
            #expect(!(try await scene.walk(on: coordinator)).contains("may be opened"))
            try await scene.run(worker, "systemctl", "stop", "patroni")
            try await scene.shell(worker, "rm -rf \(scene.data) \(scene.data).failed*")
            try await scene.bootstrap(worker, recovery[1] ?? "", isScriptKept: false)
            try await scene.wait("\(worker) to lead", .seconds(60)) { try await scene.lab.leader(group: 1) == worker }
            // The walk to its end.
            try await scene.wait("the walk to end well", .seconds(30)) {
                try await scene.walk(on: coordinator).split(separator: "\n").count { $0.contains("may be opened") }
                    == LabCitus.databases.count
            }
            #expect(
                try await scene.itemCount(on: [coordinator, worker]) == "20\n",
                "what was written before the point, and nothing after it")
            #expect(try await scene.lab.sql("select count(*) from pg_class where relname = 'mistake'") == "0\n")
            // 11
            for node in standbys { try await scene.run(node, "systemctl", "start", "patroni") }
            // 12
            for node in [coordinator, worker] { try await scene.unquietCitus(on: node) }
            for node in groups.flatMap(\.nodes) {
                try await scene.run(node, "systemctl", "enable", "patroni", "pharos")
                try await scene.run(node, "systemctl", "start", "pharos")
            }
            #expect(try await scene.lab.awaitHealth() == coordinator)
            try await scene.awaitHolders([coordinator], .seconds(30))
            try await scene.awaitRows()
            let verified = try await scene.lab.exec(coordinator, ["pharos", "verify", "--deep"])
            #expect(verified.exitCode == 0, "\(verified.text)")
            for node in groups.flatMap(\.nodes) {
                try await scene.shell(node, "rm -rf \(scene.data).before \(Scene.backup) \(Scene.archive)")
            }
        }
    }

    @Test @EventLoop func `a drill beside the living cluster proves the backups and leaves the cluster alone`()
        async throws
    {
        try await Scene.playCitus("drill", .scopes, ["mode: own"]) { scene in
            let leaders = try await scene.lab.leaders()
            let living = (try #require(leaders[0]), try #require(leaders[1]))
            // The drill's servers: here those that are standbys otherwise.
            let drill = (try scene.other(than: living.0), try scene.other(than: living.1))
            for node in leaders.values { try await scene.takeBackup(on: node) }
            try await scene.writeItems(1...20)
            try await scene.run(living.0, "pharos", "restore-point", "drill", "--wait", "60")
            let recovery = try await scene.recoverySettings(of: "drill", on: living.0)
            let record = try await scene.lab.run(living.0, ["pharos", "restore-points", "--json"])
            for (from, to) in [(living.0, drill.0), (living.1, drill.1)] {
                try await scene.run(to, "systemctl", "disable", "--now", "patroni", "pharos")
                try await scene.shell(to, "mv \(scene.data) \(scene.data).before")
                try await scene.copyBackup(from: from, to: to)
                try await scene.isolate(to, from: [living.0, living.1])
            }
            // An etcd and scopes of its own, and no archive that anybody else uses.
            try await scene.startEtcdOfDrill(on: drill.0)
            let scopes = [drill.0: "drill", drill.1: "drill-w1"]
            for (node, scope) in scopes {
                try await scene.quietCitus(on: node, more: ["archive_mode: \"off\""])
                try await scene.joinDrill(node, scope: scope, etcd: drill.0, record: record)
            }
            for (node, group) in [(drill.0, 0), (drill.1, 1)] {
                try await scene.restoreByHand(node, (recovery[group] ?? "") + "archive_mode = off\n")
                try await scene.run(node, "systemctl", "start", "patroni")
            }
            let arguments = ["--after-restore", "--record", "/root/record.json"]
            // The rows are those of the living cluster: not to be opened so.
            try await scene.wait("the rows of the living cluster to be told", .seconds(60)) {
                let text = try await scene.walk(on: drill.0, arguments)
                return text.contains("row-not-leader") && !text.contains("group-vanished")
            }
            #expect(!(try await scene.walk(on: drill.0, arguments)).contains("may be opened"))
            let repair = try await scene.lab.exec(drill.0, ["pharos", "repair", "row-not-leader"])
            // Done, and not looked at: the servers that the rows named, behind the border.
            #expect(repair.exitCode == 69 && repair.text.contains("  done, all 2 in one transaction"), "\(repair.text)")
            #expect(try await scene.lab.rows(on: drill.0) == [0: drill.0, 1: drill.1])
            try await scene.wait("the walk to end well", .seconds(30)) {
                try await scene.walk(on: drill.0, arguments).split(separator: "\n").count {
                    $0.contains("may be opened")
                }
                    == LabCitus.databases.count
            }
            // Without the record, which only the living cluster's etcd has, nothing is proven.
            #expect((try await scene.walk(on: drill.0)).contains("restore-point-unproven"))
            try await scene.writeItems(21...40)
            #expect(try await scene.itemCount(on: [drill.0, drill.1]) == "20\n")
            #expect(try await scene.itemCount(on: [living.0, living.1]) == "40\n")
            #expect(try await scene.lab.rows(on: living.0) == [0: living.0, 1: living.1])
            let verified = try await scene.lab.exec(living.0, ["pharos", "verify", "--deep"])
            #expect(verified.exitCode == 0, "the living cluster: \(verified.text)")
            print(
                "dropped at the drill's border: \(try await scene.lab.run(drill.0, ["nft", "list", "table", "inet", "drill"]))"
            )
            // The servers go back to where they were.
            for node in [drill.0, drill.1] { try await scene.leaveDrill(node) }
            try await scene.lab.awaitHealth()
            try await scene.awaitRows()
            for node in [living.0, living.1] { try await scene.shell(node, "rm -rf \(Scene.backup) \(Scene.archive)") }
        }
    }
}
