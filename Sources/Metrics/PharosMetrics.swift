// SPDX-License-Identifier: Apache-2.0
public import LenientJSON

/// What a daemon's status and its view of the cluster come to in figures. At most some 100 series, 12 for each member, and 10 for each group.
///
/// All but `pharos_up` have Patroni's label `scope`, so that one Prometheus can tell clusters apart.
public struct PharosMetrics {
    private let status: JSON
    let cluster: JSON?

    /// - Parameters:
    ///   - status: what the daemon answers at `/status`; nil: it does not answer, and nothing else is said.
    ///   - cluster: what it answers at `/cluster`.
    ///   - instance: the name of one of several daemons of a host, whose files a collector puts together: a label of all.
    public static func families(status: JSON?, cluster: JSON?, instance: String? = nil) -> [MetricFamily] {
        let own = instance.map { [(name: "cluster", value: $0)] } ?? []
        let up = MetricFamily(
            "pharos_up", .gauge, "Whether the daemon of this node answers", [.init(own, status == nil ? 0 : 1)])
        guard let status else { return [up] }
        let metrics = PharosMetrics(status: status, cluster: cluster)
        let common = own + [(name: "scope", value: status["scope"]?.string ?? "")]
        let all =
            metrics.node + metrics.addresses + metrics.counters + metrics.citus + metrics.groups + metrics.readiness
        return [up]
            + all.map { family in
                var family = family
                family.samples = family.samples.map { Sample(common + $0.labels, $0.value) }
                return family
            }
    }

    private typealias Sample = MetricFamily.Sample

    private static func flag(_ value: JSON?) -> Double { value?.bool == true ? 1 : 0 }
    private static func one(_ value: Double) -> [Sample] { [Sample([], value)] }
    /// No sample where it is not known.
    private static func known(_ labels: [(name: String, value: String)], _ value: Int64?) -> [Sample] {
        value.map { [Sample(labels, Double($0))] } ?? []
    }
    /// One series for each state, 1 for the one that is.
    private static func states(
        _ labels: [(name: String, value: String)], _ all: [String], _ state: String?
    ) -> [Sample] {
        all.map { Sample(labels + [("state", $0)], $0 == state ? 1 : 0) }
    }

    // MARK: - This node

    private var node: [MetricFamily] {
        let etcd = self.status["etcd"]
        let loop = self.status["loop"]
        let turns = [("10m", "last_10_minutes"), ("start", "since_start")].flatMap { label, name in
            (loop?[name]?["longest_turn_microseconds"]?.int64).map {
                [Sample([("window", label)], Double($0) / 1_000_000)]
            } ?? []
        }
        let labels = ["member", "version"].map { (name: $0, value: self.status[$0]?.string ?? "") }
        return [
            MetricFamily("pharos_build_info", .info, "What runs, and for whom", [Sample(labels, 1)]),
            MetricFamily(
                "pharos_uptime_seconds", .gauge, "How long the daemon has run",
                Self.known([], self.status["uptime_seconds"]?.int64)),
            MetricFamily(
                "pharos_leads", .gauge, "Whether Patroni's leader key names this member",
                Self.one(Self.flag(self.status["is_leader"]))),
            MetricFamily(
                "pharos_maintenance", .gauge, "Whether Patroni is in maintenance mode",
                Self.one(Self.flag(self.status["paused"]))),
            MetricFamily(
                "pharos_etcd_up", .gauge, "Whether etcd answered the last read in time",
                Self.one(Self.flag(self.status["has_contact"]))),
            MetricFamily(
                "pharos_etcd_watching", .gauge, "Whether changes in etcd are told at once, not by reads only",
                Self.one(Self.flag(etcd?["is_watching"]))),
            MetricFamily(
                "pharos_etcd_quarantined", .gauge, "Whether this etcd cluster is too new to be trusted",
                Self.one(Self.flag(etcd?["is_quarantined"]))),
            MetricFamily(
                "pharos_etcd_endpoints_foreign", .gauge, "Endpoints that belong to another etcd cluster",
                Self.one(
                    Double((etcd?["endpoints"]?.array ?? []).count { $0["is_foreign"]?.bool == true }))),
            MetricFamily(
                "pharos_unanswered_questions", .gauge, "What the daemon asked for, and got no answer to in time",
                Self.one(Double(self.status["unanswered"]?.array?.count ?? 0))),
            MetricFamily(
                "pharos_loop_longest_turn_seconds", .gauge,
                "The longest time in which the daemon's loop did one thing only", turns),
        ]
    }

