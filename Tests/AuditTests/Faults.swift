// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import Audit

/// One thing that is wrong with ``AuditFacts/healthy``, and the finding that must follow: one for each rule at least.
struct Fault: Sendable, CustomTestStringConvertible {
    let code: String
    let grade: AuditGrade
    /// What the finding must say.
    let says: String
    let spoil: @Sendable (inout AuditFacts) -> Void

    init(_ code: String, _ grade: AuditGrade, _ says: String, _ spoil: @escaping @Sendable (inout AuditFacts) -> Void) {
        self.code = code
        self.grade = grade
        self.says = says
        self.spoil = spoil
    }

    var testDescription: String { "\(self.code): \(self.says)" }

    /// Keys of the dynamic configuration.
    static func config(_ code: String, _ grade: AuditGrade, _ says: String, _ changes: [String: JSON?]) -> Fault {
        Fault(code, grade, says) { $0.set(changes) }
    }

    /// A setting of n2's PostgreSQL.
    static func server(
        _ code: String, _ grade: AuditGrade, _ says: String, _ name: String, _ value: String, unit: String? = nil,
        of member: String = "n2"
    ) -> Fault {
        Fault(code, grade, says) { $0.servers[member]?.change { $0.set(name, value, unit: unit) } }
    }

    static let all: [Fault] = [time, candidates, comeback, postgres, patroni, etcd, citus, node, headroom].flatMap(
        \.self)

    private static let time: [Fault] = [
        Self.config("times-adjusted", .red, "stored: ttl 5, loop_wait 10", ["ttl": .integer(5)]),
        Self.config(
            "times-adjusted", .red, "used: ttl 30, loop_wait 6, retry_timeout 12", ["retry_timeout": .integer(12)]),
        Fault("bootstrap-differs", .amber, "ttl (file 20, in effect 30)") {
            $0.file.change { $0.bootstrap["ttl"] = "20" }
        },
        Self.config("ttl-short", .note, "ttl is 21 s", ["ttl": .integer(21), "loop_wait": .integer(1)]),
        Self.config("ttl-short", .amber, "retry_timeout is 3 s", ["retry_timeout": .integer(3)]),
        Self.config("ttl-long", .amber, "ttl is 90 s", ["ttl": .integer(90)]),
        Self.config("failsafe-off", .amber, "10 s without etcd", ["failsafe_mode": nil]),
        Fault("failsafe-member-unreachable", .red, "Patroni of n2 does not answer n1: refused") {
            $0.rest["n2"] = .unlooked(why: "refused")
        },
        Fault("failsafe-member-unreachable", .red, "n9 is listed") {
            $0.keys.change { $0.failsafe = ["n9": "http://gone"] }
        },
        Self.config("start-timeout-long", .amber, "primary_start_timeout is 300 s", ["primary_start_timeout": nil]),
        Self.config("stop-timeout-none", .note, "no limit", ["primary_stop_timeout": nil]),
        Self.config("paused", .red, "maintenance mode", ["pause": .bool(true)]),
        Fault("work-scheduled", .note, "a switchover is planned for 2027-01-01T03:00") {
            $0.keys.change { $0.scheduled = "2027-01-01T03:00" }
        },
        Fault("work-scheduled", .note, "n2: a restart is planned") {
            $0.rest["n2"]?.change { $0.scheduledRestart = "2027-01-01" }
        },
    ]

