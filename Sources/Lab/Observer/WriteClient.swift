// SPDX-License-Identifier: Apache-2.0
import EventLoop
import PostgresClient

/// A client that writes through a virtual address every 10 ms and records when that ceases and begins to work.
///
/// While it does not work, attempts to connect run side by side, a new one every 20 ms: a single attempt could sit in a
/// retransmission of TCP while the address already answers, and the gap would be measured too long.
@EventLoop
final class WriteClient {
    private let address: String
    private let recorder: EventRecorder
    private var attempts: [Int: Task<Void, Never>] = [:]
    private var lastAttempt = 0
    private var lastAttemptAt: Int64 = 0
    private var lastSuccess: Int64?
    /// The attempt whose writes work.
    private var working: Int?
    private var isFailing = false

    private static let period: Duration = .milliseconds(10)
    /// A write that is not answered by then counts as failing. Microseconds.
    private static let late: Int64 = 60_000
    /// For a connection, and for a write.
    private static let patience: Duration = .milliseconds(700)
    /// Above patience by interval, or there would be spells without a fresh attempt.
    private static let attemptLimit = 40

    init(_ address: String, _ recorder: EventRecorder) {
        self.address = address
        self.recorder = recorder
        EventLoop.spawn { await self.run() }
    }

    private func run() async {
        while true {
            self.look(at: BootClock.microseconds)
            do throws(WaitError) { try await EventLoop.sleep(for: Self.period) } catch { return }
        }
    }

    private func look(at now: Int64) {
        if self.working != nil, let last = self.lastSuccess {
            guard now - last > Self.late else { return }
            self.fail("no answer")
        }
        guard self.attempts.count < Self.attemptLimit, now - self.lastAttemptAt >= self.interval(now) else { return }
        self.lastAttemptAt = now
        self.lastAttempt += 1
        let number = self.lastAttempt
        self.attempts[number] = EventLoop.spawn { await self.attempt(number) }
    }

    /// Microseconds between attempts; at leisure while nothing has worked for long.
    private func interval(_ now: Int64) -> Int64 {
        guard let last = self.lastSuccess, now - last < 120_000_000 else { return 200_000 }
        return 20_000
    }

    /// Connects, and writes until that fails.
    private func attempt(_ number: Int) async {
        do {
            let connection = try await PostgresConnection(
                "hostaddr=\(self.address) user=writer dbname=postgres sslmode=disable gssencmode=disable "
                    + "application_name=client tcp_user_timeout=2000",
                timeout: Self.patience
            )
            let sql = """
                INSERT INTO beat VALUES ('\(self.address)', 1)
                ON CONFLICT (address) DO UPDATE SET count = beat.count + 1
                """
            while true {
                _ = try await connection.query(sql, timeout: Self.patience)
                guard self.succeed(number) else { break }
                try await EventLoop.sleep(for: Self.period)
            }
            self.attempts[number] = nil
        } catch {
            self.attempts[number] = nil
            if self.working == number {
                self.working = nil
                self.fail("\(error)")
            }
        }
    }

    /// Notes a write that worked; answers whether this attempt shall go on.
    private func succeed(_ number: Int) -> Bool {
        let now = BootClock.microseconds
        let previous = self.lastSuccess
        self.lastSuccess = now
        if self.isFailing || previous == nil {
            self.isFailing = false
            self.recorder.record(LabEvent(at: now, .writesWorking, address: self.address, since: previous))
        } else if self.working != nil, self.working != number {
            // Another attempt, no worse than this one, was first.
            return false
        }
        guard self.working != number else { return true }
        self.working = number
        for (other, task) in self.attempts where other != number { task.cancel() }
        return true
    }

    private func fail(_ reason: String) {
        guard !self.isFailing, let last = self.lastSuccess else { return }
        self.isFailing = true
        let line = reason.split(separator: "\n").first.map(String.init) ?? ""
        self.recorder.record(
            LabEvent(
                at: BootClock.microseconds,
                .writesFailing,
                address: self.address,
                since: last,
                text: String(line.prefix(200))
            )
        )
    }
}
