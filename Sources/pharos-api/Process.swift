// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Journal
import Settings
import WebServer

/// The process around the API: credentials, listeners, signals, journal, systemd.
@EventLoop
final class Process {
    private let settings: APISettings
    private let instance: APIInstance
    private let manager = ServiceManager()
    private let journal = JournalWriter(redacting: [], identifier: "pharos-api")
    private var signals: [EventSource] = []
    private var timers: [EventSource] = []
    private var listeners: Listeners?
    private var tokens: TokenStore?
    private var certificates: CertificateKeeper?

    /// Between two looks at the files of credentials, and at places that cannot be served yet.
    nonisolated static let pause: Duration = .seconds(2)

    init(_ settings: APISettings, _ instance: APIInstance) { (self.settings, self.instance) = (settings, instance) }

    func start() {
        self.signals = [
            .signal(SIGTERM) { self.stop() }, .signal(SIGINT) { self.stop() }, .signal(SIGHUP) { self.look() },
        ]
        for warning in self.settings.warnings {
            self.journal.write(LogRecord(.apiStarted, warning.description, ["ENDPOINTS": ""], priority: .warning))
        }
        let daemon = DaemonLink { [path = self.settings.daemonSocket] question throws(DaemonSilence) in
            try await DaemonSocket(path: path).ask(question)
        }
        daemon.silenceChanged = { self.tell($0) }
        if let path = self.settings.tokens { self.tokens = TokenStore(path) { self.tell($0, path) } }
        if let tls = self.settings.tls { self.certificates = CertificateKeeper(tls) { self.tell($0, tls.certificate) } }
        let api = API(
            self.settings, daemon, self.tokens, unit: self.instance.daemon.unit, cluster: self.instance.daemon.name
        ) { self.journal.write($0) }
        guard let authorities = self.clientAuthorities() else { return EventLoop.exit(code: EX_CONFIG) }
        let listeners = Listeners(api, clientAuthorities: authorities.isEmpty ? nil : authorities) {
            self.journal.write($0)
        }
        self.listeners = listeners
        let places = listeners.places.joined(separator: ", ")
        self.look()
        self.journal.write(LogRecord(.apiStarted, "the API answers at \(places)", ["ENDPOINTS": places]))
        self.manager.ready(status: "answers at \(places)")
        self.startTimers()
    }

    /// Empty: none are wanted. Nil: they cannot be read, which has been told.
    private func clientAuthorities() -> [UInt8]? {
        guard let path = self.settings.tls?.clientAuthorities else { return [] }
        switch SettingsEnvironment.system.read(path, Settings.fileLimit) {
        case .success(let file) where !file.contents.isEmpty: return file.contents
        case .success: self.tell(.refused(reason: "it is empty"), path)
        case .failure(let error): self.tell(.refused(reason: "\(error)"), path)
        }
        return nil
    }

    /// At the files of credentials, and at places where the API is not served yet.
    private func look() {
        self.tokens?.refresh()
        self.certificates?.refresh()
        self.listeners?.serve()
    }

    private func startTimers() {
        self.timers = [self.repeating(every: Self.pause) { self.look() }]
        if let interval = ServiceManager.watchdogInterval {
            self.timers.append(self.repeating(every: interval / 3) { self.manager.ping() })
        }
    }

    private func repeating(every pause: Duration, _ act: @escaping @EventLoop () -> Void) -> EventSource {
        var source: EventSource?
        let timer = EventSource.timer(after: pause, accuracy: .milliseconds(500)) {
            act()
            source?.rearm(after: pause)
        }
        source = timer
        return timer
    }

    private func stop() {
        self.manager.stopping(status: "stopping")
        self.timers = []
        self.listeners?.stop()
        self.journal.write(LogRecord(.apiStopped, "the API has stopped"))
        EventLoop.exit(code: 0)
    }

    // MARK: - Records

    private func tell(_ news: CredentialNews, _ path: String) {
        switch news {
        case .read(let what):
            self.journal.write(
                LogRecord(.apiCredentialsRead, "\(path) has changed, and is in force: \(what)", ["FILE": path]))
        case .refused(let reason):
            self.journal.write(
                LogRecord(
                    .apiCredentialsRefused, "\(path) cannot be used; what was read before stays: \(reason)",
                    ["FILE": path, "REASON": reason]))
        }
    }

    private func tell(_ silence: DaemonSilence?) {
        guard let silence else { return self.journal.write(LogRecord(.apiDaemonAnswers, "the daemon answers again")) }
        let unit = self.instance.daemon.unit
        self.journal.write(
            LogRecord(
                .apiDaemonSilent, "the daemon does not answer: \(silence.reason); systemctl status \(unit)",
                ["REASON": silence.reason]))
    }
}
