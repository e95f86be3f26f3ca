// SPDX-License-Identifier: Apache-2.0
import PostgresClient

/// What comes before any change: the limits, the gate and the fences.
extension CitusCatalog {
    /// The limits, the gate, and the fence, which is moved by passing it. An abandoned call must neither wait nor commit later:
    /// `client_connection_check_interval` ends it with us, and if we are stuck and leave the connection open, the server ends a
    /// transaction that waits for its next statement. Nor does the commit wait for a synchronous standby, which may have died with
    /// the worker whose row is moved, and which no limit would end: if the coordinator is lost right afterwards, row and fence go
    /// back together, and the next one moves the row again.
    ///
    /// One round trip for eight groups; `begins`: the transaction's beginning is part of the first.
    func refusal(of update: CitusUpdate, idle: Duration, begins: Bool) async throws(CitusError)
        -> CitusUpdateOutcome.Refusal?
    {
        // The limits first of all: what comes after them may wait.
        var opening = [
            PostgresStatement(
                Self.limits,
                [
                    "\(Self.milliseconds(update.lockTimeout))", "\(Self.milliseconds(update.statementTimeout))",
                    "\(Self.milliseconds(idle))",
                ]),
            PostgresStatement("select groupid, pg_is_in_recovery() from pg_catalog.pg_dist_local_group"),
        ]
        if begins { opening.insert(PostgresStatement("begin"), at: 0) }
        // One after the other in the order of the groups, so that no two writers wait for each other.
        var rest = update.parts.sorted { $0.group < $1.group }[...]
        repeat {
            let parts = rest.prefix(Self.fencesAtOnce)
            rest = rest.dropFirst(parts.count)
            let answer = try await self.together(
                opening + parts.map { Self.passFence($0, update) },
                timeout: .seconds(5) + update.statementTimeout * parts.count)
            // What the gate refuses is refused, whatever came of the fences.
            if !opening.isEmpty, answer.rows.count >= opening.count,
                let refusal = try Self.refusal(answer.rows[opening.count - 1])
            {
                return refusal
            }
            if let error = answer.refusal {
                let place = answer.rows.count - opening.count
                throw place < 0
                    ? .database(error) : CitusError.database(error).of(parts[parts.startIndex + place].group)
            }
            for (part, passed) in zip(parts, answer.rows.dropFirst(opening.count)) where passed.isEmpty {
                return try await self.refusal(of: part, update.etcdCluster)
            }
            opening = []
        } while !rest.isEmpty
        return nil
    }

    /// Fences of one round trip, which leaves in one piece.
    nonisolated static let fencesAtOnce = 8

    private static func refusal(_ gate: [[String?]]) throws(CitusError) -> CitusUpdateOutcome.Refusal? {
        guard gate.count == 1, gate[0].count == 2, let group = gate[0][0].flatMap({ Int($0) }),
            let isInRecovery = gate[0][1]
        else {
            throw .malformed("pg_dist_local_group has \(gate.count) rows")
        }
        if isInRecovery != "f" { return .inRecovery }
        return group == 0 ? nil : .notCoordinator(group: group)
    }

    static let limits = """
        select set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),
            set_config('idle_in_transaction_session_timeout', $3, true),
            set_config('client_connection_check_interval', '500', true), set_config('synchronous_commit', 'local', true),
            set_config('client_min_messages', 'warning', true)
        """

    private static func passFence(_ part: CitusUpdate.Part, _ update: CitusUpdate) -> PostgresStatement {
        PostgresStatement(
            Self.passFence,
            [
                "\(part.group)", "\(update.etcdCluster)", "\(part.revision)", part.rebuiltFrom.map { "\($0)" },
            ])
    }

    private func refusal(of part: CitusUpdate.Part, _ etcdCluster: UInt64) async throws(CitusError)
        -> CitusUpdateOutcome.Refusal
    {
        let fence = try await self.query(
            "select etcd_cluster, revision from pharos.citus_fence where groupid = $1", ["\(part.group)"])
        guard fence.count == 1, let cluster = fence[0][0].flatMap({ UInt64($0) }),
            let revision = fence[0][1].flatMap({ Int64($0) })
        else { throw .malformed("pharos.citus_fence has no row of group \(part.group)") }
        return cluster == etcdCluster
            ? .olderRevision(group: part.group, applied: revision) : .supersededCluster(group: part.group, by: cluster)
    }

    /// Answers a row where the fence lets the update pass. The same revision passes again: a second attempt is no past. Where the gate
    /// refuses, the fence is not touched.
    private static let passFence = """
        insert into pharos.citus_fence as fence (groupid, etcd_cluster, revision)
        select $1::integer, $2::numeric, $3::bigint
            where not pg_is_in_recovery() and (select groupid from pg_catalog.pg_dist_local_group) = 0
        on conflict (groupid) do update set
            etcd_cluster = excluded.etcd_cluster, revision = excluded.revision, applied = now(),
            superseded = case when fence.etcd_cluster = excluded.etcd_cluster then fence.superseded
                else (array_prepend(fence.etcd_cluster, fence.superseded))[1:\(Self.supersededLimit)] end
        where (fence.etcd_cluster = excluded.etcd_cluster
                and (fence.revision <= excluded.revision or fence.revision = $4::bigint))
            or (fence.etcd_cluster <> excluded.etcd_cluster and excluded.etcd_cluster <> all (fence.superseded))
        returning groupid
        """
}

extension CitusUpdate {
    /// How often a server is waited for that refuses nothing, the commit included.
    package var roundTrips: Int {
        let fences = max(1, (self.parts.count + CitusCatalog.fencesAtOnce - 1) / CitusCatalog.fencesAtOnce)
        return fences + self.parts.reduce(0) { $0 + $1.steps.count } + 1
    }
}