    // MARK: - Addresses

    private var addresses: [MetricFamily] {
        let addresses = self.status["addresses"]?.array ?? []
        func each(_ make: ([(name: String, value: String)], JSON) -> [Sample]) -> [Sample] {
            addresses.flatMap { make([("address", $0["address"]?.string ?? "")], $0) }
        }
        return [
            MetricFamily(
                "pharos_address_here", .gauge, "Whether this node's kernel has the address",
                each { [Sample($0, Self.flag($1["is_here"]))] }),
            MetricFamily(
                "pharos_address_state", .gauge, "What the daemon holds right for the address here",
                each { Self.states($0, ["hold", "keep", "wait", "leave"], $1["stance"]?.string) }),
            MetricFamily(
                "pharos_address_lifetime_seconds", .gauge,
                "What is left of the address's lifetime here, unless it is renewed",
                each { Self.known($0, $1["lifetime_seconds"]?.int64) }),
            MetricFamily(
                "pharos_address_port_open", .gauge,
                "Whether a server takes connections at the address, tried from here",
                each { labels, address in
                    guard let port = address["port"], port["is_believed"]?.bool == true,
                        let state = port["state"]?.string,
                        ["open", "refused", "silent"].contains(state)
                    else { return [] }
                    return [Sample(labels, state == "open" ? 1 : 0)]
                }),
        ]
    }

    // MARK: - What has happened

    /// Counted by the records that tell of it, since the daemon's start.
    private static let counted: [(name: String, help: String, kinds: [String])] = [
        ("acquisitions", "Addresses whose key this node got", ["addressAcquired"]),
        ("adoptions", "Leases taken over from the process before", ["leaseAdopted"]),
        ("lapses", "Addresses whose lifetime ended in the kernel", ["addressLapsed"]),
        ("releases", "Addresses whose key was given back", ["addressReleased"]),
        ("leases_lost", "Leases that ended in etcd while they were wanted", ["leaseLost"]),
        ("acquisitions_refused", "Acquisitions that etcd's comparisons refused", ["acquireRefused"]),
        (
            "changes_by_others", "Changes that others made to an address here, as far as each is told",
            ["addressRemovedByOthers", "addressAddedByOthers", "addressLifetimeChanged"]
        ),
        ("duplicates", "Sightings of another node that answers for an address", ["duplicateHolder"]),
        ("leader_changes", "Changes of Patroni's leader key", ["leaderChanged"]),
        ("etcd_contact_losses", "Times that etcd could not be read any more", ["contactLost"]),
        ("etcd_watch_interruptions", "Times that the watch of etcd ended", ["watchInterrupted"]),
        (
            "switchovers_asked", "Times that Patroni was asked to switch over from a leader that failed",
            ["switchoverAsked"]
        ),
        ("citus_updates", "Groups whose rows in pg_dist_node were changed", ["citusUpdated"]),
        ("citus_update_failures", "Changes of pg_dist_node that failed", ["citusUpdateFailed"]),
        ("alerts_failed", "Runs of alert.command that failed", ["alertFailed"]),
    ]

    private var counters: [MetricFamily] {
        guard let records = self.status["records"] else { return [] }
        return Self.counted.map { name, help, kinds in
            MetricFamily(
                "pharos_\(name)_total", .counter, help,
                Self.one(Double(kinds.reduce(0) { $0 + (records[$1]?.int64 ?? 0) })))
        }
    }

    // MARK: - Citus

