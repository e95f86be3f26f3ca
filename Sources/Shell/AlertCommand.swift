// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Journal
import LenientJSON
import Settings

/// Runs the operator's command for each record that matters: without a shell, without the daemon's rights, with the record as
/// JSON on its standard input, for a limited time, one after another. Nothing waits for it.
@EventLoop
final class AlertCommand {
    private let settings: Settings.Alert
    private let identity: [(name: String, value: String)]
    private let redact: @EventLoop (String) -> String
    /// Is told that the command did not work: the first time, and again after it has worked.
    private let failed: @EventLoop (LogRecord) -> Void
    /// Nil: those of this process.
    private let slots: ChildSlots?
    private var waiting: [String] = []
    private var dropped = 0
    private(set) var isRunning = false
    private var hasFailed = false

    private static let waitingLimit = 32

    init(
        _ settings: Settings.Alert, scope: String, member: String,
        redact: @escaping @EventLoop (String) -> String, slots: ChildSlots? = nil,
        failed: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.settings = settings
        self.identity = [("scope", scope), ("member", member)]
        self.redact = redact
        self.slots = slots
        self.failed = failed
    }

    /// Runs the command for a record, if it is grave enough. Of a flood the first ``waitingLimit`` are told, and how many were not.
    func tell(_ record: LogRecord) {
        guard record.priority.rawValue <= self.settings.priority.severity, record.kind != .alertFailed else { return }
        guard self.waiting.count < Self.waitingLimit else {
            self.dropped += 1
            return
        }
        self.waiting.append(self.redact(self.json(record)))
        self.dropped = 0
        self.run()
    }

    func json(_ record: LogRecord) -> String {
        typealias Member = JSONDocument.Member
        let about = [
            Member("time", .integer(WallClock.seconds)), Member("kind", "\(record.kind)"),
            Member("message_id", .string(record.kind.messageID)), Member("priority", .number(record.priority.rawValue)),
            Member("message", .string(record.message)), Member("dropped", .number(self.dropped)),
        ]
        let identity = self.identity.map { Member($0.name, .string($0.value)) }
        let fields = record.fields.map { Member($0.name.lowercased(), .string($0.value)) }
        return JSONDocument.object(about + identity + [Member("fields", .object(fields))]).readable() + "\n"
    }

    private func run() {
        guard !self.isRunning, !self.waiting.isEmpty else { return }
        self.isRunning = true
        let event = self.waiting.removeFirst()
        EventLoop.spawn {
            let reason = await self.call(event)
            if let reason, !self.hasFailed {
                self.failed(
                    LogRecord(
                        .alertFailed, "alert.command has failed: \(reason). Nobody was told but the journal",
                        ["REASON": reason]))
            }
            self.hasFailed = reason != nil
            self.isRunning = false
            self.run()
        }
    }

    /// Answers why it did not work; nil: it did.
    private func call(_ event: String) async -> String? {
        var child = ChildProcess(
            self.settings.command, kind: .alert, timeout: self.settings.timeout, outputLimit: 64 << 10)
        child.input = Array(event.utf8)
        child.slots = self.slots
        do throws(ChildProcessError) {
            let outcome = try await child.run()
            guard outcome.exitCode != 0 else { return nil }
            let code = outcome.exitCode.map { "exit status \($0)" } ?? "ended by a signal"
            return outcome.text.isEmpty ? code : "\(code): \(outcome.text.firstLine)"
        } catch {
            return error.description
        }
    }
}
