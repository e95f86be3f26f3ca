// SPDX-License-Identifier: Apache-2.0

/// A transaction that Citus prepared on a node, by its name: `citus_<group>_<process id>_<number>_<connection>` of the node that
/// began it (Citus's `remote_transaction.c`). Only that node knows whether it was committed (`pg_dist_transaction` there).
public struct CitusTransactionName: Hashable, Sendable {
    public let initiator: Int
    public let process: Int

    /// Nil for what is none of Citus's own.
    public init?(_ gid: String) {
        let parts = gid.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "citus", let initiator = Int(parts[1]), let process = Int(parts[2]),
            Int64(parts[3]) != nil, Int64(parts[4]) != nil
        else { return nil }
        self.initiator = initiator
        self.process = process
    }
}

/// Transactions that were prepared more than a minute ago and neither committed nor rolled back since: they hold their locks. After a
/// restore, all of them: who prepared them is gone.
func checkPrepared(_ servers: [LookedAt], _ facts: ClusterFacts) -> [Finding] {
    let leaders = unnamedLeaders(servers, facts)
    return unseenPrepared(leaders, facts) + leadersNotLookedAt(facts)
        + (servers + leaders).flatMap { server in
            let old = server.facts.prepared.filter { facts.isAfterRestore || $0.age > .seconds(60) }
            return checkPreparedElsewhere(old, on: server, facts)
                + old.filter { $0.database == nil }.map { transaction in
                    let begin =
                        "transaction \(transaction.gid) has been prepared for \(transaction.age.components.seconds) s and holds its locks"
                    let (text, remedy) = judge(transaction.gid, on: server, facts)
                    return Finding(
                        .orphanedPrepared, .critical, group: server.group, node: server.endpoint, "\(begin); \(text)",
                        remedy)
                }
        }
}

/// What the leader of a group said, at its own place: a row may name it otherwise, or name somebody else. Nil where it did not answer.
private func leader(of group: Int, _ facts: ClusterFacts) -> NodeFacts? {
    guard let leader = facts.leaders[group] else { return nil }
    if group == 0 { return facts.coordinator?.facts }
    guard let place = leader.endpoint, case .answered(let node)? = facts.nodes[place] else { return nil }
    return node
}

/// The workers' leaders that were looked at, and that no row leads to: what is prepared there holds its locks all the same.
private func unnamedLeaders(_ servers: [LookedAt], _ facts: ClusterFacts) -> [LookedAt] {
    facts.leaders.keys.sorted().compactMap { group in
        guard group != 0, let node = leader(of: group, facts), let place = facts.leaders[group]?.endpoint,
            !servers.contains(where: { $0.endpoint == place || $0.facts.server.relation(to: node.server) == .same })
        else { return nil }
        return LookedAt(group: group, endpoint: place, facts: node)
    }
}

private func unseenPrepared(_ leaders: [LookedAt], _ facts: ClusterFacts) -> [Finding] {
    leaders.compactMap { leader in
        leader.facts.unseen[.prepared].map { preparedNotLookedAt(leader.group, leader.endpoint, $0, facts) }
    }
}

/// Leaders that no row names and that do not answer: nothing else says so.
private func leadersNotLookedAt(_ facts: ClusterFacts) -> [Finding] {
    let named = Set((facts.coordinator?.rows ?? []).map(\.endpoint))
    return facts.leaders.sorted { $0.key < $1.key }.compactMap { group, leader in
        guard group != 0, let place = leader.endpoint, !named.contains(place) else { return nil }
        switch facts.nodes[place] {
        case .unreachable(let reason)?, .refused(let reason)?: return preparedNotLookedAt(group, place, reason, facts)
        case .answered?, .withoutCitus?, nil: return nil
        }
    }
}

