// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Journal
import Secrets
import Settings
import Supervisor
import VirtualAddress

/// The process around the supervisor: configuration, signals, journal, systemd.
@EventLoop
final class Daemon {
    private let path: String
    private let manager = ServiceManager()
    private var journal = JournalWriter(redacting: [])
    private var redactor = Redactor([])
    private var signals: [EventSource] = []
    private var watchdog: EventSource?
    private var supervisor: Supervisor?
    private var lock: InstanceLock?
    private var isStopping = false
    private var isReady = false
    private var statusLine = ""

    init(path: String) { self.path = path }

    func run() async {
        self.signals = [
            .signal(SIGTERM) { self.stop() }, .signal(SIGINT) { self.stop() }, .signal(SIGHUP) { self.reload() },
        ]
        self.startWatchdog()
        guard let settings = await self.loadPatiently(), let ip = AddressCommands.findIP() else {
            if !self.isStopping { self.write(LogRecord(.assignFailed, "there is no ip program: install iproute2")) }
            return EventLoop.exit(code: self.isStopping ? 0 : ExitStatus.unavailableNumber)
        }
        self.take(settings)
        guard let memory = await self.takeLock(beside: settings.status.socket) else { return EventLoop.exit(code: 0) }
        let supervisor = Supervisor(settings, self.surroundings(ip, memory))
        self.supervisor = supervisor
        supervisor.start()
    }

    private func surroundings(_ ip: String, _ memory: MemoryFile) -> Supervisor.Surroundings {
        Supervisor.Surroundings(
            log: { self.write($0) },
            ready: {
                self.isReady = true
                self.write(LogRecord(.daemonReady, "ready"))
                self.manager.ready(status: self.statusLine)
            },
            status: {
                self.statusLine = $0
                self.manager.status($0)
            },
            exit: { EventLoop.exit(code: 0) },
            redact: { self.redactor.redact($0) },
            jitter: { Double.random(in: 0..<1) },
            ipPath: ip,
            memory: memory)
    }

    // MARK: - Configuration

    /// The configuration, as soon as it is valid: a node is not left without its supervisor because of a mistake.
    private func loadPatiently() async -> Settings? {
        var lastProblem: String?
        while !self.isStopping {
            do throws(SettingsError) {
                return try Settings.load(path: self.path)
            } catch {
                if error.description != lastProblem {
                    lastProblem = error.description
                    self.write(
                        LogRecord(
                            .configurationRefused,
                            "\(error.description)\nnothing is done until this is mended; the file is read again every 2 s"
                        ))
                    self.manager.status("waiting for a valid \(self.path)")
                }
            }
            await self.pause(.seconds(2))
        }
        return nil
    }

    /// Knows the secrets of a configuration from now on, and says what is doubtful in it.
    private func take(_ settings: Settings) {
        self.journal = JournalWriter(redacting: settings.secrets)
        self.redactor = Redactor(settings.secrets)
        for warning in settings.warnings {
            self.write(LogRecord(.configurationReloaded, warning.description, priority: .warning))
        }
    }

    private func reload() {
        guard let supervisor = self.supervisor else { return }
        // Before its first READY=1 the daemon is still starting, and must not say otherwise.
        if self.isReady { self.manager.reloading() }
        defer { if self.isReady { self.manager.ready(status: self.statusLine) } }
        do throws(SettingsError) {
            let settings = try Settings.load(path: self.path)
            if let problem = supervisor.reload(settings) {
                self.write(LogRecord(.configurationRefused, "the new configuration is not taken over: \(problem)"))
            } else {
                self.take(settings)
                self.write(LogRecord(.configurationReloaded, "the configuration was read again"))
            }
        } catch {
            self.write(
                LogRecord(.configurationRefused, "the new configuration is refused, the old one stays:\n\(error)"))
        }
    }

    /// One daemon on a node: two would take each other's leases for their own. With the lock comes what the process of before
    /// remembered; nil: the daemon is to stop.
    private func takeLock(beside socket: String) async -> MemoryFile? {
        let folder = socket.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        var hasComplained = false
        // Of this boot: the folder lives in memory.
        let wasHere = access(folder + "/pharos.lock", F_OK) == 0
        while !self.isStopping {
            switch InstanceLock.take(folder + "/pharos.lock") {
            case .success(let lock):
                self.lock = lock
                // Always, so that the next process finds it.
                let didRemember = Self.leaveTrace(in: folder)
                return MemoryFile(folder: Self.stateFolder, followsForgetful: wasHere && !didRemember)
            case .failure(let problem):
                if !hasComplained { self.write(LogRecord(.configurationRefused, problem.message)) }
                hasComplained = true
                await self.pause(.seconds(1))
            }
        }
        return nil
    }

    /// systemd's, of the unit's StateDirectory; outside of a unit the same by its usual name.
    private static var stateFolder: String {
        getenv("STATE_DIRECTORY").map { String(cString: $0) } ?? "/var/lib/pharos"
    }

    /// Leaves a trace of a version that remembers; answers whether an earlier process of this boot may have left one.
    private static func leaveTrace(in folder: String) -> Bool {
        let descriptor = open(folder + "/remembers", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return true }
        close(descriptor)
        return false
    }

    private func pause(_ delay: Duration) async {
        do throws(WaitError) {
            try await EventLoop.sleep(for: delay)
        } catch {
            // Nobody cancels this.
        }
    }

    // MARK: - systemd

    private func stop() {
        guard !self.isStopping else { return }
        self.isStopping = true
        guard let supervisor = self.supervisor else { return EventLoop.exit(code: 0) }
        EventLoop.spawn {
            // A crash would leave the addresses to the next process: a restart can do no worse.
            let isRestart = await UnitJob.isRestart()
            self.manager.stopping(
                status: isRestart ? "leaving the addresses to the next process" : "releasing the addresses")
            if isRestart { supervisor.handOver() } else { supervisor.stop() }
        }
    }

    /// Pings from a turn of the core, at twice the rate that systemd asks for, so that a stuck core is killed.
    private func startWatchdog() {
        guard let interval = ServiceManager.watchdogInterval else { return }
        let half = interval / 2
        self.watchdog = .timer(after: half, accuracy: .milliseconds(250)) {
            self.supervisor?.turn()
            self.manager.watchdog()
            self.watchdog?.rearm(after: half)
        }
    }

    private func write(_ record: LogRecord) {
        self.journal.write(
            JournalRecord(
                id: JournalRecord.MessageID(record.kind.messageID)
                    ?? JournalRecord.MessageID(constant: "00000000000000000000000000000000"),
                priority: JournalRecord.Priority(rawValue: record.priority.rawValue) ?? .notice,
                message: record.message,
                fields: record.fields.map { ("PHAROS_" + $0.name, $0.value) }))
    }
}