    private var citus: [MetricFamily] {
        guard let citus = self.status["citus"] else { return [] }
        let databases = citus["databases"]?.array ?? []
        func each(_ make: ([(name: String, value: String)], JSON) -> [Sample]) -> [Sample] {
            databases.flatMap { make([("database", $0["database"]?.string ?? "")], $0) }
        }
        let verified = (citus["verification"]?["databases"]?.array ?? []).flatMap { database in
            [("critical", "critical"), ("warning", "warnings"), ("note", "notes")].flatMap { severity, name in
                Self.known(
                    [("database", database["database"]?.string ?? ""), ("severity", severity)], database[name]?.int64)
            }
        }
        return [
            MetricFamily(
                "pharos_citus_writer", .gauge, "Whether this daemon keeps pg_dist_node",
                Self.one(Self.flag(citus["is_writer"]))),
            MetricFamily(
                "pharos_citus_readable", .gauge, "Whether pg_dist_node could be read last",
                each { labels, database in
                    if database["unreadable"]?.string != nil { return [Sample(labels, 0)] }
                    return database["rows"]?.int64 == nil ? [] : [Sample(labels, 1)]
                }),
            MetricFamily(
                "pharos_citus_rows", .gauge, "Rows of pg_dist_node", each { Self.known($0, $1["rows"]?.int64) }),
            MetricFamily(
                "pharos_citus_groups_drifting", .gauge, "Groups whose rows are not where their leader is",
                each { Self.known($0, ($1["drifting_groups"]?.array?.count).map(Int64.init)) }),
            MetricFamily(
                "pharos_citus_groups_refused", .gauge, "Groups that need an operator",
                each { Self.known($0, ($1["needs_operator"]?.array?.count).map(Int64.init)) }),
            MetricFamily(
                "pharos_citus_groups_unsynchronized", .gauge, "Groups whose last change is not on every worker yet",
                each { Self.known($0, ($1["unsynchronized_groups"]?.array?.count).map(Int64.init)) }),
            MetricFamily(
                "pharos_citus_findings", .gauge, "Findings of the last verification by this daemon", verified),
            MetricFamily(
                "pharos_citus_verification_age_seconds", .gauge, "How old the last verification is",
                Self.known([], citus["verification"]?["seconds_ago"]?.int64)),
        ]
    }

    // MARK: - All groups

    /// As `Wording` of the shell names them.
    package static let problems = [
        "cut_off", "past", "paused", "reactions_paused", "no_leader", "several_primaries", "address_unheld",
        "address_held_by_another",
        "member_not_well", "no_candidate", "no_standby", "candidate_unknown", "failure_not_survived", "no_daemon",
        "address_looked_after_by_some",
        "versions_differ",
    ]
    /// As the failure detector names them.
    package static let verdicts = [
        "unknown", "well", "suspected", "Patroni failed", "PostgreSQL failed", "node failed", "gray failure",
        "stuck in recovery", "lagging",
    ]

    /// Nothing where the daemon has not read the groups: absence is what to alert on then.
    private var groups: [MetricFamily] {
        guard let cluster = self.cluster, let age = cluster["read_seconds_ago"]?.int64 else { return [] }
        let groups = cluster["groups"]?.array ?? []
        let problems = (cluster["problems"]?.array ?? []).compactMap { $0["code"]?.string }
        func label(_ group: JSON) -> [(name: String, value: String)] { [("group", "\(group["group"]?.int64 ?? 0)")] }
        func each(_ make: ([(name: String, value: String)], JSON) -> [Sample]) -> [Sample] {
            groups.flatMap { group in
                (group["members"]?.array ?? []).flatMap { member in
                    make(label(group) + [("member", member["member"]?.string ?? "")], member)
                }
            }
        }
        return [
            MetricFamily(
                "pharos_cluster_current", .gauge, "Whether what is known of the groups is the present",
                Self.one(Self.flag(cluster["is_current"]))),
            MetricFamily(
                "pharos_cluster_read_age_seconds", .gauge,
                "How long ago the groups were read in etcd, beside the watch",
                Self.one(Double(age))),
            MetricFamily(
                "pharos_cluster_problems", .gauge, "What is the matter with the cluster, as pharos cluster lists it",
                Self.problems.map { code in Sample([("code", code)], Double(problems.count { $0 == code })) }),
            MetricFamily(
                "pharos_group_has_leader", .gauge, "Whether somebody leads the group",
                groups.map { Sample(label($0), $0["leader"]?.string == nil ? 0 : 1) }),
            MetricFamily(
                "pharos_group_addresses", .gauge, "Addresses that the group's daemons look after, or somebody holds",
                groups.map { Sample(label($0), Double($0["addresses"]?.array?.count ?? 0)) }),
            MetricFamily(
                "pharos_group_addresses_held", .gauge, "Those of them that somebody holds",
                groups.map { group in
                    Sample(
                        label(group), Double((group["addresses"]?.array ?? []).count { $0["holder"]?.string != nil }))
                }),
            MetricFamily(
                "pharos_member_verdict", .gauge, "What the failure detectors hold of the member",
                each { Self.states($0, Self.verdicts, $1["verdict"]?.string) }),
            MetricFamily(
                "pharos_member_daemon", .gauge, "Whether the member's daemon publishes",
                each { [Sample($0, Self.flag($1["has_daemon"]))] }),
            MetricFamily(
                "pharos_member_lag_bytes", .gauge, "How far the member is behind the leader, where this node asks it",
                each { Self.known($0, $1["lag_bytes"]?.int64) }),
        ]
    }
}
