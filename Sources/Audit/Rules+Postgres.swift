// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// PostgreSQL's settings that a failover hangs on.
extension AuditRule {
    static let postgres: [AuditRule] =
        [
            standbyLower, restartPending, sendersFew, hotStandbyOff, walLevelMinimal, listenAddresses, durabilityOff,
            commitOff,
            archiveFailing,
        ] + postgresDifferences + postgresSessions

    /// What a standby must have at least as much of as its primary.
    private static let replayed = [
        "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions",
        "max_locks_per_transaction",
    ]

    private static let standbyLower = AuditRule(
        "standby-settings-lower", .postgres, .amber,
        "no standby has less than the primary of what replay needs: `max_connections` and its like",
        why: "A standby that has less pauses replay when the primary uses more, and falls behind.",
        source: "PostgreSQL documentation, Hot Standby"
    ) { facts, say throws(Unlooked) in
        let (leader, primary) = try facts.leaderServer()
        try say.eachServer(of: facts, except: leader) { name, server, say throws(Unlooked) in
            for setting in replayed {
                guard let own = try server.number(setting), let its = try primary.number(setting), own < its else {
                    continue
                }
                say.find(
                    "\(name): \(setting) is \(own), on \(leader) \(its)",
                    should: "the same on all members, by Patroni's configuration",
                    .postgres("\(setting)=\(its)"), .restart(facts.scope))
            }
        }
    }

    private static let restartPending = AuditRule(
        "restart-pending", .postgres, .amber, "no member waits for a restart of PostgreSQL",
        why: "After a change of leader other settings are in effect than before, at a time that nobody has chosen.",
        source: Source.rest
    ) { facts, say throws(Unlooked) in
        guard !facts.rest.isEmpty else {
            throw Unlooked("no member's Patroni is known: \(facts.keys.why ?? AuditFacts.notAsked)")
        }
        for (name, answer) in facts.rest.sorted(by: { $0.key < $1.key }) {
            switch answer {
            case .unlooked(let why): say.unseen("Patroni of \(name): \(why)")
            case .known(let answer, _):
                guard answer.isRestartPending else { continue }
                let server = facts.servers[name]?.value?.settings.filter(\.value.isPending).map(\.key) ?? []
                let names = answer.pendingSettings.isEmpty ? server.sorted() : answer.pendingSettings
                say.find(
                    "\(name) waits for a restart\(names.isEmpty ? "" : ": \(names.joined(separator: ", "))")",
                    should: "restarted, standbys first",
                    .restart(facts.scope))
            }
        }
    }

