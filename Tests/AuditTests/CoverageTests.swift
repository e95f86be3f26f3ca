// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Audit

/// Everything that was ever named as making a failover unsafe, slow or impossible is a rule, or is said not to be looked at. Whoever learns
/// of something else adds it here first.
struct CoverageTests {
    private enum Covered {
        case rule(String)
        /// The beginning of the gap's text.
        case gap(String)
    }

    private static let known: [(what: String, by: Covered)] = [
        // Time.
        ("times that Patroni adjusts", .rule("times-adjusted")),
        ("bootstrap.dcs is read once", .rule("bootstrap-differs")),
        ("ttl far below 30", .rule("ttl-short")), ("ttl above 60", .rule("ttl-long")),
        ("failsafe_mode off", .rule("failsafe-off")),
        ("failsafe_mode with a member that is out of reach, or dead and listed", .rule("failsafe-member-unreachable")),
        ("primary_start_timeout", .rule("start-timeout-long")), ("primary_stop_timeout", .rule("stop-timeout-none")),
        ("pause", .rule("paused")), ("pause for longer than a day", .gap("how long maintenance mode")),
        ("a switchover or restart that is planned", .rule("work-scheduled")),
        // Candidates.
        ("no candidate", .rule("no-candidate")), ("one candidate", .rule("one-candidate")),
        ("a candidate on the leader's host, zone or storage", .gap("whether two nodes share a host")),
        ("maximum_lag_on_failover: what is lost at worst", .rule("commits-may-be-lost")),
        ("maximum_lag_on_failover below a segment, or a loop_wait's writes", .rule("lag-limit-small")),
        ("synchronous_mode off with a promise", .gap("whether a promise")),
        ("synchronous_mode with one standby; strict", .rule("one-synchronous-standby")),
        ("synchronous_node_count above what there is; nosync", .rule("synchronous-count-high")),
        ("maximum_lag_on_syncnode -1", .rule("synchronous-lag-unlimited")),
        ("quorum needs 4.0", .rule("quorum-unsupported")),
        ("check_timeline false", .rule("timeline-unchecked")), ("standby_cluster", .rule("standby-cluster")),
        ("standby_cluster on both sides", .gap("two sites")),
        ("a standby on an old timeline", .rule("standby-on-old-timeline")),
        ("a standby that does not stream", .rule("standby-not-streaming")),
        // Return.
        ("pg_rewind, checksums, wal_log_hints, full_page_writes", .rule("rewind-impossible")),
        ("logins for a rewind from every member", .gap("whether a rewind would succeed")),
        ("remove_data_directory_on_…", .rule("divergence-deleted")), ("use_slots", .rule("slots-off")),
        ("member_slots_ttl, wal_keep_size", .rule("standby-away-short")),
        ("max_slot_wal_keep_size", .rule("slots-unlimited")),
        ("a slot that is lost", .rule("slot-lost")), ("restore_command", .rule("restore-command-missing")),
        ("recovery_min_apply_delay", .rule("apply-delay-on-candidate")),
        // PostgreSQL.
        ("settings below the primary's", .rule("standby-settings-lower")),
        ("pending_restart", .rule("restart-pending")),
        ("max_wal_senders, max_replication_slots", .rule("senders-few")), ("hot_standby", .rule("hot-standby-off")),
        ("wal_level", .rule("wal-level-minimal")), ("listen_addresses", .rule("address-not-listened-on")),
        ("pg_hba for replication", .rule("replication-refused")), ("pg_hba for Pharos, tried", .rule("role-refused")),
        ("fsync, full_page_writes", .rule("durability-off")), ("synchronous_commit", .rule("synchronous-commit-off")),
        ("archive_command fails", .rule("archive-failing")), ("backups", .gap("backups")),
        ("shared_preload_libraries differ", .rule("libraries-differ")),
        ("binaries differ", .rule("postgres-versions-differ")),
        ("extensions differ", .gap("extensions and programs")), ("collations differ", .rule("collation-mismatch")),
        ("keepalives, tcp_user_timeout, client_connection_check_interval", .rule("sessions-linger")),
        ("idle_in_transaction_session_timeout", .rule("idle-in-transaction")),
        ("old prepared transactions", .rule("prepared-transactions-old")),
        ("start.conf auto, postgresql@", .rule("two-managers")),
        ("passwords of a template", .rule("template-password")),
        // Patroni.
        ("the unit's Restart and KillMode", .rule("patroni-not-restarted")), ("the watchdog", .rule("watchdog-off")),
        ("restapi without authentication", .rule("rest-unauthenticated")),
        ("restapi without TLS", .rule("rest-without-tls")),
        ("connect_address", .rule("rest-address-wrong")), ("a REST API out of reach", .rule("rest-unreachable")),
        ("the same user and password on all members", .gap("the REST API's password")),
        ("versions of Patroni", .rule("patroni-versions-differ")), ("callbacks", .rule("callbacks-set")),
        ("callbacks that run long", .gap("how long callbacks")),
        ("a scope shared by two clusters", .rule("scope-shared")),
        // etcd.
        ("too few members", .rule("etcd-members-few")), ("a member down", .rule("etcd-member-down")),
        ("an even number", .rule("etcd-members-even")), ("two members on one host", .rule("etcd-members-on-one-host")),
        ("an alarm", .rule("etcd-alarm")), ("the quota", .rule("etcd-nearly-full")),
        ("compaction", .gap("automatic compaction")), ("defragmentation", .rule("etcd-fragmented")),
        ("fsync p99", .rule("etcd-slow-disk")), ("heartbeats", .gap("heartbeats")),
        ("elections", .rule("etcd-elections")),
        ("3.4 without pre-vote", .rule("etcd-version-old")), ("versions of etcd", .rule("etcd-versions-differ")),
        ("no authentication, no TLS", .rule("etcd-open")),
        ("releases that ask for more tokens", .gap("clients that an upgrade")),
        ("the v2 API", .rule("etcd-v2-api")),
        // Citus.
        ("max_prepared_transactions", .rule("citus-prepared-transactions")),
        ("citus.node_conninfo", .rule("citus-node-conninfo")),
        ("citus.node_connection_timeout", .rule("citus-connection-timeout")),
        ("client_connection_check_interval on the coordinator", .rule("citus-check-interval")),
        ("citus.recover_2pc_interval -1", .rule("citus-recovery-off")),
        ("versions of Citus on all nodes", .gap("versions and catalogs of Citus")),
        ("citus first", .rule("citus-not-first")),
        ("citus.local_hostname", .gap("`citus.local_hostname`")),
        ("pg_dist_authinfo", .gap("logins between Citus nodes")),
        ("shard_replication_factor", .rule("citus-shard-replication")),
        ("Citus below 14.0", .rule("citus-restore-points")),
        ("several databases", .rule("citus-several-databases")), ("a group of one", .rule("group-of-one")),
        ("shards on the coordinator", .rule("citus-coordinator-shards")),
        // Kernel, systemd, Pharos.
        ("an interface outside of the subnet; rp_filter", .rule("interface-outside-subnet")),
        ("arp_ignore", .rule("arp-ignored")),
        ("ip_nonlocal_bind", .rule("nonlocal-bind")), ("accept_dad", .gap("duplicate address detection")),
        ("OOM score of the postmaster", .rule("postmaster-not-protected")), ("swap", .rule("swap-full")),
        ("time jumps", .gap("jumps of the clock")), ("no time service", .rule("clock-not-synchronized")),
        ("clocks apart", .rule("clocks-apart")), ("certificates that end", .rule("certificate-ends")),
        ("keys readable by others", .rule("key-readable")), ("lease.ttl", .rule("lease-longer-than-ttl")),
        ("the detector's profile", .rule("detection-long")), ("no daemon here", .rule("daemon-stopped")),
        ("daemons missing, observations absent", .rule("daemon-missing")),
        ("versions of Pharos", .rule("pharos-versions-differ")),
        ("other nodes' kernels", .gap("the watchdog, units, kernel")),
        // Headroom.
        ("connections after the loss of the largest node", .rule("connections-few")),
        ("memory pressure", .rule("memory-short")),
        ("disk of the data", .rule("data-disk-full")), ("disk of pg_wal", .rule("log-disk-full")),
        ("inodes", .rule("inodes-few")),
        ("forecasts and peaks", .gap("forecasts")),
        ("replay slower than writing", .gap("a standby that replays slower")),
        ("worker processes", .rule("workers-few")), ("XID age", .rule("transaction-ids-old")),
        ("a smaller standby", .gap("a standby with less memory")),
    ]

    @Test func `everything known is a rule, or is said not to be looked at`() {
        let codes = Set(AuditRule.all.map(\.code))
        for (what, by) in Self.known {
            switch by {
            case .rule(let code): #expect(codes.contains(code), "\(what): there is no rule \(code)")
            case .gap(let text):
                #expect(AuditGap.all.contains { $0.what.hasPrefix(text) }, "\(what): nothing says so: \(text)")
            }
        }
    }

    @Test func `each rule and each gap is of something known`() {
        for rule in AuditRule.all {
            let isKnown = Self.known.contains { if case .rule(rule.code) = $0.by { true } else { false } }
            #expect(isKnown, "\(rule.code) is not in the list")
        }
        for gap in AuditGap.all {
            let isKnown = Self.known.contains {
                if case .gap(let text) = $0.by { gap.what.hasPrefix(text) } else { false }
            }
            #expect(isKnown, "\(gap.what) is not in the list")
        }
    }
}
