// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// The steps of docs/restore.md.
extension Scene {
    static let archive = "/var/lib/postgresql/archive"
    static let backup = "/var/lib/postgresql/backup"
    var data: String { self.lab.options.suite.postgresData }
    private static let patroniFile = "/etc/patroni/config.yml"
    private static let quiet = [
        "citus.recover_2pc_interval", "citus.defer_shard_delete_interval", "citus.background_task_queue_interval",
    ]

    func shell(_ node: String, _ script: String) async throws {
        try await self.run(node, "sh", "-c", "set -e\n\(script)")
    }

    /// A base backup, and from now on an archive.
    func takeBackup(on node: String) async throws {
        try await self.shell(
            node,
            """
            runuser -u postgres -- mkdir \(Self.archive)
            # An archive that was there from the beginning has them.
            cp -p \(self.data)/pg_wal/*.history \(Self.archive) 2>/dev/null || true
            export PGPASSWORD=$(sed -n 's/.*replicator, password: \\(.*\\)}/\\1/p' \(Self.patroniFile))
            runuser -u postgres -- pg_basebackup -h 127.0.0.1 -U replicator -D \(Self.backup) -X none -c fast
            """)
    }

    func writeItems(_ keys: ClosedRange<Int>) async throws {
        for key in keys { try await self.lab.sql("select citus_stand_in.write('items', \(key))") }
    }

    /// How many rows the table has in all its shards.
    func itemCount(on nodes: [String]) async throws -> String {
        // The stand-in's shards are all the worker's.
        try await self.lab.sql("select count(*) from items", on: self.lab.hasRealCitus ? nodes[0] : nodes[1])
    }

