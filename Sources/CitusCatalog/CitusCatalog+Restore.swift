// SPDX-License-Identifier: Apache-2.0

/// A time at which a server's timeline ended, because it was promoted: a line of its timeline history file.
public struct TimelineEnd: Sendable, Equatable {
    public let timeline: Int
    public let lsn: String
    /// In PostgreSQL's words, such as `at restore point "hourly"`.
    public let reason: String
}

/// A row of `pharos.restore_points`.
public struct RestoreMarker: Sendable, Equatable {
    public let id: String
    public let name: String
    /// Seconds since 1970.
    public let made: Int64
}

/// Where a restore point lies in a server's write-ahead log.
public struct RestorePlace: Sendable, Equatable {
    public let lsn: String
    /// The file that it is in, which names the timeline too.
    public let segment: String
    public let system: String
}

/// One node's copy of a shard that other nodes have too.
public struct ShardCopy: Sendable, Equatable {
    public let shard: Int64
    public let name: String
    public let count: Int64
    public let digest: String
}

/// Of one sequence in one range of values, what one node knows.
public struct SequenceValue: Sendable, Equatable {
    public let name: String
    /// Of 2^48 values.
    public let range: Int64
    /// How far the node's own sequence is, where it is in this range.
    public let last: Int64?
    /// The highest value of its column in the node's own shards.
    public let highest: Int64?
}

/// What ``RestoreFunctions`` make and show.
extension CitusCatalog {
    /// Oldest first; empty on a server's first timeline. Not on a standby. With them, how many bytes of log were written since the last.
    public func timelineEnds() async throws(CitusError) -> (ends: [TimelineEnd], written: Int64?) {
        let rows = try await self.query("select pharos.restored_from()", byteLimit: 128 << 10)
        guard rows.count == 1, let text = rows[0].first ?? nil else { throw .malformed("no timeline history") }
        let ends = Self.timelineEnds(text)
        guard let last = ends.last else { return (ends, nil) }
        let written = try await self.query(
            "select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), $1)::bigint", [last.lsn])
        // Not known is not little.
        guard let count = written.first?.first.flatMap({ $0 }).flatMap({ Int64($0) }) else {
            throw .malformed("how much it has written since it was promoted is not known")
        }
        return (ends, count)
    }