    private static let candidates: [Fault] = [
        Fault("no-candidate", .red, "nobody could take over: n2 (nofailover") {
            $0.keys.change { keys in for index in 1...2 { keys.members[index].mayLead = false } }
        },
        Fault("no-candidate", .red, "n1 is the only member") { $0.keys.change { $0.members.removeLast(2) } },
        Fault("one-candidate", .note, "n2 alone could take over from n1; not: n3 (on timeline 3, the leader on 4)") {
            $0.keys.change { $0.members[2].timeline = 3 }
        },
        Fault("one-candidate", .note, "the failure detector says node failed") {
            $0.daemon.change { $0.groups[0].members[2].verdict = "node failed" }
        },
        Fault("one-candidate", .note, "not synchronous now") { $0.keys.change { $0.synchronous = ["n2"] } },
        Fault("one-candidate", .note, "n3 (64 MiB behind, more than maximum_lag_on_failover)") {
            $0.keys.change { $0.members[2].position = 1 << 30 - 1 << 26 - 1 }
        },
        Self.config(
            "lag-limit-small", .amber, "maximum_lag_on_failover is 1 MiB",
            ["synchronous_mode": nil, "maximum_lag_on_failover": nil]),
        Self.config(
            "commits-may-be-lost", .amber, "at worst 94 MiB at the average rate of n1 (94 s of writing)",
            ["synchronous_mode": .bool(false)]),
        Fault("one-synchronous-standby", .amber, "n2 alone can be") {
            $0.keys.change { $0.members[2].maySync = false }
        },
        Fault("one-synchronous-standby", .red, "writes stop without it") {
            $0.keys.change { $0.members[2].maySync = false }
            $0.set(["synchronous_mode_strict": .bool(true)])
        },
        Self.config(
            "synchronous-count-high", .amber, "synchronous_node_count is 2, and 2 standbys",
            ["synchronous_node_count": .integer(2)]),
        Self.config("synchronous-lag-unlimited", .note, "no limit", ["maximum_lag_on_syncnode": nil]),
        Fault("quorum-unsupported", .red, "n2 runs Patroni 3.3.2") {
            $0.set(["synchronous_mode": .string("quorum")])
            $0.rest["n2"]?.change { $0.version = "3.3.2" }
        },
        Self.config("timeline-unchecked", .amber, "check_timeline is off", ["check_timeline": nil]),
        Self.config(
            "standby-cluster", .note, "follows another", ["standby_cluster": .object(["host": .string("far")])]),
        Fault("standby-on-old-timeline", .red, "n3 is on timeline 3") { $0.keys.change { $0.members[2].timeline = 3 } },
        Fault("standby-not-streaming", .amber, "n3 is in the state \"in archive recovery\"") {
            $0.keys.change { $0.members[2].replicationState = "in archive recovery" }
        },
    ]

    private static let comeback: [Fault] = [
        Self.config("rewind-impossible", .amber, "use_pg_rewind is off", ["postgresql": nil]),
        Fault("rewind-impossible", .amber, "n2: neither data checksums nor wal_log_hints") {
            $0.servers["n2"]?.change {
                $0.set("data_checksums", "off")
                $0.set("wal_log_hints", "off")
            }
        },
        Fault("divergence-deleted", .amber, "remove_data_directory_on_rewind_failure is on") {
            $0.file.change { $0.removesDataOnRewindFailure = true }
        },
        Self.config(
            "slots-off", .amber, "use_slots is off",
            ["postgresql": .object(["use_slots": .bool(false), "use_pg_rewind": .bool(true)])]),
        Fault("standby-away-short", .amber, "a standby may be away for 30 min (slots of absent members: 30 min") {
            $0.set(["member_slots_ttl": nil])
            $0.servers["n1"]?.change { $0.set("restore_command", "") }
        },
        Fault("standby-away-short", .amber, "not kept by this Patroni; wal_keep_size 128 MiB at 1 MiB/s") {
            $0.rest["n1"]?.change { $0.version = "3.0.2" }
            $0.servers["n1"]?.change { $0.set("restore_command", "") }
        },
        Fault("slots-unlimited", .amber, "a dead slot fills /data in 14 h") {
            $0.servers["n1"]?.change { $0.set("max_slot_wal_keep_size", "-1", unit: "MB") }
        },
        Fault("slot-lost", .amber, "the slot n3 is lost") {
            var slot = AuditFacts.Server.Slot()
            (slot.name, slot.walStatus) = ("n3", "lost")
            $0.servers["n1"]?.change { [slot] in $0.slots = .known([slot], source: "test") }
        },
        Fault("slot-lost", .amber, "it keeps 20 GiB") {
            var slot = AuditFacts.Server.Slot()
            (slot.name, slot.isActive, slot.retained) = ("old", false, 20 << 30)
            $0.servers["n1"]?.change { [slot] in $0.slots = .known([slot], source: "test") }
        },
        Self.server("restore-command-missing", .amber, "n2: archive_mode is on", "restore_command", ""),
        Self.server(
            "apply-delay-on-candidate", .red, "n2 replays 5 min late", "recovery_min_apply_delay", "300000", unit: "ms"),
    ]

