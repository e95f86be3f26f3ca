// SPDX-License-Identifier: Apache-2.0
import LenientJSON

@testable import Audit

extension Fault {
    private static func unit(
        _ code: String, _ grade: AuditGrade, _ says: String, _ unit: String, _ name: String, _ value: String
    ) -> Fault {
        Fault(code, grade, says) { $0.node.units[unit]?.change { $0[name] = value } }
    }

    private static func file(
        _ code: String, _ grade: AuditGrade, _ says: String,
        _ change: @escaping @Sendable (inout AuditFacts.PatroniLocal) -> Void
    ) -> Fault {
        Fault(code, grade, says) { $0.file.change(change) }
    }

    static let patroni: [Fault] = [
        Self.unit("patroni-not-restarted", .amber, "Restart=no, KillMode=process", "patroni", "Restart", "no"),
        Self.file("watchdog-off", .amber, "watchdog.mode is off") { $0.watchdogMode = "off" },
        Fault("watchdog-off", .red, "this node never leads") { $0.node.hasWatchdog = .known(false, source: "test") },
        Fault("watchdog-off", .amber, "watchdog.mode is automatic, and /dev/watchdog is missing") {
            $0.node.hasWatchdog = .known(false, source: "test")
            $0.file.change { $0.watchdogMode = "automatic" }
        },
        Self.file("rest-unauthenticated", .red, "restapi listens on 10.0.0.1:8008 and asks nobody") {
            $0.hasRestAuthentication = false
        },
        Self.file("rest-unauthenticated", .amber, "allowlist is set") {
            ($0.hasRestAuthentication, $0.hasRestAllowlist) = (false, true)
        },
        Self.file("rest-without-tls", .amber, "without TLS") { $0.hasRestTLS = false },
        Fault("rest-address-wrong", .red, "n2 announces http://127.0.0.1:8008/patroni") {
            $0.keys.change { $0.members[1].apiURL = "http://127.0.0.1:8008/patroni" }
        },
        Fault("rest-unreachable", .amber, "Patroni of n3 does not answer n1 at https://10.0.0.3:8008/patroni: silent") {
            $0.rest["n3"] = .unlooked(why: "silent")
        },
        Fault("patroni-versions-differ", .note, "n2 4.1.0") { $0.rest["n2"]?.change { $0.version = "4.1.0" } },
        Fault("patroni-versions-differ", .amber, "n2 3.0.2") { $0.rest["n2"]?.change { $0.version = "3.0.2" } },
        Self.file("callbacks-set", .note, "on_start: /bin/true") { $0.callbacks = ["on_start": "/bin/true"] },
        Self.file("callbacks-set", .amber, "a callback seems to move an address") {
            $0.callbacks = ["on_role_change": "/etc/patroni/vip.sh"]
        },
        Fault("scope-shared", .red, "n2 runs the database system 88, the key initialize says 77") {
            $0.rest["n2"]?.change { $0.systemIdentifier = "88" }
        },
        Fault("two-managers", .red, "start.conf of the cluster 15/main says auto") {
            $0.node.automaticClusters = .known(["15/main"], source: "test")
        },
        Fault("two-managers", .red, "systemd starts postgresql@15-main.service") {
            $0.node.postgresUnits = .known(["postgresql@15-main.service"], source: "test")
        },
        Self.file("template-password", .red, "the password of replication") { $0.templatePasswords = ["replication"] },
    ]

    private static func etcd(
        _ code: String, _ grade: AuditGrade, _ says: String,
        _ change: @escaping @Sendable (inout AuditFacts.Etcd) -> Void
    ) -> Fault {
        Fault(code, grade, says) { $0.etcd.change(change) }
    }

    private static let url = "https://10.0.0.2:2379"

