// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// What must be the same on all members, and what sessions leave behind.
extension AuditRule {
    static let postgresDifferences: [AuditRule] = [
        librariesDiffer, versionsDiffer, collationMismatch, loginRefused, hbaMembers,
    ]
    static let postgresSessions: [AuditRule] = [sessionsLinger, idleInTransaction, preparedOld]

    private static let librariesDiffer = AuditRule(
        "libraries-differ", .postgres, .red, "`shared_preload_libraries` is the same on all members",
        why: "What needs a library that is missing there fails after the promotion.",
        source: "PostgreSQL documentation, Client Connection Defaults"
    ) { facts, say throws(Unlooked) in
        var values: [String: [String]] = [:]
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            guard let value = try server.text("shared_preload_libraries") else {
                throw Unlooked("shared_preload_libraries is not shown")
            }
            values[value.filter { $0 != " " }, default: []].append(name)
        }
        guard values.count > 1 else { return }
        let list = values.sorted { $0.key < $1.key }.map { "\($0.value.joined(separator: ", ")): '\($0.key)'" }
        say.find(
            "shared_preload_libraries differs: \(list.joined(separator: "; "))", should: "the same",
            AuditStep("any node", "patronictl show-config; then what each member's file says beside it"))
    }

    private static let versionsDiffer = AuditRule(
        "postgres-versions-differ", .postgres, .amber, "all members run the same release of PostgreSQL",
        why:
            "A bug that one release has and the other has not comes and goes with the leader. Another major version cannot replicate.",
        source: "PostgreSQL documentation, Upgrading a PostgreSQL Cluster"
    ) { facts, say throws(Unlooked) in
        let servers = try facts.knownServers(&say)
        let versions = Set(servers.map(\.server.version))
        guard versions.count > 1 else { return }
        let list = servers.map { "\($0.name) \($0.server.major).\($0.server.version % 10_000)" }
        say.find(
            "versions differ: \(list.joined(separator: ", "))", should: "the same on all members",
            AuditStep("each node", "apt list --upgradable 'postgresql*'"),
            as: Set(servers.map(\.server.major)).count > 1 ? .red : nil)
    }

    private static let collationMismatch = AuditRule(
        "collation-mismatch", .postgres, .red, "the system's collations are those that the databases were made with",
        why:
            "Indexes on text are in another order than the library sorts by: after a failover to such a node, queries miss rows and unique indexes take duplicates.",
        source: "PostgreSQL documentation, ALTER COLLATION"
    ) { facts, say throws(Unlooked) in
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            let databases = try server.collations.get()
            guard !databases.isEmpty else { return }
            say.find(
                "\(name): another version of the collation than in \(databases.joined(separator: ", "))",
                should: "the same library (glibc, ICU) on all members; else indexes rebuilt",
                AuditStep(
                    name, "reindexdb DATABASE; then psql -c 'alter database DATABASE refresh collation version'"))
        }
    }

    private static let loginRefused = AuditRule(
        "role-refused", .postgres, .amber, "each member's PostgreSQL lets the role of Pharos in from this node",
        why: "A node whose server turns the role away is not seen by the failure detector, and counts as alive.",
        source: Source.pharos
    ) { facts, say throws(Unlooked) in
        guard !facts.servers.isEmpty else {
            throw Unlooked("no member's PostgreSQL is known: \(facts.keys.why ?? AuditFacts.notAsked)")
        }
        for (name, fact) in facts.servers.sorted(by: { $0.key < $1.key }) {
            guard let why = fact.why else { continue }
            guard
                ["no pg_hba.conf entry", "authentication failed", "does not exist"].contains(where: { why.contains($0) }
                )
            else {
                say.unseen("PostgreSQL of \(name): \(why)")
                continue
            }
            say.find(
                "\(name) refuses \(facts.pharos.role) from \(facts.member): \(why)",
                should: "a line for the role in pg_hba on every member",
                AuditStep(
                    "any node",
                    "patronictl edit-config, postgresql.pg_hba: host all \(facts.pharos.role) NETWORK scram-sha-256"))
        }
    }

    private static let hbaMembers = AuditRule(
        "replication-refused", .postgres, .red,
        "pg_hba lets replication in from every member's address, on every member",
        why: "After a failover the others cannot follow the new primary: there is no standby from then on.",
        source: "PostgreSQL documentation, The pg_hba.conf File"
    ) { facts, say throws(Unlooked) in
        let members = try facts.keys.get().members
        let user = facts.file.value?.replicationUser
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            let lines = try server.hba.get()
            for member in members where member.name != name {
                guard let host = member.host, let address = IPAddress(host) else {
                    say.unseen("whether \(name) lets \(member.name) in: \(member.host ?? "its host") is no address")
                    continue
                }
                switch Self.lets(address, user, lines) {
                case true?: continue
                case nil: say.unseen("whether \(name) lets \(member.name) in: pg_hba names hosts")
                case false?:
                    say.find(
                        "\(name): pg_hba lets no replication in from \(member.name) (\(address))",
                        should: "host replication USER \(address)/\(address.bitWidth) scram-sha-256",
                        AuditStep(
                            "any node",
                            "patronictl edit-config, postgresql.pg_hba: host replication \(user ?? "replicator") \(address)/\(address.bitWidth) scram-sha-256"
                        ))
                }
            }
        }
    }

    /// Whether the first line that fits lets a connection for replication in; nil: a line before it names hosts, which only the server
    /// can look up.
    private static func lets(_ address: IPAddress, _ user: String?, _ lines: [AuditFacts.Server.HBALine]) -> Bool? {
        for line in lines
        where line.error == nil && line.type.hasPrefix("host") && line.databases.contains("replication") {
            guard user.map({ line.users.contains("all") || line.users.contains($0) }) ?? true else { continue }
            guard let place = line.address else { continue }
            if ["all", "samenet"].contains(place) { return line.method != "reject" }
            if place == "samehost" { continue }
            guard let base = IPAddress(place) else { return nil }
            guard base.isIPv6 == address.isIPv6, Self.isWithin(address, base, line.mask.flatMap { IPAddress($0) })
            else { continue }
            return line.method != "reject"
        }
        return false
    }

    private static func isWithin(_ address: IPAddress, _ base: IPAddress, _ mask: IPAddress?) -> Bool {
        guard let mask else { return address == base }
        return zip(zip(address.bytes, base.bytes), mask.bytes).allSatisfy { $0.0 & $1 == $0.1 & $1 }
    }

    private static let sessionsLinger = AuditRule(
        "sessions-linger", .postgres, .amber,
        "`tcp_keepalives_idle`, `tcp_user_timeout` and `client_connection_check_interval` are set",
        why:
            "Sessions of clients that were cut off go on for 15 minutes to hours, with their locks and their places among max_connections.",
        source: "PostgreSQL documentation, Connections and Authentication"
    ) { facts, say throws(Unlooked) in
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            var unset: [String] = []
            for setting in ["tcp_keepalives_idle", "tcp_user_timeout", "client_connection_check_interval"] {
                // Through the unix socket the server shows 0 for the first two, whatever the file says: see `reset_val`.
                if try server.milliseconds(setting) == 0 { unset.append(setting) }
            }
            guard !unset.isEmpty else { return }
            say.find(
                "\(name): not set: \(unset.joined(separator: ", "))", should: "such as 60 s, 30 s and 10 s",
                AuditStep(
                    "any node",
                    "patronictl edit-config --pg tcp_keepalives_idle=60 --pg tcp_user_timeout=30s --pg client_connection_check_interval=10s"
                ))
        }
    }

    private static let idleInTransaction = AuditRule(
        "idle-in-transaction", .postgres, .note, "`idle_in_transaction_session_timeout` is set",
        why: "A client that forgets its transaction keeps locks and old rows, and holds up a switchover's shutdown.",
        source: "PostgreSQL documentation, Client Connection Defaults"
    ) { facts, say throws(Unlooked) in
        let (name, server) = try facts.leaderServer()
        guard try server.milliseconds("idle_in_transaction_session_timeout") == 0 else { return }
        say.find(
            "\(name): idle_in_transaction_session_timeout is 0: no limit", should: "such as 10min",
            .postgres("idle_in_transaction_session_timeout=10min"))
    }

    private static let preparedOld = AuditRule(
        "prepared-transactions-old", .postgres, .amber, "no prepared transaction is older than 10 minutes",
        why: "It keeps its locks through restarts and failovers until somebody ends it.",
        source: "PostgreSQL documentation, PREPARE TRANSACTION"
    ) { facts, say throws(Unlooked) in
        let (name, server) = try facts.leaderServer()
        let old = try server.prepared.get().filter { $0 > 600 }
        guard let oldest = old.max() else { return }
        say.find(
            "\(name): \(old.count) prepared transactions, the oldest \(Quantity.seconds(oldest)) old", should: "none",
            AuditStep(name, "psql -c 'select * from pg_prepared_xacts'; with Citus: pharos verify"))
    }
}