    private static let postgres: [Fault] = [
        Self.server(
            "standby-settings-lower", .amber, "n2: max_connections is 100, on n1 200", "max_connections", "100"),
        Fault("restart-pending", .amber, "n2 waits for a restart: max_connections") {
            $0.rest["n2"]?.change { ($0.isRestartPending, $0.pendingSettings) = (true, ["max_connections"]) }
        },
        Self.server("senders-few", .amber, "n2: max_replication_slots is 4", "max_replication_slots", "4"),
        Self.server("hot-standby-off", .red, "n2: hot_standby is off", "hot_standby", "off"),
        Self.server("wal-level-minimal", .red, "n2: wal_level is minimal", "wal_level", "minimal"),
        Self.server("wal-level-minimal", .note, "logical", "wal_level", "replica"),
        Self.server(
            "address-not-listened-on", .red, "nobody would answer at 10.0.0.100", "listen_addresses", "10.0.0.2, ::"),
        Self.server(
            "address-not-listened-on", .red, "net.ipv4.ip_nonlocal_bind is 0", "listen_addresses",
            "10.0.0.1,10.0.0.100,::", of: "n1"),
        Self.server("durability-off", .red, "n2: fsync is off", "fsync", "off"),
        Self.server("synchronous-commit-off", .amber, "n2: synchronous_commit is local", "synchronous_commit", "local"),
        Fault("archive-failing", .red, "n1: archive_command failed 5 s ago (7 failures); the last success was 10 s ago")
        {
            $0.servers["n1"]?.change { $0.archiver.change { ($0.failures, $0.lastFailure) = (7, 5) } }
        },
        Self.server("libraries-differ", .red, "n2: 'citus'", "shared_preload_libraries", "citus"),
        Fault("postgres-versions-differ", .amber, "n2 16.2") { $0.servers["n2"]?.change { $0.version = 160_002 } },
        Fault("postgres-versions-differ", .red, "n2 15.4") { $0.servers["n2"]?.change { $0.version = 150_004 } },
        Fault("collation-mismatch", .red, "n2: another version of the collation than in app") {
            $0.servers["n2"]?.change { $0.collations = .known(["app"], source: "test") }
        },
        Fault("role-refused", .amber, "n2 refuses pharos from n1") {
            $0.servers["n2"] = .unlooked(why: "FATAL: no pg_hba.conf entry for host")
        },
        Fault("replication-refused", .red, "n2: pg_hba lets no replication in from n1 (10.0.0.1)") {
            $0.servers["n2"]?.change { $0.hba.change { ($0[0].address, $0[0].mask) = ("10.0.0.3", "255.255.255.255") } }
        },
        Self.server("sessions-linger", .amber, "n2: not set: tcp_user_timeout", "tcp_user_timeout", "0", unit: "ms"),
        Self.server(
            "idle-in-transaction", .note, "n1: idle_in", "idle_in_transaction_session_timeout", "0", unit: "ms",
            of: "n1"),
        Fault("prepared-transactions-old", .amber, "n1: 1 prepared transactions, the oldest 2 h old") {
            $0.servers["n1"]?.change { $0.prepared = .known([3, 7200], source: "test") }
        },
    ]
}

extension AuditFacts {
    /// Changes keys of the dynamic configuration; nil: takes it out.
    mutating func set(_ changes: [String: JSON?]) {
        var values = self.config.value?.json.object ?? [:]
        for (name, value) in changes { values[name] = value }
        self.config = .known(DynamicConfiguration(.object(values)), source: "test")
    }
}