    private static let sendersFew = AuditRule(
        "senders-few", .postgres, .amber,
        "`max_wal_senders` and `max_replication_slots` are enough for all members and two more",
        why: "After a failover every member connects to the new primary at once; a base backup takes two connections.",
        source: "PostgreSQL documentation, Replication"
    ) { facts, say throws(Unlooked) in
        let needed = Int64(try facts.keys.get().members.count + 2)
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            for setting in ["max_wal_senders", "max_replication_slots"] {
                guard let number = try server.number(setting), number < needed else { continue }
                say.find(
                    "\(name): \(setting) is \(number)", should: "at least \(needed)",
                    .postgres("\(setting)=\(max(10, needed))"),
                    .restart(facts.scope))
            }
        }
    }

    private static let hotStandbyOff = AuditRule(
        "hot-standby-off", .postgres, .red, "`hot_standby` is on",
        why: "Patroni cannot ask such a standby how far it is: it is no candidate.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            guard try server.isOn("hot_standby") == false else { return }
            say.find(
                "\(name): hot_standby is off", should: "on", .postgres("hot_standby=on"), .restart(facts.scope))
        }
    }

    private static let walLevelMinimal = AuditRule(
        "wal-level-minimal", .postgres, .red,
        "`wal_level` is `replica` or `logical` (`logical` where Citus moves shards)",
        why: "With minimal there is no replication at all; without logical Citus moves shards with writes blocked.",
        source: Source.postgres
    ) { facts, say throws(Unlooked) in
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            let level = try server.text("wal_level")
            if level == "minimal" {
                say.find(
                    "\(name): wal_level is minimal", should: "replica", .postgres("wal_level=replica"),
                    .restart(facts.scope))
            } else if level == "replica", facts.citus != nil {
                say.find(
                    "\(name): wal_level is replica, and Citus is followed", should: "logical, if shards are moved",
                    .postgres("wal_level=logical"), .restart(facts.scope), as: .note)
            }
        }
    }

    private static let listenAddresses = AuditRule(
        "address-not-listened-on", .postgres, .red,
        "each member's PostgreSQL listens where the addresses of pharos.yml will be",
        why:
            "The address moves, and nobody answers there: PostgreSQL binds its sockets when it starts, before the address comes.",
        source: "PostgreSQL documentation, Connections and Authentication"
    ) { facts, say throws(Unlooked) in
        guard !facts.pharos.addresses.isEmpty else { return }
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            guard let text = try server.text("listen_addresses") else {
                throw Unlooked("listen_addresses is not shown")
            }
            let listened = text.split(separator: ",").map { String($0.filter { $0 != " " }) }
            if listened.contains("*") { return }
            for address in facts.pharos.addresses.map(\.prefix.address) {
                if listened.contains(address.isIPv6 ? "::" : "0.0.0.0") { continue }
                // It is named: the kernel has to let PostgreSQL bind it before it is there.
                if listened.compactMap({ IPAddress($0) }).contains(address) {
                    guard name == facts.member else {
                        say.unseen("ip_nonlocal_bind of \(name): pharos audit there")
                        continue
                    }
                    let family = address.isIPv6 ? "ipv6" : "ipv4"
                    if try facts.node.sysctl("net.\(family).ip_nonlocal_bind") == "1" { continue }
                    say.find(
                        "\(name): listen_addresses names \(address), and net.\(family).ip_nonlocal_bind is 0",
                        should: "listen_addresses '*', or ip_nonlocal_bind 1", .postgres("listen_addresses=*"),
                        .restart(facts.scope))
                } else {
                    say.find(
                        "\(name): listen_addresses is '\(text)': nobody would answer at \(address)", should: "'*'",
                        .postgres("listen_addresses=*"), .restart(facts.scope))
                }
            }
        }
    }

    private static let durabilityOff = AuditRule(
        "durability-off", .postgres, .red, "`fsync` and `full_page_writes` are on",
        why: "After a crash of the node its data may be damaged, and a standby that is made of it, too.",
        source: "PostgreSQL documentation, Write Ahead Log"
    ) { facts, say throws(Unlooked) in
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            for setting in ["fsync", "full_page_writes"] where try server.isOn(setting) == false {
                say.find("\(name): \(setting) is off", should: "on", .postgres("\(setting)=on"))
            }
        }
    }

    private static let commitOff = AuditRule(
        "synchronous-commit-off", .postgres, .amber,
        "with `synchronous_mode`, `synchronous_commit` waits for the standby",
        why: "With off or local no commit waits for a standby: the mode promises what it does not keep.",
        source: Source.replication
    ) { facts, say throws(Unlooked) in
        guard try facts.config.get().synchronous != .off else { return }
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            guard let value = try server.text("synchronous_commit"), ["off", "local"].contains(value) else {
                return
            }
            say.find("\(name): synchronous_commit is \(value)", should: "on", .postgres("synchronous_commit=on"))
        }
    }

    private static let archiveFailing = AuditRule(
        "archive-failing", .postgres, .red, "the archive takes what the primary hands it",
        why: "What is not archived stays in pg_wal until the disk is full; and no backup can be restored beyond it.",
        source: "PostgreSQL documentation, Continuous Archiving"
    ) { facts, say throws(Unlooked) in
        let (name, server) = try facts.leaderServer()
        guard let mode = try server.text("archive_mode"), mode != "off" else { return }
        let archiver = try server.archiver.get()
        guard let failure = archiver.lastFailure, archiver.lastSuccess.map({ failure < $0 }) ?? true else { return }
        let success =
            archiver.lastSuccess.map { "the last success was \(Quantity.seconds($0)) ago" } ?? "it never succeeded"
        say.find(
            "\(name): archive_command failed \(Quantity.seconds(failure)) ago (\(archiver.failures) failures); \(success)",
            should: "no failure since the last success",
            AuditStep(name, "psql -c 'select * from pg_stat_archiver'; then PostgreSQL's log"))
    }
}