private func preparedNotLookedAt(
    _ group: Int, _ place: NodeEndpoint?, _ reason: String, _ facts: ClusterFacts
) -> Finding {
    Finding(
        .notLookedAt, facts.unseenSeverity(otherwise: .warning), group: group, node: place,
        "\(NodeFacts.Aspect.prepared.rawValue) could not be looked at: \(reason)",
        .init("Bring this leader up, or let the role log in there: pg_hba.conf, and citus.node_conninfo in pharos.yml.")
    )
}

/// A server's databases that are not verified share its locks on what is common to all, its limit of prepared transactions, and the rows
/// that VACUUM must keep. Told once, not with each database that is verified.
private func checkPreparedElsewhere(
    _ transactions: [PreparedTransaction], on server: LookedAt, _ facts: ClusterFacts
) -> [Finding] {
    let verified = facts.settings.databases
    guard facts.database == verified.first else { return [] }
    return Dictionary(grouping: transactions) { $0.database ?? "" }.sorted { $0.key < $1.key }.compactMap {
        database, transactions in
        guard database != "", !verified.contains(database) else { return nil }
        let oldest = (transactions.map(\.age).max() ?? .zero).components.seconds
        let names = transactions.prefix(5).map(\.gid).joined(separator: ", ")
        return Finding(
            .preparedElsewhere, facts.isAfterRestore ? .critical : .warning, group: server.group, node: server.endpoint,
            "database \(database), which is not verified here, has \(transactions.count) prepared transactions, the oldest "
                + "for \(oldest) s: \(names)\(transactions.count > 5 ? ", …" : "")",
            .init(
                "Find out who made them, and commit them or roll them back in that database. Where it has Citus, add it to citus.databases.",
                sql: ["select gid, prepared, owner from pg_prepared_xacts where database = \(sqlLiteral(database))"],
                on: server.place, refusal: "only who made them knows how they ended"))
    }
}

/// What is known of its fate, and what is to be done. Pharos never does it by itself.
private func judge(_ gid: String, on server: LookedAt, _ facts: ClusterFacts) -> (String, Finding.Remedy) {
    guard let name = CitusTransactionName(gid) else {
        return (
            "it is none of Citus's own",
            .init(
                "Find out who made it, then commit it or roll it back there.",
                sql: ["rollback prepared \(sqlLiteral(gid))"],
                on: server.place, refusal: "only who made it knows how it ended")
        )
    }
    let initiatorName = "group \(name.initiator)"
    // Only the leader of that group, and only if it takes itself for that group: an old primary knows of the past alone.
    guard let initiator = leader(of: name.initiator, facts), !initiator.isInRecovery,
        initiator.localGroup == name.initiator, let fates = initiator.fates
    else {
        return (
            "\(initiatorName) began it, and cannot be asked whether it was committed",
            .init(
                "Do not touch it until \(initiatorName) can be asked, and verify again.",
                refusal: "whether it was committed is not known")
        )
    }
    if fates.undecided.contains(gid) {
        return (
            "\(initiatorName) began it, and its record there depends on a transaction of another database",
            .init(
                "Let \(initiatorName) decide: select recover_prepared_transactions() on that node, in its main database.",
                refusal: "the record alone does not say whether it was committed")
        )
    }
    if fates.committed.contains(gid) {
        return (
            "\(initiatorName) began it and has committed it (pg_dist_transaction there)",
            .init(
                "Commit it there, or let \(initiatorName) do it: select recover_prepared_transactions() on that node.",
                sql: ["commit prepared \(sqlLiteral(gid))"], on: server.place, refusal: "it is an operator's to do")
        )
    }
    if fates.sessions.contains(name.process) {
        return (
            "\(initiatorName) began it, and a session of the same process id (\(name.process)) is there still",
            .init(
                "Wait: it may be under way. Verify again.", refusal: "it may be under way")
        )
    }
    return (
        "\(initiatorName) began it, has no record of its commit (pg_dist_transaction there), and its session is gone",
        .init(
            "Only if no node was restored from a backup since: roll it back there.",
            sql: ["rollback prepared \(sqlLiteral(gid))"],
            on: server.place,
            refusal: "after a restore of \(initiatorName) the record may be missing though it was committed")
    )
}
