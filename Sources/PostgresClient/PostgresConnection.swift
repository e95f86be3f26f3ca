// SPDX-License-Identifier: Apache-2.0
import CLinux
import CPostgres
import Conninfo
public import EventLoop
import Glibc

/// One libpq connection, used by one task at a time. After any error other than `.query` and `.busy` it has been ended: connect
/// again (libpq 15 has no way to cancel a running query without blocking).
///
/// libpq resolves host names synchronously, and the whole loop would wait: a name without `hostaddr` beside it is refused here,
/// whoever asks.
@EventLoop
public final class PostgresConnection {
    let keeper = NoticeKeeper()
    let handle: Handle
    private var isBusy = false
    /// False after an error that ended the connection.
    public private(set) var isUsable = true
    private var idleWatch: EventSource?
    /// How often something came while no query ran, since the last one.
    private var idleReads = 0
    /// Bytes of an answer that are accepted where the question does not say otherwise.
    public nonisolated static let usualByteLimit = 4 << 20
    package nonisolated static let idleReadLimit = 100
    /// See ``whenEnded(_:)`` and ``whenNotified(_:)``.
    private var onEnd: (@EventLoop () -> Void)?
    private var onNotification: (@EventLoop () -> Void)?

    /// Owns the `PGconn`.
    struct Handle: ~Copyable {
        let raw: OpaquePointer
        deinit { PQfinish(self.raw) }
    }

    /// Connects as `conninfo` says, within `timeout` in all; `connect_timeout` has no effect. Unless it says otherwise, the
    /// application name is `pharos`, and there is no encryption by GSSAPI, for which libpq would wait for a KDC. What `options`
    /// say wins over `conninfo`. PG* variables of the environment would fill its gaps: see `LibpqEnvironment`.
    public init(
        _ conninfo: String, overriding options: [(keyword: String, value: String)] = [], timeout: Duration = .seconds(5)
    ) async throws(PostgresError) {
        // libpq's own complaint would quote the text, which may contain a password.
        do {
            let targets = try ConnectionString(conninfo).overriding(options).targets()
            guard targets.allSatisfy({ if case .name = $0.place { false } else { true } }) else {
                throw PostgresError(kind: .notAsked, message: "the conninfo has a host's name without its address")
            }
        } catch let error as PostgresError {
            throw error
        } catch let error as TargetsError {
            throw PostgresError(kind: .notAsked, message: "the conninfo: \(error.message)")
        } catch {
            throw PostgresError(kind: .notAsked, message: "the conninfo is malformed")
        }
        guard let raw = Self.start(conninfo, options) else {
            throw PostgresError(kind: .notAsked, message: "out of memory")
        }
        self.handle = Handle(raw: raw)
        self.keeper.listen(to: raw)
        // For the SQLSTATE of a refusal, which libpq offers nowhere else.
        PQsetErrorVerbosity(raw, PQERRORS_VERBOSE)
        let deadline = ContinuousClock.now + timeout
        var poll = PQstatus(raw) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING
        while poll != PGRES_POLLING_OK {
            // The descriptor may change from one poll to the next, as libpq tries one address after another.
            switch poll {
            case PGRES_POLLING_READING: try await self.wait(.read, until: deadline)
            case PGRES_POLLING_WRITING: try await self.wait(.write, until: deadline)
            default: throw self.connectionError()  // PGRES_POLLING_FAILED
            }
            poll = PQconnectPoll(raw)
        }
        PQsetErrorVerbosity(raw, PQERRORS_DEFAULT)
        guard PQsetnonblocking(raw, 1) == 0 else { throw self.connectionError() }
    }

    isolated deinit {
        // Before the descriptor is closed.
        self.idleWatch = nil
    }

    static func start(_ conninfo: String, _ options: [(keyword: String, value: String)]) -> OpaquePointer? {
        // Of a keyword that stands twice the last one counts; the first `dbname` is expanded to all that it says.
        let pairs =
            [("fallback_application_name", "pharos"), ("gssencmode", "disable"), ("dbname", conninfo)]
            + options.map { ($0.keyword, $0.value) }
        var keywords = pairs.map { UnsafePointer(strdup($0.0)) }
        var values = pairs.map { UnsafePointer(strdup($0.1)) }
        defer { for text in keywords + values { free(UnsafeMutablePointer(mutating: text)) } }
        guard !(keywords + values).contains(nil) else { return nil }
        keywords.append(nil)
        values.append(nil)
        return PQconnectStartParams(keywords, values, 1)
    }

    /// The number of the server's process that serves this connection.
    public var backendPID: Int { Int(PQbackendPID(self.handle.raw)) }

    /// Runs one statement, its `parameters` (`$1`, `$2`, …) as text; answers its rows, every value as text.
    ///
    /// - Parameters:
    ///   - timeout: limit on the whole call.
    ///   - rowLimit: rows that are accepted.
    ///   - byteLimit: bytes that are accepted, all values together; of what comes on the network about twice as many, before the server
    ///     is hung up on, whether a row is whole or not.
    public func query(
        _ sql: String,
        parameters: [String?] = [],
        timeout: Duration = .seconds(5),
        rowLimit: Int = 10_000,
        byteLimit: Int = PostgresConnection.usualByteLimit
    ) async throws(PostgresError) -> [[String?]] {
        try await self.alone { () async throws(PostgresError) in
            let deadline = ContinuousClock.now + timeout
            try await self.send(sql, parameters, until: deadline)
            return try await self.receive(rowLimit: rowLimit, byteLimit: byteLimit, until: deadline)
        }
    }

