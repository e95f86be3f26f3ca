// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import EventLoop
import PostgresClient

/// The connection to one database that is kept from call to call.
///
/// Invariant: one call at a time has it. Nobody can reach it but the call whose turn it is, and what a call does after its time is over
/// it does to a connection that has been ended, while the next call has another one.
@EventLoop
final class KeptConnection {
    /// What it is used for. Of each kind one or two calls wait for their turn (``Turns``).
    enum Kind { case rows, update, readiness }

    private var connection: PostgresConnection?
    private let turns = Turns<Kind>()
    private let open: @EventLoop () async throws(PostgresError) -> PostgresConnection
    private let prepare: @EventLoop (PostgresConnection) async throws(PostgresError) -> Bool
    private var isPrepared = false

    /// - Parameter prepare: what is done with it before it is used; answers whether that was all, or is to be done again next time.
    init(
        open: @escaping @EventLoop () async throws(PostgresError) -> PostgresConnection,
        prepare: @escaping @EventLoop (PostgresConnection) async throws(PostgresError) -> Bool
    ) {
        self.open = open
        self.prepare = prepare
    }

    /// Ends it once the call that has it, if any, has ended.
    func drop() { self.connection = nil }

    /// What `call` comes to when its turn has come; `busy` where one of its kind is waiting already, and `late` where it has not ended
    /// `limit` after its turn began: then its connection has been ended.
    func use<Answer: Sendable>(
        for kind: Kind, within limit: Duration, busy: Answer, late: Answer,
        failed: @escaping @Sendable (CitusError) -> Answer,
        _ call: @escaping @EventLoop (PostgresConnection) async throws(CitusError) -> Answer
    ) async -> Answer {
        await self.turns.take(kind, busy: busy) {
            await ConnectionUse.run(within: limit, late: late) { use in
                do throws(CitusError) { return try await call(self.connection(use)) } catch { return failed(error) }
            }
        }
    }

    private func connection(_ use: ConnectionUse) async throws(CitusError) -> PostgresConnection {
        let kept = self.connection.flatMap { $0.isUsable ? $0 : nil }
        let connection: PostgresConnection
        do throws(PostgresError) {
            if let kept { connection = kept } else { connection = try await self.open() }
        } catch { throw .database(error) }
        // Before anything else: a call whose time is over puts nothing in the place of the next one's.
        try use.begin(connection)
        if kept == nil {
            (self.connection, self.isPrepared) = (connection, false)
            connection.whenEnded { [weak self, weak connection] in
                if let self, let connection, self.connection === connection { self.connection = nil }
            }
        }
        if !self.isPrepared {
            do throws(PostgresError) {
                let isPrepared = try await self.prepare(connection)
                if self.connection === connection { self.isPrepared = isPrepared }
            } catch { throw .database(error) }
        }
        return connection
    }
}
