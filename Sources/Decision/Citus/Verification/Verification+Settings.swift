// SPDX-License-Identifier: Apache-2.0

/// A server that answered.
struct LookedAt {
    let group: Int
    /// Nil for a coordinator of which etcd does not say where it is.
    let endpoint: NodeEndpoint?
    let facts: NodeFacts

    var name: String { self.endpoint.map { "\($0)" } ?? "the coordinator" }
    /// Where its own statements are to be run.
    var place: StatementPlace { StatementPlace(self.endpoint, leads: self.group) }
}

/// The coordinator, and each worker that its row names.
func lookedAt(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [LookedAt] {
    var servers = [LookedAt(group: 0, endpoint: facts.leaders[0]?.endpoint, facts: coordinator.facts)]
    for row in coordinator.rows where row.role == .primary && row.group != 0 {
        if case .answered(let node)? = facts.nodes[row.endpoint] {
            servers.append(LookedAt(group: row.group, endpoint: row.endpoint, facts: node))
        }
    }
    return servers
}

/// What could not be looked at is not in order.
func checkUnseen(_ servers: [LookedAt], _ facts: ClusterFacts) -> [Finding] {
    servers.flatMap { server in
        server.facts.unseen.sorted { $0.key.rawValue < $1.key.rawValue }.map { aspect, reason in
            Finding(
                .notLookedAt, facts.unseenSeverity(otherwise: .warning), group: server.group, node: server.endpoint,
                "\(aspect.rawValue) could not be looked at: \(reason)",
                .init(
                    "Give the role the right, on \(server.name), as root:",
                    commands: [
                        AdviceNames(facts, of: server.group).grants(aspect.needsRestoreFunctions ? "--restore" : nil)
                    ]))
        }
    }
}

/// Nodes of one cluster run one version of Citus; of PostgreSQL one major version.
func checkVersions(_ servers: [LookedAt]) -> [Finding] {
    func list(_ versions: [(String, String)]) -> String? {
        guard Set(versions.map(\.1)).count > 1 else { return nil }
        return versions.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    }
    let citus = list(servers.compactMap { server in server.facts.citusVersion.map { (server.name, $0) } })
    let majors = servers.compactMap { server in
        server.facts.postgresVersion.map { (server.name, String($0.prefix { $0 != "." })) }
    }
    let differ = [("Citus", citus), ("PostgreSQL", list(majors))].compactMap { program, found in
        found.map {
            Finding(
                .versionsDiffer, .warning, "the nodes run several versions of \(program): \($0)",
                .init("Finish the upgrade, or bring the nodes that were left out to the same version."))
        }
    }
    return differ + checkKnown(servers)
}

/// What is known of the coordinator's version: docs/citus.md has the table.
private func checkKnown(_ servers: [LookedAt]) -> [Finding] {
    guard let coordinator = servers.first, let citus = coordinator.facts.citusVersion.flatMap({ CitusRelease($0) })
    else {
        return []
    }
    var findings: [Finding] = []
    let versions = CitusVersions(
        citus: coordinator.facts.citusVersion, postgres: coordinator.facts.postgresVersion ?? "")
    let what = "Citus \(citus) on PostgreSQL \(versions.major.map(String.init) ?? "of an unknown version")"
    if VersionLimit.tooOld.applies(to: versions) {
        findings.append(
            Finding(
                .versionUntested, .warning, group: 0, node: coordinator.endpoint,
                "\(what) is older than what Pharos follows (Citus 11.0, PostgreSQL 14)",
                .init("Upgrade, or leave pg_dist_node to others: mode: observe.", refusal: "it is an upgrade")))
    } else if VersionLimit.unknown.applies(to: versions) {
        findings.append(
            Finding(
                .versionUntested, .note, group: 0, node: coordinator.endpoint,
                "\(what) is newer than what Pharos was written for (Citus 14.0, PostgreSQL 18)",
                .init("Look for a newer version of Pharos.", refusal: "it is an upgrade")))
    }
    if citus < .safeRestorePoints {
        findings.append(
            Finding(
                .restorePointsNotSafe, .note, group: 0, node: coordinator.endpoint,
                "citus_create_restore_point of Citus \(citus) makes one point of all nodes only if nobody writes through a worker",
                .init("Make restore points with pharos restore-point NAME.", refusal: "it is advice")))
    }
    return findings
}

/// A version of Citus as `pg_extension` has it, such as `13.2-1`.
public struct CitusRelease: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let major: Int
    public let minor: Int

    init(_ major: Int, _ minor: Int) { (self.major, self.minor) = (major, minor) }

    /// Nil for what does not begin with two numbers.
    public init?(_ text: String) {
        let parts = text.prefix { $0.isNumber || $0 == "." }.split(separator: ".")
        guard parts.count >= 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
        self.init(major, minor)
    }

    public static func < (a: CitusRelease, b: CitusRelease) -> Bool { (a.major, a.minor) < (b.major, b.minor) }
    public var description: String { "\(self.major).\(self.minor)" }

    static let oldest = CitusRelease(11, 0)
    /// From then on `force` ends sessions that hold `pg_dist_node` itself, too.
    static let endsHolders = CitusRelease(11, 2)
    /// From then on there is `citus_pause_node_within_txn`.
    static let pauses = CitusRelease(12, 1)
    static let safeRestorePoints = CitusRelease(14, 0)
    /// The first one of which nothing is known.
    static let unknown = CitusRelease(14, 1)
}

