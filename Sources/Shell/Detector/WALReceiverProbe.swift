// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import PostgresClient

/// Asks the local standby's WAL receiver about the server that it streams from. It takes the role pg_monitor (or
/// pg_read_all_stats); without that the receiver says nothing.
enum WALReceiverProbe {
    private static let question = """
        select pg_is_in_recovery(), r.status, r.sender_host, r.sender_port,
               (extract(epoch from clock_timestamp() - r.last_msg_receipt_time) * 1000)::bigint,
               (select setting::bigint from pg_settings where name = 'wal_receiver_timeout'),
               pg_has_role(current_user, 'pg_read_all_stats', 'usage')
        from (select 1) one left join pg_stat_wal_receiver r on true
        """

    @EventLoop
    static func ask(conninfo: String, resolver: HostResolver, timeout: Duration) async -> WALReceiverAnswer {
        do throws(PostgresError) {
            let connection = try await PostgresConnector(resolver: resolver).connect(conninfo, timeout: timeout)
            return self.answer(try await connection.query(self.question, timeout: timeout).first ?? [])
        } catch {
            // What it is here, others say; of the primary nothing is known.
            return .unknown
        }
    }

    static func answer(_ row: [String?]) -> WALReceiverAnswer {
        guard row.count == 7, row[0] == "t", row[6] == "t" else { return .unknown }
        guard row[1] == "streaming" else { return .notStreaming }
        guard let host = row[2], let port = row[3].flatMap({ Int($0) }), let silence = row[4].flatMap({ Int64($0) }),
            let timeout = row[5].flatMap({ Int64($0) })
        else { return .unknown }
        // Without a timeout the receiver never asks, and silence means nothing.
        guard timeout > 0 else { return .unknown }
        return .streaming(
            sender: NodeEndpoint(host, port), silence: .milliseconds(max(0, min(silence, 86_400_000))),
            patience: .milliseconds(min(timeout, 86_400_000) / 2 + 5000))
    }
}
