// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Journal
import Settings
import Shell
import VirtualAddress

/// What a daemon needs before it can do anything: a valid configuration, the program `ip`, and to be the only one on its node.
///
/// Whatever is missing is waited for, and told once: a process that ended instead would be started again ten times a second.
/// The configuration is read anew at each look, so that what changes meanwhile is not overlooked; the one that is used was read
/// in the look at which nothing was missing.
@EventLoop
final class Preparation {
    struct Prepared: Sendable {
        let settings: Settings
        let ip: String
        let lock: InstanceLock
        /// Nil where the file is no service's, or somebody else has its name.
        let hostLock: HostLock?
        /// Whether a process before this one, in this boot, was of a version that remembers nothing.
        let followsForgetful: Bool
    }

    /// Why nothing can begin yet.
    private struct Lack: Error, Equatable {
        let kind: LogKind
        let message: String
        /// For `systemctl status`.
        let status: String
    }

    private let path: String
    private let folder: String
    private let findIP: () -> String?
    private let hostLockName: (_ settings: Settings, _ path: String) -> String?
    private let tell: @EventLoop (_ record: LogRecord, _ status: String) -> Void
    private var taker: (name: String, taker: HostLockTaker)?
    private var looks = 0
    private var isStopped = false
    private var alarm: Alarm?

    /// From one look to the next.
    nonisolated static let pause: Duration = .seconds(2)

    /// - Parameters:
    ///   - path: pharos.yml.
    ///   - folder: of the lock, such as `/run/pharos`; see ``runtimeFolder``.
    ///   - tell: is told what is missing, once for each different thing.
    init(
        path: String, folder: String = Preparation.runtimeFolder,
        findIP: @escaping () -> String? = { AddressCommands.findIP() },
        hostLockName: @escaping (_ settings: Settings, _ path: String) -> String? = HostLock.name,
        tell: @escaping @EventLoop (_ record: LogRecord, _ status: String) -> Void
    ) {
        self.path = path
        self.folder = folder
        self.findIP = findIP
        self.hostLockName = hostLockName
        self.tell = tell
    }

    /// systemd's, of the unit's RuntimeDirectory; outside of a unit the same by its usual name.
    nonisolated static var runtimeFolder: String {
        let folders = getenv("RUNTIME_DIRECTORY").map { String(cString: $0) } ?? ""
        return folders.split(separator: ":").first.map(String.init) ?? "/run/pharos"
    }

    /// All of it, as soon as nothing is missing; nil after ``stop()``.
    func run() async -> Prepared? {
        var former: Lack?
        while !self.isStopped {
            do throws(Lack) {
                return try await self.look()
            } catch {
                if error != former { self.tell(LogRecord(error.kind, error.message), error.status) }
                former = error
            }
            await self.wait()
        }
        return nil
    }

    /// Looks at once, as for SIGHUP.
    func lookAgain() { self.alarm?.ring() }

    func stop() {
        self.isStopped = true
        self.alarm?.ring()
    }

    private func wait() async {
        guard !self.isStopped else { return }
        let alarm = Alarm()
        self.alarm = alarm
        await alarm.wait(Self.pause)
        self.alarm = nil
    }

    private func look() async throws(Lack) -> Prepared {
        let settings = try await self.settings()
        guard let ip = self.findIP() else {
            throw Lack(
                kind: .startWaits, message: "there is no ip program: install iproute2; it is looked for every 2 s",
                status: "waiting for the program ip (package iproute2)")
        }
        let hostLock = try self.hostLock(settings)
        // By a user who may, such as root by hand; in the unit systemd has made it.
        mkdir(self.folder, 0o755)
        let path = self.folder + "/pharos.lock"
        // Of this boot: the folder lives in memory.
        let wasHere = access(path, F_OK) == 0
        switch InstanceLock.take(path) {
        case .failure(let problem):
            throw Lack(kind: .startWaits, message: problem.message, status: "waiting for \(path)")
        case .success(let lock):
            // Always, so that the next process finds it.
            let didRemember = Self.leaveTrace(in: self.folder)
            return Prepared(
                settings: settings, ip: ip, lock: lock, hostLock: hostLock, followsForgetful: wasHere && !didRemember)
        }
    }

    private func hostLock(_ settings: Settings) throws(Lack) -> HostLock? {
        guard let name = self.hostLockName(settings, self.path) else { return nil }
        if self.taker?.name != name { self.taker = (name, HostLockTaker(name)) }
        guard let taker = self.taker?.taker else { return nil }
        switch taker.take() {
        case .taken(let lock): return lock
        case .held(let holder):
            throw Lack(
                kind: .startWaits,
                message:
                    "\(holder) on this host looks after member \(settings.member) of \(settings.scope) already. Nothing is done here until it ends. "
                    + "Keep one of the two: systemctl disable --now UNIT",
                status: "waiting for the end of \(holder)")
        case .squatted(let holder):
            let text =
                "the name \(name), by which daemons of one host keep each other out, is taken by \(holder), which is no daemon. "
                + "It is done without: see that only one unit looks after member \(settings.member) of \(settings.scope)"
            self.tell(LogRecord(.startWaits, text, priority: .warning), "starting")
            return nil
        }
    }

    /// The first look takes what is there. Whoever had to wait may find a file that is just being written.
    private func settings() async throws(Lack) -> Settings {
        self.looks += 1
        let result = self.looks == 1 ? Settings.read(self.path) : await Settings.settled(self.path)
        switch result {
        case .success(let settings): return settings
        case .failure(let error):
            throw Lack(
                kind: .configurationRefused,
                message:
                    "\(error.description)\nnothing is done until this is mended; the file is read again every 2 s",
                status: "waiting for a valid \(self.path)")
        }
    }

    /// Leaves a trace of a version that remembers; answers whether an earlier process of this boot may have left one.
    private static func leaveTrace(in folder: String) -> Bool {
        let descriptor = open(folder + "/remembers", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return true }
        close(descriptor)
        return false
    }
}

/// A pause that somebody may end early.
@EventLoop
private final class Alarm {
    private var task: Task<Void, Never>?

    func wait(_ delay: Duration) async {
        let task = EventLoop.spawn {
            do throws(WaitError) {
                try await EventLoop.sleep(for: delay)
            } catch {
                // Rung.
            }
        }
        self.task = task
        await task.value
    }

    func ring() { self.task?.cancel() }
}
