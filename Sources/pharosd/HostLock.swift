// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import Settings

/// What one daemon of a host has for each member that it looks after: a second one for the same member waits, whatever its unit, its file
/// and its folders are called.
///
/// An abstract socket name (unix(7)): no folder is needed that both may write, each network namespace has its own, and the kernel gives it
/// back when its process ends. Every local user may take one, too; so the kernel is asked whose it is, and only root and the daemon's own
/// user are waited for.
final class HostLock: Sendable {
    private let descriptor: Int32

    fileprivate init(descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(self.descriptor) }

    /// The name for what these settings look after: the same for a copy of a file, and another for each Patroni of a host. Nil for a
    /// file that is no service's: whoever starts such a daemon by hand has put its places apart.
    static func name(_ settings: Settings, path: String) -> String? {
        guard settings.instance.configuration == path else { return nil }
        // A name has 107 bytes, and what it is made of has no such limit.
        let parts = [settings.lease.root, settings.scope, settings.group.map { "\($0)" } ?? "", settings.member]
        let text = (parts + [settings.patroni.url]).joined(separator: "\u{0}")
        // FNV-1a, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/.
        let hash = text.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "pharos/\(settings.scope.prefix(24))/\(settings.member.prefix(24))/\(String(hash, radix: 16))"
    }
}

/// Tries to take a ``HostLock``, as often as is wanted.
@EventLoop
final class HostLockTaker {
    enum Outcome {
        case taken(HostLock)
        /// By a daemon: to be waited for.
        case held(by: String)
        /// By somebody who is no daemon: nobody to be waited for.
        case squatted(by: String)
    }

    /// So often a name is found that is taken, and says nothing of its holder, until it is taken for nobody's.
    nonisolated static let silentLooks = 5

    private let name: String
    /// The holder that was found last, as long as this hangs on to it.
    private var holder: (descriptor: Int32, process: pid_t, user: uid_t)?
    private var silent = 0

    init(_ name: String) { self.name = name }
    isolated deinit { if let holder = self.holder { close(holder.descriptor) } }

    func take() -> Outcome {
        let descriptor = linux_take_name(self.name)
        if descriptor >= 0 { return .taken(HostLock(descriptor: descriptor)) }
        guard descriptor == -EADDRINUSE else {
            return .squatted(by: "nobody: \(String(cString: strerror(-descriptor)))")
        }
        guard let holder = self.findHolder() else {
            self.silent += 1
            return self.silent < Self.silentLooks
                ? .held(by: "a process that does not say who it is")
                : .squatted(by: "a process that does not say who it is")
        }
        self.silent = 0
        let isDaemon = holder.user == 0 || holder.user == geteuid()
        let text = "process \(holder.process) of user \(holder.user)"
        return isDaemon ? .held(by: Self.unit(of: holder.process) ?? text) : .squatted(by: text)
    }

    private func findHolder() -> (descriptor: Int32, process: pid_t, user: uid_t)? {
        if let holder = self.holder {
            var state = pollfd(fd: holder.descriptor, events: 0, revents: 0)
            if poll(&state, 1, 0) == 0 { return holder }
            close(holder.descriptor)
            self.holder = nil
        }
        var (process, user): (pid_t, uid_t) = (0, 0)
        let descriptor = linux_reach_name(self.name, &process, &user)
        guard descriptor >= 0 else { return nil }
        self.holder = (descriptor, process, user)
        return self.holder
    }

    /// The systemd unit that a process belongs to; nil where that cannot be told.
    private static func unit(of process: pid_t) -> String? {
        guard let file = fopen("/proc/\(process)/cgroup", "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let text = String(decoding: buffer[..<fread(&buffer, 1, buffer.count, file)], as: UTF8.self)
        let names = text.split(whereSeparator: { $0 == "/" || $0 == "\n" })
        return names.last { $0.hasSuffix(".service") }.map { String($0.replacing("\\x2d", with: "-")) }
    }
}