    static let etcd: [Fault] = [
        Self.etcd("etcd-members-few", .red, "etcd has one member: n1") { $0.members.change { $0.removeLast(2) } },
        Self.etcd("etcd-member-down", .red, "etcd's member n2 does not answer (refused): 2 of 3 answer, 2 are needed") {
            $0.statuses[url] = .unlooked(why: "refused")
        },
        Self.etcd("etcd-members-even", .amber, "etcd has 4 members") {
            $0.members.change { members in
                members.append(members[0])
                members[3].clientURLs = ["https://10.0.0.4:2379"]
            }
        },
        Self.etcd("etcd-members-on-one-host", .red, "n1 and n2 are on one host, 10.0.0.1") {
            $0.members.change { $0[1].clientURLs = ["https://10.0.0.1:2381"] }
        },
        Self.etcd("etcd-alarm", .red, "alarm NOSPACE") { $0.statuses[url]?.change { $0.alarms = ["NOSPACE"] } },
        Self.etcd("etcd-nearly-full", .amber, "1.5 GiB, 75 % of its quota") {
            $0.statuses[url]?.change { $0.size = 3 << 29 }
        },
        Self.etcd("etcd-nearly-full", .red, "98 % of its quota") { $0.statuses[url]?.change { $0.size = 2007 << 20 } },
        Self.etcd("etcd-fragmented", .note, "50 MiB of 200 MiB are used") {
            $0.statuses[url]?.change { $0.sizeInUse = 50 << 20 }
        },
        Self.etcd("etcd-slow-disk", .amber, "takes longer than 64 ms") {
            $0.figures[url]?.change { $0.slowestSync = 0.064 }
        },
        Self.etcd("etcd-elections", .amber, "40 changes of leader in 10 days") {
            $0.figures[url]?.change { $0.leaderChanges = 40 }
        },
        Self.etcd("etcd-version-old", .amber, "is 3.4.23") { etcd in
            for url in etcd.statuses.keys { etcd.statuses[url]?.change { $0.version = "3.4.23" } }
        },
        Self.etcd("etcd-versions-differ", .note, "3.5.9 (https://10.0.0.2:2379)") {
            $0.statuses[url]?.change { $0.version = "3.5.9" }
        },
        Fault("etcd-open", .red, "without a user and without a client's certificate") {
            $0.pharos.hasEtcdClientCertificate = false
        },
        Fault("etcd-open", .amber, "without TLS") { $0.pharos.endpoints = ["http://10.0.0.1:2379"] },
        Self.file("etcd-v2-api", .red, "has a section etcd") { $0.usesEtcdV2 = true },
    ]

    static let citus: [Fault] = [
        Self.server(
            "citus-prepared-transactions", .red, "n2: max_prepared_transactions is 0", "max_prepared_transactions", "0"),
        Self.server("citus-prepared-transactions", .amber, "is 100", "max_prepared_transactions", "100"),
        Self.server(
            "citus-node-conninfo", .amber,
            "n2: citus.node_conninfo has sslmode twice (the last one counts); no tcp_user_timeout, keepalives_idle",
            "citus.node_conninfo", "sslmode=require sslmode=verify-full"),
        Self.server(
            "citus-node-conninfo", .note, "no sslmode=verify-full", "citus.node_conninfo",
            "sslmode=require tcp_user_timeout=1 keepalives_idle=1"),
        Self.server(
            "citus-connection-timeout", .amber, "is 30 s", "citus.node_connection_timeout", "30000", unit: "ms"),
        Self.server(
            "citus-check-interval", .red, "n2: client_connection_check_interval is 0",
            "client_connection_check_interval", "0", unit: "ms"),
        Self.server(
            "citus-recovery-off", .red, "n2: citus.recover_2pc_interval is -1", "citus.recover_2pc_interval", "-1"),
        Self.server(
            "citus-not-first", .red, "'pg_stat_statements,citus'", "shared_preload_libraries",
            "pg_stat_statements,citus"),
        Self.server("citus-shard-replication", .amber, "is 2", "citus.shard_replication_factor", "2"),
        Fault("citus-restore-points", .note, "n2: Citus 13.2-1") {
            $0.servers["n2"]?.change { $0.citusVersion = "13.2-1" }
        },
        Fault("citus-several-databases", .amber, "2 databases: app, more") { $0.citus?.databases = ["app", "more"] },
        Fault("group-of-one", .red, "group 1 has one member, w1") {
            $0.daemon.change { $0.groups[1].members.removeLast(2) }
        },
        Fault("citus-coordinator-shards", .note, "may hold shards") {
            $0.citus?.coordinatorHasShards = .known(true, source: "test")
        },
    ]

