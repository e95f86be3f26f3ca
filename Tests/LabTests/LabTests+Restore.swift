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
            let recovery = try await scene.recoverySettings(of: "hourly", on: coordinator)
            // 1 is the network's; 2
            for node in groups.flatMap(\.nodes) {
                try await scene.run(node, "systemctl", "disable", "--now", "patroni", "pharos")
                try await scene.shell(node, "mv \(scene.data) \(scene.data).before")
            }
            // 3, 4, 5: the coordinator first.
            for node in [coordinator, worker] { try await scene.quietCitus(on: node) }
            try await scene.restoreByHand(coordinator, recovery[0] ?? "")
            // 6
            try await scene.run(coordinator, "systemctl", "start", "patroni")
            try await scene.wait("\(coordinator) to lead", .seconds(60)) {
                try await scene.lab.leader() == coordinator
            }
            // 7: while a group is not there, nothing that was not looked at is called in order.
            let alone = try await scene.walk(on: coordinator)
            #expect(alone.contains("NOT YET  3.") && alone.contains("group-vanished"))
            #expect(!alone.contains("ok       6.") && alone.contains("NOT SEEN 6."), "\(alone)")
            #expect(!alone.contains("may be opened"))
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
            #expect(try await scene.itemCount() == "20\n", "what was written before the point, and nothing after it")
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
}

extension Scene {
    fileprivate static let archive = "/var/lib/postgresql/archive"
    fileprivate static let backup = "/var/lib/postgresql/backup"
    fileprivate var data: String { self.lab.options.suite.postgresData }
    private static let patroniFile = "/etc/patroni/config.yml"
    private static let quiet = [
        "citus.recover_2pc_interval", "citus.defer_shard_delete_interval", "citus.background_task_queue_interval",
    ]

    fileprivate func shell(_ node: String, _ script: String) async throws {
        try await self.run(node, "sh", "-c", "set -e\n\(script)")
    }

    /// A base backup, and from now on an archive.
    fileprivate func takeBackup(on node: String) async throws {
        try await self.shell(
            node,
            """
            runuser -u postgres -- mkdir \(Self.archive)
            export PGPASSWORD=$(sed -n 's/.*replicator, password: \\(.*\\)}/\\1/p' \(Self.patroniFile))
            runuser -u postgres -- pg_basebackup -h 127.0.0.1 -U replicator -D \(Self.backup) -X none -c fast
            """)
    }

    fileprivate func writeItems(_ keys: ClosedRange<Int>) async throws {
        for key in keys { try await self.lab.sql("select citus_stand_in.write('items', \(key))") }
    }

    /// How many rows the table has in all its shards.
    fileprivate func itemCount() async throws -> String {
        if self.lab.hasRealCitus { return try await self.lab.sql("select count(*) from items") }
        return try await self.lab.sql("select count(*) from items", on: try await self.worker())
    }

    /// What the command prints for each group's server, ready to be pasted.
    fileprivate func recoverySettings(of point: String, on node: String) async throws -> [Int: String] {
        let text = try await self.lab.run(node, ["pharos", "restore-points", point])
        var (settings, group): ([Int: String], Int?) = ([:], nil)
        for line in text.split(separator: "\n") {
            if line.hasPrefix("group ") { group = Int(line.dropFirst(6).prefix { $0 != ":" }) }
            if line.hasPrefix("    recovery_target"), let group { settings[group, default: ""] += "\(line)\n" }
        }
        try #require(settings.count == self.lab.options.groups.count, "\(text)")
        return settings
    }

    /// Step 3: in Patroni's own file, so that it is so after Patroni has taken over, too.
    fileprivate func quietCitus(on node: String) async throws {
        let lines = Self.quiet.map { "    \($0): -1" }.joined(separator: "\\n")
        try await self.shell(
            node,
            "cp -p \(Self.patroniFile) /root/config.yml; sed -i 's/^  parameters:$/&\\n\(lines)/' \(Self.patroniFile)")
    }

    fileprivate func unquietCitus(on node: String) async throws {
        try await self.shell(node, "cp -p /root/config.yml \(Self.patroniFile); systemctl reload patroni")
    }

    /// Step 4: the data, and how far recovery goes.
    fileprivate func placeBackup(on node: String, _ recovery: String) async throws {
        let quiet = Self.quiet.map { "\($0) = -1" }.joined(separator: "\n")
        try await self.shell(
            node,
            """
            cp -a \(Self.backup) \(self.data)
            runuser -u postgres -- touch \(self.data)/recovery.signal
            cat >>\(self.data)/postgresql.conf <<'END'
            restore_command = 'cp \(Self.archive)/%f %p'
            \(recovery)\(quiet)
            END
            """)
    }

    /// Steps 4 and 5: PostgreSQL is started without Patroni until it has come to its target.
    fileprivate func restoreByHand(_ node: String, _ recovery: String) async throws {
        try await self.placeBackup(on: node, recovery)
        let programs = "/usr/lib/postgresql/\(self.lab.options.suite.recipe.postgres)/bin"
        try await self.shell(
            node,
            "runuser -u postgres -- \(programs)/pg_ctl -D \(self.data) -w -t 60 -l /var/lib/postgresql/start.log start")
        try await self.wait("the recovery of \(node) to end", .seconds(60)) {
            try await self.lab.sql("select pg_is_in_recovery()", database: "postgres", on: node) == "f\n"
        }
    }

    /// The other way: Patroni restores by its bootstrap method. `isScriptKept`: with the script that Patroni runs after it, which
    /// was made for a new cluster.
    fileprivate func bootstrap(_ node: String, _ recovery: String, isScriptKept: Bool) async throws {
        let group = try #require(self.lab.options.groups.first { $0.nodes.contains(node) })
        let number = self.lab.options.citus?.layout == .mode ? " --group \(group.number)" : ""
        let target = recovery.split(separator: "\n").map { line in
            "      " + line.drop { $0 == " " }.replacing(" = ", with: ": ")
        }.joined(separator: "\n")
        try await self.shell(
            node,
            """
            printf '#!/bin/sh\\nexec cp -a \(Self.backup) \(self.data)\\n' >/etc/patroni/restore
            chmod 755 /etc/patroni/restore
            cp -p /root/config.yml \(Self.patroniFile)
            \(isScriptKept ? "" : "sed -i /post_bootstrap/d \(Self.patroniFile)")
            cat >/root/method <<'END'
              method: restore
              restore:
                command: /etc/patroni/restore
                recovery_conf:
                  restore_command: cp \(Self.archive)/%f %p
            \(target)
            END
            sed -i '/^bootstrap:/r /root/method' \(Self.patroniFile)
            sed -i 's/^  parameters:$/&\\n\(Self.quiet.map { "    \($0): -1" }.joined(separator: "\\n"))/' \(Self.patroniFile)
            printf '%s\\n' '\(group.scope)' 'Yes I am aware' | patronictl -c \(Self.patroniFile) remove \(group.scope)\(number)
            systemctl start patroni
            """)
    }

    /// What `pharos verify --after-restore` prints.
    fileprivate func walk(on node: String) async throws -> String {
        try await self.lab.exec(node, ["pharos", "verify", "--after-restore"], timeout: .seconds(60)).text
    }
}
