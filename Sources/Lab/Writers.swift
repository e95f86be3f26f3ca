// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc
import PostgresClient

/// Sessions that write through the coordinator to the worker's shards, or to a plain cluster, as an application does: one write
/// after another, each with patience, and a new connection after an error. To be run in the client's network namespace; see
/// ``Lab/startWriters(_:for:)``.
@EventLoop
public final class Writers {
    /// What the writers saw.
    public struct Report: Codable, Sendable, Equatable {
        public var sessions = 0
        public var writes = 0
        /// How often each message was the answer to a write or to an attempt to connect.
        public var errors: [String: Int] = [:]
        /// Milliseconds of the longest span in which no write of any session succeeded.
        public var gap = 0.0
        /// Milliseconds of the longest wait of one write that succeeded.
        public var longestWait = 0.0
        public init() {}
        public var errorCount: Int { self.errors.values.reduce(0, +) }
        /// One line of JSON.
        public func json() throws(LabError) -> String { try JSON.text(self) }
    }

    private let address: String
    private let isCitus: Bool
    private var report = Report()
    private var lastSuccess: Int64
    private var hasEnded = false

    /// Between two writes of one session.
    private static let pause: Duration = .milliseconds(5)
    /// A write that is not answered by then is given up: far beyond what a switchover may take.
    private static let patience: Duration = .seconds(30)

    /// - Parameters:
    ///   - address: the virtual address, with Citus the coordinator's.
    ///   - isCitus: whether the lab's cluster is one of Citus.
    public init(_ address: String, isCitus: Bool) {
        self.address = address
        self.isCitus = isCitus
        self.lastSuccess = BootClock.microseconds
    }

    /// Writes in `sessions` sessions at once until `span` has passed; what is then still on its way is not counted.
    public func run(sessions: Int, for span: Duration) async -> Report {
        self.report.sessions = sessions
        let writers = (0..<sessions).map { number in EventLoop.spawn { await self.write(number) } }
        do throws(WaitError) { try await EventLoop.sleep(for: span) } catch {}
        self.hasEnded = true
        for writer in writers { writer.cancel() }
        self.note(BootClock.microseconds)
        return self.report
    }

    private var database: String { self.isCitus ? LabCitus.databases[0] : "postgres" }

    /// Each session writes a row of its own.
    private func statement(_ number: Int) -> String {
        self.isCitus
            ? "select citus_stand_in.write('items', \(number))"
            : "insert into beat values ('writer \(number)', 1) on conflict (address) do update set count = beat.count + 1"
    }

    private func write(_ number: Int) async {
        while !self.hasEnded {
            do {
                let connection = try await PostgresConnection(
                    "hostaddr=\(self.address) user=writer dbname=\(self.database) sslmode=disable "
                        + "gssencmode=disable application_name=writer tcp_user_timeout=3000", timeout: .seconds(3))
                while !self.hasEnded {
                    let begun = BootClock.microseconds
                    _ = try await connection.query(self.statement(number), timeout: Self.patience)
                    self.succeed(begun)
                    try await EventLoop.sleep(for: Self.pause)
                }
            } catch is WaitError {
                return
            } catch {
                guard !self.hasEnded else { return }
                let line = "\(error)".split(separator: "\n").first.map(String.init) ?? ""
                self.report.errors[String(line.prefix(200)), default: 0] += 1
                do throws(WaitError) { try await EventLoop.sleep(for: .milliseconds(20)) } catch { return }
            }
        }
    }

    private func succeed(_ begun: Int64) {
        guard !self.hasEnded else { return }
        let now = BootClock.microseconds
        self.report.writes += 1
        self.report.longestWait = max(self.report.longestWait, Double(now - begun) / 1000)
        self.note(now)
    }

    private func note(_ now: Int64) {
        self.report.gap = max(self.report.gap, Double(now - self.lastSuccess) / 1000)
        self.lastSuccess = now
    }
}

extension Lab {
    /// Starts `pharos-lab writers` in the client's namespace; its value is what they saw.
    @EventLoop
    public func startWriters(_ sessions: Int, for span: Duration, program: String? = nil) throws(LabError)
        -> Task<Result<Writers.Report, LabError>, Never>
    {
        let program = if let program { program } else { try Self.defaultProgram() }
        let seconds = span.components.seconds
        let command = [
            try Host.path(of: "nsenter"), "--net=/run/netns/\(LabLayout.clientNamespace)", program, "writers",
            "--sessions", "\(sessions)", "--seconds", "\(seconds)",
        ]
        return EventLoop.task {
            do throws(LabError) {
                let text = try await Host.run(command, timeout: span + .seconds(20))
                return .success(try JSON.value(Writers.Report.self, from: text))
            } catch {
                return .failure(error)
            }
        }
    }
}
