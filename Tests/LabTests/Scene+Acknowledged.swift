// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// Writes whose acknowledgements a client keeps, so that it can be seen afterwards which of them are missing.
extension Scene {
    struct Acknowledged {
        let row: Int64
        /// When the client had the answer, at the latest: milliseconds since 1970.
        let at: Int64
    }

    private static let sessions = 4
    private static let unit = "acknowledging"

    /// Writes from `node` through the address, in several sessions, one row after another, until a session's connection ends.
    func startAcknowledging(on node: String) async throws {
        let table = "drop table if exists acknowledged; create table acknowledged (n bigint)"
        try await self.sql(self.leader, "\(table); alter table acknowledged owner to writer")
        let target =
            "host=\(Self.v4) user=writer dbname=postgres sslmode=disable gssencmode=disable tcp_user_timeout=3000 "
            + "keepalives_idle=1 keepalives_interval=1 keepalives_count=3"
        let script = """
            rm -f /run/acknowledged.*
            for session in $(seq \(Self.sessions)); do
              n=$session
              while [ $n -lt 40000 ]; do
                echo "insert into acknowledged values ($n);"
                echo "\\\\echo $n \\`date +%s%3N\\`"
                n=$((n + \(Self.sessions)))
              done | psql -X -q -A -t -v ON_ERROR_STOP=1 "\(target)" >/run/acknowledged.$session 2>/dev/null &
            done
            wait
            """
        try await self.run(
            node, "systemd-run", "--quiet", "--collect", "--unit=\(Self.unit)", "bash", "-c", script)
    }

    /// Waits until every session has ended, as each does when it has lost the leader; answers what was acknowledged.
    func endAcknowledging(on node: String) async throws -> [Acknowledged] {
        try await self.wait("the writing sessions' end", .seconds(60)) {
            try await self.lab.exec(node, ["systemctl", "is-active", "--quiet", Self.unit]).exitCode != 0
        }
        let text = try await self.lab.run(node, ["sh", "-c", "cat /run/acknowledged.*"])
        return text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ").map { Int64($0) }
            guard parts.count == 2, let row = parts[0], let at = parts[1] else { return nil }
            return Acknowledged(row: row, at: at)
        }
    }

    /// The rows that are there.
    func acknowledgedRows(on node: String) async throws -> Set<Int64> {
        Set(try await self.sql(node, "select n from acknowledged").split(separator: "\n").compactMap { Int64($0) })
    }

    @discardableResult
    private func sql(_ node: String, _ statements: String) async throws -> String {
        let command = [
            "runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d",
            "postgres", "-c", statements,
        ]
        return try await self.lab.run(node, command)
    }

    /// Waits until the newest record, of this leader, says what was lost, with the end of the timeline; answers that.
    func lostRecord(of leader: String) async throws -> JSON {
        var lost: JSON?
        try await self.wait("what the failover to \(leader) has lost", .seconds(90)) {
            let text = try await self.lab.exec(leader, ["pharos", "show", "last", "--json"]).text
            let record = JSON.parse(text.utf8)
            guard record?["to"]?.string == leader else { return false }
            lost = record?["lost"]
            return lost?["end"]?.int64 != nil
        }
        return try #require(lost)
    }
}
