// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import EventLoop
import PostgresClient

/// One call on a database, and the connection that it uses: when its time is over it is answered for, and can do nothing any more.
@EventLoop
final class ConnectionUse {
    private var connection: PostgresConnection?
    private var isOver = false

    /// The call uses this connection from now on.
    /// - Throws: where its time is over already; then the connection is ended.
    func begin(_ connection: PostgresConnection) throws(CitusError) {
        guard !self.isOver else {
            connection.end()
            throw .database(PostgresError(kind: .cancelled, message: "its time was over"))
        }
        self.connection = connection
    }

    private func end() {
        self.isOver = true
        self.connection?.end()
    }

    /// What `call` comes to, or `late` after `limit`, by the loop's own timer, whatever the call waits for. The connection is ended
    /// before that is said: neither the call nor, once its present statement has ended, the server goes on with it.
    static func run<Answer: Sendable>(
        within limit: Duration, late: Answer, _ call: @escaping @EventLoop (ConnectionUse) async -> Answer
    ) async -> Answer {
        let use = ConnectionUse()
        let task = EventLoop.task { await call(use) }
        do throws(WaitError) {
            return try await EventLoop.value(of: task, within: limit)
        } catch {
            use.end()
            task.cancel()
            return late
        }
    }
}
