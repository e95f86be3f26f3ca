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
    private let tell: @EventLoop (_ record: LogRecord, _ status: String) -> Void
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
        tell: @escaping @EventLoop (_ record: LogRecord, _ status: String) -> Void
    ) {
        self.path = path
        self.folder = folder
        self.findIP = findIP
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
            return Prepared(settings: settings, ip: ip, lock: lock, followsForgetful: wasHere && !didRemember)
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