    /// What the command prints for each group's server, ready to be pasted.
    func recoverySettings(of point: String, on node: String) async throws -> [Int: String] {
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
    func quietCitus(on node: String, more: [String] = []) async throws {
        let lines = (Self.quiet.map { "    \($0): -1" } + more.map { "    \($0)" }).joined(separator: "\\n")
        try await self.shell(
            node,
            "cp -p \(Self.patroniFile) /root/config.yml; sed -i 's/^  parameters:$/&\\n\(lines)/' \(Self.patroniFile)")
    }

    func unquietCitus(on node: String) async throws {
        try await self.shell(node, "cp -p /root/config.yml \(Self.patroniFile); systemctl reload patroni")
    }

    private static let patronictl = "patronictl -c \(patroniFile)"

    /// What Patroni is told of a group, as it stands in etcd; and in a file on the node.
    func keepDynamicConfiguration(on node: String) async throws -> String {
        let group = try self.groupOption(of: node)
        return try await self.lab.run(
            node, ["sh", "-c", "\(Self.patronictl) show-config\(group) | tee /root/dynamic.yml"])
    }

    func restoreDynamicConfiguration(on node: String) async throws {
        let group = try self.groupOption(of: node)
        // The new leader writes one soon after it has become that; patronictl ends with a stack trace where there is none.
        try await self.wait("Patroni to have a dynamic configuration", .seconds(20)) {
            let outcome = try await self.lab.exec(node, ["sh", "-c", "\(Self.patronictl) show-config\(group)"])
            return outcome.exitCode == 0 && outcome.text.contains("ttl")
        }
        try await self.shell(node, "\(Self.patronictl) edit-config\(group) --replace /root/dynamic.yml --force")
    }

    /// Takes away what etcd says of a node's group: who led it and who was its synchronous standby, of a time that is over.
    func forgetCluster(on node: String) async throws {
        let group = try #require(self.lab.options.groups.first { $0.nodes.contains(node) })
        try await self.shell(
            node,
            """
            printf '%s\\n' '\(group.scope)' 'Yes I am aware' |
                \(Self.patronictl) remove \(group.scope)\(try self.groupOption(of: node))
            """)
    }

    /// In Patroni's Citus mode a scope has several groups.
    private func groupOption(of node: String) throws -> String {
        guard self.lab.options.citus?.layout == .mode else { return "" }
        return " --group \(try #require(self.lab.options.groups.first { $0.nodes.contains(node) }).number)"
    }

    /// Step 4: the data, and how far recovery goes.
    func placeBackup(on node: String, _ recovery: String) async throws {
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
    func restoreByHand(_ node: String, _ recovery: String) async throws {
        try await self.placeBackup(on: node, recovery)
        let programs = "/usr/lib/postgresql/\(self.lab.options.suite.recipe.postgres)/bin"
        try await self.shell(
            node,
            "runuser -u postgres -- \(programs)/pg_ctl -D \(self.data) -w -t 60 -l /var/lib/postgresql/start.log start || { tail /var/lib/postgresql/start.log; exit 1; }"
        )
        try await self.wait("the recovery of \(node) to end", .seconds(60)) {
            try await self.lab.sql("select pg_is_in_recovery()", database: "postgres", on: node) == "f\n"
        }
    }

    /// The other way: Patroni restores by its bootstrap method. `isScriptKept`: with the script that Patroni runs after it, which
    /// was made for a new cluster.
    func bootstrap(_ node: String, _ recovery: String, isScriptKept: Bool) async throws {
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
            """)
        // What an attempt before has left.
        try await self.forgetCluster(on: node)
        try await self.run(node, "systemctl", "start", "patroni")
    }

    /// What `pharos verify --after-restore` prints.
    func walk(on node: String, _ arguments: [String] = ["--after-restore"]) async throws -> String {
        try await self.lab.exec(node, ["pharos", "verify"] + arguments, timeout: .seconds(60)).text
    }

    // MARK: - A drill

    /// Base backup and archive, as a backup tool brings them to other servers.
    func copyBackup(from: String, to: String) async throws {
        for folder in [Self.backup, Self.archive] {
            let (source, target) = (LabLayout.root(from) + folder, LabLayout.root(to) + folder)
            let outcome = try await ChildProcess(["/bin/cp", "-a", source, target], timeout: .seconds(30)).run()
            try #require(outcome.exitCode == 0, "\(outcome.text)")
        }
    }

    /// No packet of PostgreSQL's passes between a node and the others, neither way.
    func isolate(_ node: String, from others: [String]) async throws {
        let addresses = "{ \(others.map { LabLayout.address($0) }.joined(separator: ", ")) }"
        let addresses6 = "{ \(others.map { LabLayout.address6($0) }.joined(separator: ", ")) }"
        try await self.shell(
            node,
            """
            nft -f - <<'END'
            table inet drill {
                chain out {
                    type filter hook output priority 0;
                    ip daddr \(addresses) tcp dport 5432 counter drop
                    ip6 daddr \(addresses6) tcp dport 5432 counter drop
                }
                chain in {
                    type filter hook input priority 0;
                    ip saddr \(addresses) tcp dport 5432 counter drop
                    ip6 saddr \(addresses6) tcp dport 5432 counter drop
                }
            }
            END
            """)
    }

    /// One member, beside that of the living cluster.
    func startEtcdOfDrill(on node: String) async throws {
        let (client, peer) = (Self.etcdOfDrill(node), "http://\(LabLayout.address(node)):3380")
        try await self.run(
            node, "systemd-run", "--quiet", "--unit=etcd-drill", "etcd", "--name=drill",
            "--data-dir=/var/lib/etcd/drill",
            "--listen-client-urls=http://\(client)", "--advertise-client-urls=http://\(client)",
            "--listen-peer-urls=\(peer)",
            "--initial-advertise-peer-urls=\(peer)", "--initial-cluster=drill=\(peer)")
    }

    private static func etcdOfDrill(_ node: String) -> String { "\(LabLayout.address(node)):3379" }

    /// Patroni and Pharos of a node are of the drill from their next start on.
    func joinDrill(_ node: String, scope: String, etcd: String, record: String) async throws {
        try await self.shell(
            node,
            """
            cp -p /etc/pharos/pharos.yml /root/pharos.yml
            sed -i 's/^scope: .*/scope: \(scope)/; s/^  hosts: .*/  hosts: [\(Self.etcdOfDrill(etcd))]/' \(Self.patroniFile)
            cat >/etc/pharos/pharos.yml <<'END'
            patroni_config: \(Self.patroniFile)
            citus:
              databases: [\(LabCitus.databases.joined(separator: ", "))]
              node_conninfo: "user=pharos"
              groups: { 0: drill, 1: drill-w1 }
            END
            cat >/root/record.json <<'END'
            \(record)
            END
            """)
    }

    /// Undoes a drill on a node, which becomes a standby of the living cluster anew.
    func leaveDrill(_ node: String) async throws {
        try await self.shell(
            node,
            """
            systemctl stop patroni
            systemctl stop etcd-drill 2>/dev/null || true
            rm -rf \(self.data) \(self.data).before \(Self.backup) \(Self.archive) /var/lib/etcd/drill /root/record.json
            cp -p /root/config.yml \(Self.patroniFile)
            cp -p /root/pharos.yml /etc/pharos/pharos.yml
            nft delete table inet drill
            systemctl enable patroni pharos
            systemctl start patroni pharos
            """)
    }
}
