// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import NetworkAddress

@testable import Audit

extension Fact {
    /// Changes what is known; nothing where it is not.
    mutating func change(_ body: (inout Value) -> Void) {
        guard case .known(var value, let source) = self else { return }
        body(&value)
        self = .known(value, source: source)
    }
}

extension AuditFacts.Server {
    mutating func set(_ name: String, _ value: String, unit: String? = nil) {
        self.settings[name] = Setting(value, unit: unit)
    }
}

extension AuditFacts {
    /// Patroni's dynamic configuration in which no rule finds anything.
    static let goodConfig: [String: JSON] = [
        "ttl": .integer(30), "loop_wait": .integer(10), "retry_timeout": .integer(10), "failsafe_mode": .bool(true),
        "primary_start_timeout": .integer(60), "primary_stop_timeout": .integer(60), "check_timeline": .bool(true),
        "synchronous_mode": .bool(true), "maximum_lag_on_syncnode": .integer(1 << 26),
        "maximum_lag_on_failover": .integer(1 << 26),
        "member_slots_ttl": .string("2h"), "postgresql": .object(["use_pg_rewind": .bool(true)]),
    ]

    /// A cluster of three nodes with Citus, looked at from the leader n1: nothing is wrong with it, and all of it was looked at.
    static var healthy: AuditFacts {
        var facts = AuditFacts()
        facts.scope = "demo"
        facts.member = "n1"
        facts.group = 0
        facts.config = .known(DynamicConfiguration(.object(Self.goodConfig)), source: "test")
        facts.file = .known(Self.goodFile, source: "test")
        facts.keys = .known(Self.goodKeys, source: "test")
        for name in ["n1", "n2", "n3"] {
            var answer = RestAnswer()
            answer.version = "4.0.7"
            answer.systemIdentifier = "77"
            facts.rest[name] = .known(answer, source: "test")
            facts.servers[name] = .known(Self.goodServer(name), source: "test")
        }
        facts.etcd = .known(Self.goodEtcd, source: "test")
        facts.node = Self.goodNode
        facts.daemon = .known(Self.goodDaemon, source: "test")
        facts.pharos.addresses = ["10.0.0.100/24", "fd77::100/64"].compactMap { text in
            AddressPrefix(text).map { Configured.Address(prefix: $0, interface: "eth1") }
        }
        facts.pharos.endpoints = ["https://10.0.0.1:2379", "https://10.0.0.2:2379", "https://10.0.0.3:2379"]
        facts.pharos.hasEtcdClientCertificate = true
        var citus = CitusUse()
        citus.databases = ["app"]
        citus.coordinatorHasShards = .known(false, source: "test")
        citus.refusals = .known([:], source: "test")
        facts.citus = citus
        return facts
    }

    private static var goodFile: PatroniLocal {
        var file = PatroniLocal()
        file.watchdogMode = "required"
        file.restListen = "10.0.0.1:8008"
        file.hasRestAuthentication = true
        file.hasRestTLS = true
        file.bootstrap = ["ttl": "30"]
        file.replicationUser = "replicator"
        return file
    }

    private static var goodKeys: PatroniState {
        var keys = PatroniState()
        keys.leader = "n1"
        keys.members = (1...3).map { number in
            var member = PatroniState.Member()
            member.name = "n\(number)"
            member.role = number == 1 ? "primary" : "replica"
            member.state = number == 1 ? "running" : "streaming"
            member.replicationState = number == 1 ? nil : "streaming"
            member.host = "10.0.0.\(number)"
            member.apiURL = "https://10.0.0.\(number):8008/patroni"
            member.timeline = 4
            member.position = 1 << 30
            return member
        }
        keys.synchronous = ["n2", "n3"]
        keys.failsafe = ["n1": "https://10.0.0.1:8008", "n2": "https://10.0.0.2:8008"]
        keys.systemIdentifier = "77"
        return keys
    }