    /// A timeline history file: `timeline <tab> LSN <tab> reason` a line; comments begin with `#` (PostgreSQL's timeline.c).
    nonisolated static func timelineEnds(_ text: String) -> [TimelineEnd] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: "\t", maxSplits: 2)
            guard fields.count == 3, let timeline = Int(fields[0]) else { return nil }
            return TimelineEnd(timeline: timeline, lsn: String(fields[1]), reason: String(fields[2]))
        }
    }

    /// The newest first, at most 1000.
    public func restoreMarkers() async throws(CitusError) -> [RestoreMarker] {
        let rows = try await self.query(
            """
            select id, name, extract(epoch from made)::bigint from pharos.restore_points order by made desc, id limit 1000
            """, byteLimit: Self.rowsLimit)
        return rows.compactMap { row in
            guard row.count == 3, let id = row[0], let name = row[1], let made = row[2].flatMap({ Int64($0) }) else {
                return nil
            }
            return RestoreMarker(id: id, name: name, made: made)
        }
    }

    /// Every shard of which other nodes have a copy too: reference tables, and what is replicated by statements.
    public func shardCopies(timeout: Duration) async throws(CitusError) -> [ShardCopy] {
        let rows = try await self.query(
            "select shard, name, count, digest from pharos.copy_digests()", timeout: timeout, rowLimit: 100_000,
            byteLimit: 16 << 20)
        return rows.compactMap { row in
            guard row.count == 4, let shard = row[0].flatMap({ Int64($0) }), let name = row[1],
                let count = row[2].flatMap({ Int64($0) }), let digest = row[3]
            else { return nil }
            return ShardCopy(shard: shard, name: name, count: count, digest: digest)
        }
    }

    /// How far each sequence is here, and the highest values of its column in this node's shards, both by range.
    public func sequenceValues(timeout: Duration) async throws(CitusError) -> [SequenceValue] {
        let rows = try await self.query(
            """
            select sequence, range, max(last), max(highest) from pharos.sequence_values() group by 1, 2 order by 1, 2 limit 10000
            """, timeout: timeout, byteLimit: Self.rowsLimit)
        return rows.compactMap { row in
            guard row.count == 4, let name = row[0], let range = row[1].flatMap({ Int64($0) }) else { return nil }
            return SequenceValue(
                name: name, range: range, last: row[2].flatMap { Int64($0) }, highest: row[3].flatMap { Int64($0) })
        }
    }

    /// `from to to`, as Citus itself connects.
    public func unreachableNodes(timeout: Duration) async throws(CitusError) -> [String] {
        let rows = try await self.query(
            "select pharos.unreachable_nodes() limit 100", timeout: timeout, byteLimit: Self.rowsLimit)
        return rows.compactMap { $0.first ?? nil }
    }

    // MARK: - Making a restore point

    /// The marker, committed before the point is made, and without waiting for a standby: what comes after it in the log cannot be there
    /// without it.
    public func writeRestoreMarker(id: String, name: String) async throws(CitusError) {
        _ = try await self.query(
            """
            with local as (select set_config('synchronous_commit', 'local', false)),
                old as (delete from pharos.restore_points where made < now() - interval '400 days')
            insert into pharos.restore_points (id, name, groupid)
            select $1, $2, groupid from local, pg_catalog.pg_dist_local_group
            """, [id, name])
    }

    public func deleteRestoreMarker(id: String) async throws(CitusError) {
        _ = try await self.query("delete from pharos.restore_points where id = $1", [id])
    }

    /// Whether a point of this name was ever made here.
    public func hasRestoreMarker(named name: String) async throws(CitusError) -> Bool {
        try await self.query("select exists (select from pharos.restore_points where name = $1)", [name]) == [["t"]]
    }

    /// Begins a transaction in which nothing distributed is committed on this node, for at most `limit` after the last statement.
    public func blockCommits(lockTimeout: Duration, limit: Duration) async throws(CitusError) {
        _ = try await self.query("begin")
        _ = try await self.query(
            Self.limits,
            ["\(Self.milliseconds(lockTimeout))", "\(Self.milliseconds(limit))", "\(Self.milliseconds(limit))"])
        _ = try await self.query("select pharos.block_commits()", timeout: limit + .seconds(1))
    }

    public func makeRestorePoint(_ name: String) async throws(CitusError) -> RestorePlace {
        let rows = try await self.query("select lsn, segment, system from pharos.make_restore_point($1)", [name])
        guard rows.count == 1, rows[0].count == 3, let lsn = rows[0][0], let segment = rows[0][1],
            let system = rows[0][2]
        else { throw .malformed("pharos.make_restore_point answers nothing") }
        return RestorePlace(lsn: lsn, segment: segment, system: system)
    }

    /// Lets commits go on.
    public func unblockCommits() async throws(CitusError) { _ = try await self.query("rollback") }

    public func switchWAL() async throws(CitusError) { _ = try await self.query("select pharos.switch_wal()") }

    /// The file that was archived last; nil where none was since the server's statistics began.
    public func lastArchived() async throws(CitusError) -> (segment: String?, failing: Bool) {
        let rows = try await self.query(
            """
            select last_archived_wal, coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)
            from pg_catalog.pg_stat_archiver
            """)
        guard rows.count == 1, rows[0].count == 2 else { throw .malformed("pg_stat_archiver is empty") }
        return (rows[0][0], rows[0][1] == "t")
    }

    /// The functions of ``RestoreFunctions`` that this role may not call, or that do not exist.
    public func missingRestoreFunctions() async throws(CitusError) -> [String] {
        let list = "{" + RestoreFunctions.names.map { "\"\($0)\"" }.joined(separator: ",") + "}"
        let rows = try await self.query(
            """
            select name from unnest($1::text[]) name where not coalesce(
                pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('pharos'), 'usage')
                and pg_catalog.has_function_privilege(pg_catalog.to_regprocedure(name), 'execute'), false)
            """, [list])
        return rows.compactMap { $0.first ?? nil }
    }
}