    static let node: [Fault] = [
        Fault("interface-outside-subnet", .note, "eth1 has no address of its own in the subnet of 10.0.0.100") {
            $0.node.interfaces.change { $0[0].addresses.removeFirst() }
        },
        Fault("arp-ignored", .red, "arp_ignore of eth1 is 8") {
            $0.node.sysctls["net.ipv4.conf.all.arp_ignore"] = .known("8", source: "test")
        },
        Fault("nonlocal-bind", .note, "net.ipv6.ip_nonlocal_bind is 1") {
            $0.node.sysctls["net.ipv6.ip_nonlocal_bind"] = .known("1", source: "test")
        },
        Fault("postmaster-not-protected", .amber, "oom_score_adj is 0") {
            $0.node.postmasterScore = .known(0, source: "test")
        },
        Fault("swap-full", .amber, "1 MiB of 1 GiB swap are free") {
            $0.node.swap = .known((total: 1 << 30, free: 1 << 20), source: "test")
        },
        Fault("clock-not-synchronized", .amber, "is not synchronized") {
            $0.node.isClockSynchronized = .known(false, source: "test")
        },
        Fault("clocks-apart", .amber, "n2's clock is 3 s behind n1's") {
            $0.servers["n2"]?.change { $0.clockOffset = .known(-3, source: "test") }
        },
        Fault("certificate-ends", .amber, "/etc/ssl/n1.pem is valid for 20 days more") {
            $0.node.certificates.change { $0[0].left = 20 * 86_400 }
        },
        Fault("certificate-ends", .red, "has not been valid for 2 h") {
            $0.node.certificates.change { $0[0].left = -7200 }
        },
        Fault("key-readable", .red, "everybody can read /etc/ssl/n1.key (mode 644)") {
            $0.node.keyFiles.change { $0[0].mode = 0o644 }
        },
        Fault("lease-longer-than-ttl", .amber, "lease.ttl is 60 s, Patroni's ttl 30 s") { $0.pharos.leaseTTL = 60 },
        Fault("detection-long", .amber, "takes 300 s") { $0.pharos.detection = 300 },
        Self.unit("daemon-stopped", .red, "pharos is failed", "pharos", "ActiveState", "failed"),
        Self.unit("daemon-stopped", .amber, "pharos is disabled", "pharos", "UnitFileState", "disabled"),
        Fault("daemon-missing", .red, "w2 (group 1): no Pharos publishes there") {
            $0.daemon.change { $0.groups[1].members[1].hasDaemon = false }
        },
        Fault("pharos-versions-differ", .note, "n2 0.2.0") {
            $0.daemon.change { $0.groups[0].members[1].version = "0.2.0" }
        },
    ]

    static let headroom: [Fault] = [
        Fault("connections-few", .amber, "n1 has 170 sessions; n2 has room for 194") {
            $0.servers["n1"]?.change { $0.connections = .known(170, source: "test") }
        },
        Fault("connections-few", .red, "n1 has 193 sessions") {
            $0.servers["n1"]?.change { $0.connections = .known(193, source: "test") }
        },
        Fault("data-disk-full", .amber, "10 GiB of 100 GiB are free at /data (10 %)") {
            $0.node.dataDisk.change { $0.free = 10 << 30 }
        },
        Fault("data-disk-full", .red, "1 GiB of 100 GiB") { $0.node.dataDisk.change { $0.free = 1 << 30 } },
        Fault("log-disk-full", .red, "1 GiB of 100 GiB") { $0.node.walDisk.change { $0.free = 1 << 30 } },
        Fault("inodes-few", .amber, "5 % of the inodes") { $0.node.dataDisk.change { $0.freeInodes = 0.05 } },
        Fault("workers-few", .amber, "n2: 30 of 32 background workers run") {
            $0.servers["n2"]?.change { $0.workers = .known(30, source: "test") }
        },
        Fault("transaction-ids-old", .amber, "500 million old") {
            $0.servers["n1"]?.change { $0.transactionAge = .known(500_000_000, source: "test") }
        },
        Fault("transaction-ids-old", .red, "1600 million old") {
            $0.servers["n1"]?.change { $0.transactionAge = .known(1_600_000_000, source: "test") }
        },
        Fault("memory-short", .amber, "for 12 % of the last 5 minutes") {
            $0.node.memoryPressure = .known(12, source: "test")
        },
    ]
}
