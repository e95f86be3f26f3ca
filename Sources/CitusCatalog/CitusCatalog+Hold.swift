// SPDX-License-Identifier: Apache-2.0

/// A transaction that is held open: it blocks writes to a group's shards while the group's leader changes.
extension CitusCatalog {
    /// Begins a transaction that blocks writes to the shards of node `nodeID` and passes the fence, on the authority of
    /// `update`, whose steps are not looked at. The server itself ends it `limit` after the last statement. Nil: it is held.
    public func hold(_ update: CitusUpdate, nodeID: Int, limit: Duration) async throws(CitusError)
        -> CitusUpdateOutcome.Refusal?
    {
        do throws(CitusError) {
            if let refusal = try await self.refusal(of: update, idle: limit, begins: true) {
                _ = try await self.query("rollback")
                return refusal
            }
            _ = try await self.query(
                "select pg_catalog.citus_pause_node_within_txn($1)", ["\(nodeID)"],
                timeout: update.statementTimeout + .seconds(2))
            return nil
        } catch {
            await self.rollBack()
            throw error
        }
    }

    /// Applies `update` within the held transaction, and commits.
    public func commitHeld(_ update: CitusUpdate) async throws(CitusError) -> CitusUpdateOutcome {
        try await self.finish(update, begins: false) { _ in }
    }

    public func releaseHeld() async { await self.rollBack() }

    /// Whether several groups have a copy of one shard, as of every reference table: what holds writes to one group's shards holds up any
    /// change of another group's row as well.
    public func hasSharedShards() async throws(CitusError) -> Bool {
        try await self.query(
            """
            select exists (select from pg_catalog.pg_dist_placement group by shardid having count(*) > 1)
            """) == [["t"]]
    }

    /// Whether this Citus can hold writes at all: from 12.1 on.
    public func canHold() async throws(CitusError) -> Bool {
        try await self.query(
            """
            select pg_catalog.to_regprocedure('pg_catalog.citus_pause_node_within_txn(integer, boolean, integer)') is not null
            """) == [["t"]]
    }
}
