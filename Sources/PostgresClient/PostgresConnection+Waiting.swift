// SPDX-License-Identifier: Apache-2.0
import CLinux
import CPostgres
import EventLoop
import Glibc

/// What is said to libpq and heard from it, within limits of time and bytes.
extension PostgresConnection {
    /// Gives libpq one statement to send.
    func put(_ sql: String, _ parameters: [String?]) throws(PostgresError) {
        let values = parameters.map { text in text.flatMap { UnsafePointer(strdup($0)) } }
        let sent = PQsendQueryParams(
            self.handle.raw, sql, Int32(clamping: values.count), nil, values, nil, nil, 0)
        for value in values { free(UnsafeMutablePointer(mutating: value)) }
        guard sent == 1 else { throw self.connectionError() }
    }

    /// Sends what libpq has been given.
    func flush(until deadline: ContinuousClock.Instant) async throws(PostgresError) {
        while true {
            let flushed = PQflush(self.handle.raw)
            if flushed == 0 { return }
            guard flushed == 1 else { throw self.connectionError() }
            try await self.wait([.read, .write], until: deadline)
            guard PQconsumeInput(self.handle.raw) == 1 else { throw self.connectionError() }
        }
    }

    /// Until a row is whole libpq keeps all of it: a server that does not come to its end would fill the memory. (On a Unix socket,
    /// where nobody counts the bytes, the server is this node's own.)
    func nextResult(
        limit: Int, receivedBefore before: Int64, until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) -> OpaquePointer? {
        while PQisBusy(self.handle.raw) == 1 {
            try await self.wait(.read, until: deadline)
            let arrived = before < 0 ? 0 : linux_received_bytes(PQsocket(self.handle.raw)) - before
            // Lengths, the names of columns and encryption come on top of the values.
            guard arrived <= Int64(2 * limit + (64 << 10)) else {
                throw PostgresError(kind: .resultTooLarge, message: "the result is longer than its limit")
            }
            guard PQconsumeInput(self.handle.raw) == 1 else {
                // The server's last words may have been read: they are a result. (On a dead connection this cannot block.)
                guard PQstatus(self.handle.raw) == CONNECTION_BAD else { throw self.connectionError() }
                break
            }
        }
        return PQgetResult(self.handle.raw)
    }

    func wait(
        _ readiness: EventSource.Readiness,
        until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) {
        let descriptor = PQsocket(self.handle.raw)
        guard descriptor >= 0 else { throw self.connectionError() }
        let left = ContinuousClock.now.duration(to: deadline)
        guard left > .zero else { throw Self.timedOut }
        do throws(WaitError) {
            _ = try await EventLoop.readiness(of: descriptor, readiness, timeout: left)
        } catch {
            switch error {
            case .timedOut: throw Self.timedOut
            case .cancelled: throw PostgresError(kind: .cancelled, message: "cancelled")
            }
        }
    }

    private static var timedOut: PostgresError {
        PostgresError(kind: .timeout, message: "no answer within the time limit")
    }

    func connectionError() -> PostgresError {
        let raw = self.handle.raw
        return PostgresError(
            connectionMessage: String(cString: PQerrorMessage(raw)),
            needsPassword: PQconnectionNeedsPassword(raw) == 1)
    }
}