extension NodeFacts.Aspect {
    /// What is seen through the functions of `pharos grant-sql --restore` alone.
    fileprivate var needsRestoreFunctions: Bool {
        switch self {
        case .restorePoint, .contents, .sequences, .reachability: true
        case .copies, .prepared, .settings, .shards, .fence, .catalogs, .losses, .library: false
        }
    }
}

/// Settings under which a failover hangs, and those under which a restored cluster loses data, on every node.
func checkSettings(
    _ servers: [LookedAt], _ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator
) -> [Finding] {
    var findings: [Finding] = []
    // One finding for all servers of which the same is so.
    for rule in SettingRule.allCases {
        var wrong: [(problem: SettingProblem, servers: [LookedAt])] = []
        for server in servers where server.group == 0 || !rule.isOfCoordinator {
            let seen = ServerSettings(values: server.facts.settings, room: server.facts.room)
            guard let problem = rule.problem(seen, AdviceNames(facts, of: server.group)) else { continue }
            if let index = wrong.firstIndex(where: { $0.problem.text == problem.text }) {
                let commands = problem.commands.filter { !wrong[index].problem.commands.contains($0) }
                wrong[index].problem.commands += commands
                wrong[index].servers.append(server)
            } else {
                wrong.append((problem, [server]))
            }
        }
        for (problem, servers) in wrong {
            findings.append(
                Finding(
                    .failoverMayHang, problem.severity, node: servers.count == 1 ? servers[0].endpoint : nil,
                    "on \(servers.map(\.name).joined(separator: ", ")): \(problem.text)",
                    .init(
                        "patronictl on a node that knows the cluster, pharos grant-sql on the coordinator's leader, as root:",
                        commands: problem.commands, refusal: "settings are an operator's")))
        }
    }
    if facts.isAfterRestore { findings += checkRestoreSettings(servers) }
    if facts.settings.mode != .observe, let problem = coordinator.fenceProblem {
        findings.append(
            Finding(
                .fenceUnusable, .warning, group: 0, node: facts.leaders[0]?.endpoint,
                "pharos.citus_fence cannot be used, so the daemon changes nothing: \(problem)",
                .init(
                    "On the coordinator's leader (\(facts.coordinatorPlace)), as root:",
                    commands: [AdviceNames(facts, of: 0).grants()], refusal: "it needs a superuser")))
    }
    return findings
}

/// The background daemons of Citus, on each node, that act on a restored cluster within seconds of its first start.
private func checkRestoreSettings(_ servers: [LookedAt]) -> [Finding] {
    let daemons: [(Finding.Code, String, String)] = [
        (
            .restoreRecoversPrepared, "citus.recover_2pc_interval",
            "transactions that were committed elsewhere are rolled back"
        ),
        (
            .restoreDropsShards, "citus.defer_shard_delete_interval",
            "shards are dropped that a move seems to have left behind"
        ),
        (
            .restoreRunsTasks, "citus.background_task_queue_interval",
            "a rebalance that ran at the time of the backup goes on"
        ),
    ]
    return daemons.compactMap { code, setting, consequence in
        let running = servers.filter { server in server.facts.settings[setting].map { milliseconds($0) != -1 } ?? false
        }
        guard !running.isEmpty else { return nil }
        return Finding(
            code, .critical, node: running.count == 1 ? running[0].endpoint : nil,
            "on \(running.map(\.name).joined(separator: ", ")): \(setting) is not -1: within seconds of the first start \(consequence)",
            .init(
                "Set it now: \(setting): -1 under postgresql.parameters of Patroni's own file on that node, then systemctl reload patroni. It has to stand on every node before its first start after a restore (docs/restore.md): look for what was done meanwhile."
            ))
    }
}

/// A span as PostgreSQL shows it: `30s`, `500ms`, `2min`, `-1ms`, or a number without a unit.
func milliseconds(_ text: String) -> Int? {
    let digits = text.prefix { $0.isNumber || $0 == "-" }
    guard let number = Int(digits) else { return nil }
    switch text.dropFirst(digits.count) {
    case "", "ms": return number
    case "s": return number * 1000
    case "min": return number * 60_000
    case "h": return number * 3_600_000
    default: return nil  // Text from a server.
    }
}