    /// One conversation at a time. An error that leaves it in doubt ends the connection.
    func alone<Answer>(
        _ conversation: @EventLoop () async throws(PostgresError) -> Answer
    ) async throws(PostgresError) -> Answer {
        guard !self.isBusy else { throw PostgresError(kind: .busy, message: "another query is running") }
        guard self.isUsable else {
            throw PostgresError(kind: .connection, message: "the connection ended with an earlier error")
        }
        (self.isBusy, self.idleWatch, self.idleReads) = (true, nil, 0)
        self.keeper.clear()
        defer {
            self.isBusy = false
            self.watchIdle()
            self.takeNotifications()
        }
        do throws(PostgresError) { return try await conversation() } catch {
            switch error.kind {
            case .query, .busy: break
            case .connection, .notAsked, .authentication, .timeout, .resultTooLarge, .cancelled: self.end()
            }
            throw error
        }
    }

    /// Ends the connection at once, from here. A query that runs fails; what has not been sent by now never reaches the server, which
    /// notices the end when it waits for a statement, or within `client_connection_check_interval`.
    public func end() {
        self.isUsable = false
        self.idleWatch = nil
        let descriptor = PQsocket(self.handle.raw)
        if descriptor >= 0 { shutdown(descriptor, CInt(SHUT_RDWR)) }
    }

    /// Calls `action`, once, when the server ends the connection while no query runs: a server that stops says so at
    /// once, and nobody has to ask for it.
    public func whenEnded(_ action: @escaping @EventLoop () -> Void) {
        self.onEnd = action
        if !self.isBusy { self.watchIdle() }
    }

    /// Calls `action` whenever notifications have come for a channel that this connection listens to (`LISTEN`), however many:
    /// what they say is dropped.
    public func whenNotified(_ action: @escaping @EventLoop () -> Void) {
        self.onNotification = action
        if !self.isBusy { self.watchIdle() }
    }

    private func takeNotifications() {
        var count = 0
        while let notification = PQnotifies(self.handle.raw) {
            PQfreemem(notification)
            count += 1
        }
        if count > 0 { self.onNotification?() }
    }

    private func watchIdle() {
        let descriptor = PQsocket(self.handle.raw)
        guard self.onEnd != nil || self.onNotification != nil, self.isUsable, descriptor >= 0 else { return }
        self.idleWatch = .descriptor(descriptor, .read) { [unowned self] _ in self.readIdle() }
    }

    /// What comes without a question: a changed parameter or a notice, which `PQisBusy` takes from the buffer; or the end.
    /// A server that goes on talking is hung up on.
    private func readIdle() {
        self.idleReads += 1
        // At the end libpq closes the descriptor, which must not be watched then: a child that was just spawned may hold
        // it open for another moment, and epoll with it.
        self.idleWatch = nil
        let isAlive = PQconsumeInput(self.handle.raw) == 1 && PQisBusy(self.handle.raw) == 0
        guard !isAlive || self.idleReads > Self.idleReadLimit else {
            self.watchIdle()
            return self.takeNotifications()
        }
        self.isUsable = false
        self.onEnd.take()?()
    }

    private func send(
        _ sql: String,
        _ parameters: [String?],
        until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) {
        try self.put(sql, parameters)
        guard PQsetSingleRowMode(self.handle.raw) == 1 else { throw self.connectionError() }
        try await self.flush(until: deadline)
    }

    private func receive(
        rowLimit: Int,
        byteLimit: Int,
        until deadline: ContinuousClock.Instant
    ) async throws(PostgresError) -> [[String?]] {
        var rows: [[String?]] = []
        var bytes = 0
        var refusal: PostgresError?
        let before = linux_received_bytes(PQsocket(self.handle.raw))
        // Every result must be fetched, also after a failed one, or libpq refuses the next command.
        while let result = try await self.nextResult(
            limit: byteLimit, receivedBefore: before, until: deadline)
        {
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_SINGLE_TUPLE:
                let row = Self.row(of: result)
                bytes += row.reduce(0) { $0 + ($1?.utf8.count ?? 0) }
                rows.append(row)
                guard rows.count <= rowLimit, bytes <= byteLimit else {
                    throw PostgresError(kind: .resultTooLarge, message: "the result is longer than its limit")
                }
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: break
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                // libpq would answer this forever.
                throw PostgresError(kind: .connection, message: "COPY is not supported")
            default: refusal = refusal ?? PostgresError(refusalIn: result)  // PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE
            }
        }
        guard PQstatus(self.handle.raw) == CONNECTION_OK else {
            throw PostgresError(
                kind: .connection,
                message: refusal?.message ?? "the connection ended",
                sqlState: refusal?.sqlState
            )
        }
        if let refusal { throw refusal }
        return rows
    }
}
