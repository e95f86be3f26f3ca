// SPDX-License-Identifier: Apache-2.0

/// Something that makes a failover unsafe, and that no rule looks at: said, so that nobody takes silence for fine.
public struct AuditGap: Sendable {
    public let what: String
    public let because: String

    init(_ what: String, _ because: String) {
        self.what = what
        self.because = because
    }

    public static let all = [
        AuditGap(
            "whether two nodes share a host, a zone or storage",
            "the nodes do not tell it; etcd's members on one address are found (`etcd-members-on-one-host`)"),
        AuditGap(
            "two sites, and a `standby_cluster` on both sides",
            "the other cluster is not asked; that this one follows another is told (`standby-cluster`)"),
        AuditGap(
            "how long maintenance mode has lasted",
            "Patroni does not keep it: `paused` is red from the start, and can be accepted until a date"),
        AuditGap(
            "whether a promise of no lost commits was made",
            "no configuration says so: `commits-may-be-lost` says how much it may be"),
        AuditGap(
            "whether a rewind would succeed",
            "only a rewind shows it: what it needs is looked at (`rewind-impossible`, `replication-refused`)"),
        AuditGap(
            "automatic compaction of etcd",
            "etcd tells its settings nowhere; what follows is looked at (`etcd-nearly-full`, `etcd-fragmented`)"),
        AuditGap(
            "heartbeats that etcd sent too late",
            "etcd counts them from the process's start, without a time; `etcd-slow-disk` and `etcd-elections` show what follows"
        ),
        AuditGap(
            "clients that an upgrade of etcd to 3.4.42, 3.5.28 or 3.6.9 locks out",
            "these ask for a token also for keep-alives and lists of members; which clients send one, etcd does not tell: its release notes"
        ),
        AuditGap("versions and catalogs of Citus on the nodes of other groups", "`pharos verify` compares them"),
        AuditGap("`citus.local_hostname`", "whether a server reaches itself under it, only the server can try"),
        AuditGap(
            "logins between Citus nodes (`pg_dist_authinfo`)",
            "it holds passwords, and the role of Pharos may not read it"),
        AuditGap(
            "the REST API's password on other nodes",
            "it is in their files: run the audit there; a switchover that Pharos asks for shows it, too"),
        AuditGap(
            "the watchdog, units, kernel and disks of other nodes",
            "they are read where the command runs: run it on each node"),
        AuditGap(
            "backups",
            "whether one can be restored, only a restore shows; a failing archive is found (`archive-failing`)"),
        AuditGap(
            "a standby with less memory, processors or disk than the primary",
            "PostgreSQL does not tell its machine: run the audit on each node"),
        AuditGap("forecasts, and peaks over seven days", "one look is one moment: a monitoring system keeps figures"),
        AuditGap(
            "a standby that replays slower than the primary writes at its peak",
            "one look is one moment; that it is behind now is told (`no-candidate`, `one-candidate`)"),
        AuditGap(
            "jumps of the clock",
            "they are over when one looks; what keeps the clock is looked at (`clock-not-synchronized`)"),
        AuditGap(
            "duplicate address detection of IPv6 (`accept_dad`)", "Pharos adds its addresses without it (`nodad`)"),
        AuditGap("how long callbacks run", "only when they run; that there are some is told (`callbacks-set`)"),
        AuditGap(
            "extensions and programs that are missing on one member",
            "what a database needs is in its catalogs, and what a node has in its files; libraries that are loaded at the start are compared (`libraries-differ`)"
        ),
    ]
}