    private static func goodServer(_ name: String) -> Server {
        var server = Server()
        server.isInRecovery = name != "n1"
        server.version = 160_004
        let plain = [
            "archive_mode": "on", "citus.recover_2pc_interval": "60000", "citus.shard_replication_factor": "1",
            "data_checksums": "on",
            "fsync": "on", "full_page_writes": "on", "hot_standby": "on", "listen_addresses": "*",
            "max_connections": "200",
            "max_locks_per_transaction": "64", "max_prepared_transactions": "400", "max_replication_slots": "10",
            "max_wal_senders": "10", "max_worker_processes": "32", "reserved_connections": "3",
            "restore_command": "cp /archive/%f %p",
            "shared_preload_libraries": "citus,pg_stat_statements", "superuser_reserved_connections": "3",
            "synchronous_commit": "on",
            "wal_level": "logical", "wal_log_hints": "on",
            "citus.node_conninfo": "sslmode=verify-full tcp_user_timeout=3000 keepalives_idle=2",
        ]
        for (name, value) in plain { server.set(name, value) }
        server.set("citus.node_connection_timeout", "3000", unit: "ms")
        server.set("client_connection_check_interval", "10000", unit: "ms")
        server.set("idle_in_transaction_session_timeout", "600000", unit: "ms")
        server.set("max_slot_wal_keep_size", "51200", unit: "MB")
        server.set("recovery_min_apply_delay", "0", unit: "ms")
        server.set("tcp_keepalives_idle", "60", unit: "s")
        server.set("tcp_user_timeout", "30000", unit: "ms")
        server.set("wal_keep_size", "128", unit: "MB")
        server.set("wal_segment_size", "16777216", unit: "B")
        server.senders = .known([], source: "test")
        server.slots = .known([], source: "test")
        var archiver = Server.Archiver()
        archiver.lastSuccess = 10
        server.archiver = .known(archiver, source: "test")
        server.connections = .known(50, source: "test")
        server.workers = .known(4, source: "test")
        server.prepared = .known([1], source: "test")
        server.walRate = .known(1_048_576, source: "test")
        server.transactionAge = .known(200_000_000, source: "test")
        server.collations = .known([], source: "test")
        var line = Server.HBALine()
        (line.databases, line.users) = (["replication"], ["replicator"])
        (line.address, line.mask, line.method) = ("10.0.0.0", "255.255.255.0", "scram-sha-256")
        server.hba = .known([line], source: "test")
        server.clockOffset = .known(0.01, source: "test")
        server.citusVersion = "14.0-1"
        return server
    }

    private static var goodEtcd: Etcd {
        var etcd = Etcd()
        var members: [Etcd.Member] = []
        for number in 1...3 {
            let url = "https://10.0.0.\(number):2379"
            var status = Etcd.Status()
            status.version = "3.5.16"
            status.memberID = UInt64(number)
            status.leaderID = 1
            status.size = 200 << 20
            status.sizeInUse = 150 << 20
            etcd.statuses[url] = .known(status, source: "test")
            var figures = Etcd.Figures()
            (figures.slowestSync, figures.leaderChanges, figures.quota, figures.uptime) = (
                0.004, 1, 2_147_483_648, 864_000
            )
            etcd.figures[url] = .known(figures, source: "test")
            var member = Etcd.Member()
            (member.name, member.id, member.clientURLs) = ("n\(number)", UInt64(number), [url])
            members.append(member)
        }
        etcd.members = .known(members, source: "test")
        return etcd
    }

    private static var goodNode: Node {
        var node = Node()
        node.units["patroni"] = .known(
            ["LoadState": "loaded", "Restart": "on-failure", "KillMode": "process"], source: "test")
        node.units["pharos"] = .known(
            ["ActiveState": "active", "UnitFileState": "enabled", "Restart": "always"], source: "test")
        node.postgresUnits = .known([], source: "test")
        node.automaticClusters = .known([], source: "test")
        node.hasWatchdog = .known(true, source: "test")
        for name in [
            "net.ipv4.ip_nonlocal_bind", "net.ipv6.ip_nonlocal_bind", "vm.overcommit_memory",
            "net.ipv4.conf.all.arp_ignore",
            "net.ipv4.conf.eth1.arp_ignore",
        ] { node.sysctls[name] = .known("0", source: "test") }
        var disk = Node.Disk()
        (disk.path, disk.size, disk.free, disk.freeInodes) = ("/data", 100 << 30, 50 << 30, 0.9)
        node.dataDisk = .known(disk, source: "test")
        node.walDisk = .known(disk, source: "test")
        node.isClockSynchronized = .known(true, source: "test")
        node.swap = .known((total: 1 << 30, free: 1 << 30), source: "test")
        node.memoryPressure = .known(0, source: "test")
        node.postmasterScore = .known(-900, source: "test")
        var interface = Node.Interface()
        interface.name = "eth1"
        interface.addresses = ["10.0.0.1/24", "fd77::1/64", "10.0.0.100/24"].compactMap { AddressPrefix($0) }
        node.interfaces = .known([interface], source: "test")
        var certificate = Node.Certificate()
        (certificate.path, certificate.left) = ("/etc/ssl/n1.pem", 300 * 86_400)
        node.certificates = .known([certificate], source: "test")
        var key = Node.KeyFile()
        (key.path, key.mode) = ("/etc/ssl/n1.key", 0o640)
        node.keyFiles = .known([key], source: "test")
        return node
    }

    private static var goodDaemon: Daemon {
        var daemon = Daemon()
        daemon.groups = (0...1).map { number in
            var group = Daemon.Group()
            group.number = number
            group.leader = number == 0 ? "n1" : "w1"
            group.members = (1...3).map { index in
                var member = Daemon.Member()
                member.name = "\(number == 0 ? "n" : "w")\(index)"
                member.verdict = "well"
                member.version = "0.1.0"
                return member
            }
            return group
        }
        return daemon
    }
}
