// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Journal
import Secrets
import Settings
import Shell

/// The process around the shell: configuration, signals, journal, systemd.
@EventLoop
final class Process {
    private let path: String
    private let manager = ServiceManager()
    private var journal = JournalWriter(redacting: [])
    private var redactor = Redactor([])
    private var signals: [EventSource] = []
    private var watchdog: EventSource?
    private var shell: Shell?
    private var preparation: Preparation?
    private var locks: (instance: InstanceLock, host: HostLock?)?
    private var isStopping = false
    /// A reload is under way; SIGHUP meanwhile asks for another.
    private var isReloading = false
    private var mustReloadAgain = false
    private var isReady = false
    private var statusLine = ""

    init(path: String) { self.path = path }

    func run() async {
        self.signals = [
            .signal(SIGTERM) { self.stop() }, .signal(SIGINT) { self.stop() }, .signal(SIGHUP) { self.hangUp() },
        ]
        self.startWatchdog()
        ChildSlots.shared.reserve()
        ChildSlots.shared.refused = { _, refusal in
            self.journal.write(
                LogRecord(.childRefused, "a program was not started: \(refusal)", ["REASON": "\(refusal)"]))
        }
        let preparation = Preparation(path: self.path) { record, status in
            self.journal.write(record)
            self.manager.status(status)
        }
        self.preparation = preparation
        guard let prepared = await preparation.run() else { return EventLoop.exit(code: 0) }
        self.preparation = nil
        self.locks = (prepared.lock, prepared.hostLock)
        self.adopt(prepared.settings)
        let memory = MemoryFile(folder: self.stateFolder, followsForgetful: prepared.followsForgetful)
        var services = self.services(prepared.ip, memory)
        services.configuration = self.path
        let shell = Shell(prepared.settings, services)
        self.shell = shell
        shell.start()
    }

    private func services(_ ip: String, _ memory: MemoryFile) -> Shell.ProcessServices {
        Shell.ProcessServices(
            log: { self.journal.write($0) },
            ready: {
                self.isReady = true
                self.journal.write(LogRecord(.daemonReady, "ready"))
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

    /// Knows the secrets of a configuration from now on, and says what is doubtful in it.
    private func adopt(_ settings: Settings) {
        self.journal = JournalWriter(redacting: settings.secrets)
        self.redactor = Redactor(settings.secrets)
        for warning in settings.warnings {
            self.journal.write(LogRecord(.configurationReloaded, warning.description, priority: .warning))
        }
    }

    /// SIGHUP: the configuration is read again, however far the daemon has come.
    private func hangUp() {
        guard !self.isStopping else { return }
        guard let shell = self.shell else {
            self.preparation?.lookAgain()
            return
        }
        self.mustReloadAgain = true
        guard !self.isReloading else { return }
        self.isReloading = true
        // Before its first READY=1 the daemon is still starting, and must not say otherwise.
        if self.isReady { self.manager.reloading() }
        EventLoop.spawn {
            while self.mustReloadAgain, !self.isStopping {
                self.mustReloadAgain = false
                await self.reload(shell)
            }
            self.isReloading = false
            if self.isReady, !self.isStopping { self.manager.ready(status: self.statusLine) }
        }
    }

    private func reload(_ shell: Shell) async {
        let result = await Settings.settled(self.path)
        guard !self.isStopping else { return }
        switch result {
        case .success(let settings):
            if let problem = shell.reload(settings) {
                self.journal.write(
                    LogRecord(.configurationRefused, "the new configuration is not used: \(problem)"))
            } else {
                self.adopt(settings)
                self.journal.write(LogRecord(.configurationReloaded, "the configuration was read again"))
            }
        case .failure(let error):
            self.journal.write(
                LogRecord(.configurationRefused, "the new configuration is refused, the old one stays:\n\(error)"))
        }
    }

    /// systemd's, of the unit's StateDirectory; outside of a unit the same by its usual name.
    private var stateFolder: String {
        getenv("STATE_DIRECTORY").map { String(cString: $0) } ?? DaemonInstance(configuration: self.path).stateFolder
    }

    // MARK: - systemd

    private func stop() {
        guard !self.isStopping else { return }
        self.isStopping = true
        guard let shell = self.shell else {
            self.preparation?.stop()
            return EventLoop.exit(code: 0)
        }
        EventLoop.spawn {
            // A crash would leave the addresses to the next process: a restart can do no worse.
            let isRestart = await UnitJob.isRestart()
            self.manager.stopping(
                status: isRestart ? "leaving the addresses to the next process" : "releasing the addresses")
            if isRestart { shell.handOver() } else { shell.stop() }
        }
    }

    /// Pings from a turn of the core, three times in what systemd waits, so that a stuck core is killed and a ping that systemd
    /// takes late is in time. A daemon that waits for a child of which there is none ends only so.
    private func startWatchdog() {
        guard let interval = ServiceManager.watchdogInterval else { return }
        let pause = interval / 3
        self.watchdog = .timer(after: pause, accuracy: .milliseconds(250)) {
            self.shell?.turn()
            if self.shell?.isStuck != true { self.manager.ping() }
            self.watchdog?.rearm(after: pause)
        }
    }
}
