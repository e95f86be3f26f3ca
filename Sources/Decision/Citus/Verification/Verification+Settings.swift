// SPDX-License-Identifier: Apache-2.0

/// Transactions that were prepared and forgotten.
func checkPrepared(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    var servers: [(NodeEndpoint?, NodeFacts)] = [(facts.leaders[0]?.endpoint, coordinator.facts)]
    for row in coordinator.rows where row.role == .primary && row.group != 0 {
        if case .answered(let node)? = facts.nodes[row.endpoint] { servers.append((row.endpoint, node)) }
    }
    return servers.flatMap { endpoint, node in
        node.prepared.filter { $0.age > .seconds(60) }.map { transaction in
            let isOurs = transaction.gid.hasPrefix("citus_")
            return Finding(
                .orphanedPrepared, .critical, node: endpoint,
                "transaction \(transaction.gid) has been prepared for \(transaction.age.components.seconds) s and holds its locks\(isOurs ? "" : "; it is none of Citus's own")",
                .init(
                    isOurs
                        ? "Citus finishes its own, unless citus.recover_2pc_interval is -1."
                        : "Find out who made it, then commit it or roll it back.",
                    sql: isOurs
                        ? ["select recover_prepared_transactions()"] : ["rollback prepared '\(transaction.gid)'"],
                    refusal: "after a restore it would roll back what was committed elsewhere"))
        }
    }
}

/// Settings of the coordinator under which a failover hangs, or a restore loses data.
func checkSettings(_ facts: ClusterFacts, _ coordinator: ClusterFacts.Coordinator) -> [Finding] {
    var findings: [Finding] = []
    let settings = coordinator.settings
    if let conninfo = settings["citus.node_conninfo"] {
        let missing = ["tcp_user_timeout", "keepalives_idle"].filter { !conninfo.contains($0) }
        if !missing.isEmpty {
            findings.append(
                Finding(
                    .failoverMayHang, .warning,
                    "citus.node_conninfo has no \(missing.joined(separator: " and ")): a query to a node whose power is gone hangs for minutes, and so does whatever waits for its locks (135 s measured)",
                    .init(
                        "Set it on every node.",
                        sql: [
                            "alter system set citus.node_conninfo = '\(conninfo) tcp_user_timeout=3000 keepalives_idle=2 keepalives_interval=1 keepalives_count=3'",
                            "select pg_reload_conf()",
                        ], refusal: "settings are an operator's")))
        }
    }
    if let timeout = settings["citus.node_connection_timeout"], let milliseconds = milliseconds(timeout),
        milliseconds > 10_000
    {
        findings.append(
            Finding(
                .failoverMayHang, .warning,
                "citus.node_connection_timeout is \(timeout): connecting to a dead node takes as long",
                .init(
                    "Set it to 3s.",
                    sql: ["alter system set citus.node_connection_timeout = '3s'", "select pg_reload_conf()"],
                    refusal: "settings are an operator's")))
    }
    if settings["client_connection_check_interval"] == "0" {
        findings.append(
            Finding(
                .failoverMayHang, .note,
                "client_connection_check_interval is 0: a call that was abandoned goes on, and commits later. Pharos sets it for its own",
                .init(
                    "Set it to 1s.",
                    sql: ["alter system set client_connection_check_interval = '1s'", "select pg_reload_conf()"],
                    refusal: "settings are an operator's")))
    }
    if let interval = settings["citus.recover_2pc_interval"], interval != "-1" {
        findings.append(
            Finding(
                .restoreRecoversPrepared, facts.isAfterRestore ? .critical : .note,
                "citus.recover_2pc_interval is \(interval): after a restore, transactions that were committed elsewhere are rolled back within seconds of the first start",
                .init(
                    "Before the first start after a restore: citus.recover_2pc_interval = -1 (docs/restore.md).",
                    sql: ["alter system set citus.recover_2pc_interval = -1"], refusal: "settings are an operator's")))
    }
    if facts.settings.mode != .observe, let problem = coordinator.fenceProblem {
        findings.append(
            Finding(
                .fenceUnusable, .warning,
                "pharos.citus_fence cannot be used, so the daemon changes nothing: \(problem)",
                .init("As a superuser: pharos grant-sql | psql -d \(facts.database)", refusal: "it needs a superuser")))
    }
    return findings
}

/// A PostgreSQL setting as `current_setting` shows it: `30s`, `500ms`, `2min`.
private func milliseconds(_ text: String) -> Int? {
    let digits = text.prefix { $0.isNumber }
    guard let number = Int(digits) else { return nil }
    switch text.dropFirst(digits.count) {
    case "", "ms": return number
    case "s": return number * 1000
    case "min": return number * 60_000
    case "h": return number * 3_600_000
    default: return nil  // Text from a server.
    }
}
