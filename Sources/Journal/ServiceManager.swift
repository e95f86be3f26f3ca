// SPDX-License-Identifier: Apache-2.0
import CSystemd
public import EventLoop
import Glibc

/// Tells systemd how the service is doing (the protocol of sd_notify(3), which is declared stable). Does nothing where systemd
/// did not ask, and never waits.
///
/// What systemd does not take, because its queue is full or its socket is away for a moment, is kept and sent again every
/// ``pause`` until it is taken: of the states and of the lines of status the newest. A `READY=1` that is lost would leave the
/// unit "activating" for ever.
@EventLoop
public final class ServiceManager {
    private let name: String?
    private let socket: DatagramSocket?
    private var owed = ServiceNotices()
    private var timer: EventSource?

    /// From one attempt to the next.
    package nonisolated static let pause: Duration = .milliseconds(250)

    /// Reads `NOTIFY_SOCKET` of this process's environment.
    public convenience init() { self.init(socketName: getenv("NOTIFY_SOCKET").map { String(cString: $0) }) }

    /// A path, or an abstract name that begins with `@`; nil if systemd did not ask.
    public init(socketName: String?) {
        let name = socketName.flatMap { $0.isEmpty ? nil : $0 }
        self.name = name
        self.socket = name == nil ? nil : DatagramSocket()
    }

    /// The service works now.
    public func ready(status: String) { self.tell { ($0.state, $0.status) = (.ready, status) } }

    /// One line that tells a person how things are, for `systemctl status`; of at most 1024 bytes, the rest is cut.
    public func status(_ text: String) { self.tell { $0.status = text } }

    /// The configuration is being read again; ``ready(status:)`` ends that.
    public func reloading() {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        self.tell { $0.state = .reloading(since: now.tv_sec * 1_000_000 + now.tv_nsec / 1000) }
    }

    /// The service is going away.
    public func stopping(status: String) { self.tell { ($0.state, $0.status) = (.stopping, status) } }

    /// The service is alive; to be called three times in each ``watchdogInterval``, so that one that comes late does no harm.
    public func ping() { self.tell { $0.isAlive = true } }

    /// Whether there is something that systemd has not taken yet.
    public var isOwing: Bool { self.owed.datagram != nil }

    /// How long systemd waits for ``ping()`` before it kills the service; nil if it does not watch this process.
    public static var watchdogInterval: Duration? {
        var microseconds: UInt64 = 0
        guard sd_watchdog_enabled(0, &microseconds) > 0 else { return nil }
        return Int64(exactly: microseconds).map { .microseconds($0) }
    }

    private func tell(_ change: (inout ServiceNotices) -> Void) {
        guard self.name != nil else { return }
        change(&self.owed)
        self.send()
    }

    private func send() {
        guard let name = self.name, let socket = self.socket, let text = self.owed.datagram else { return }
        switch socket.send(Array(text.utf8), to: name) {
        case 0, ENAMETOOLONG:
            // Taken; or no socket can have this name, and there is nobody to tell.
            self.owed = ServiceNotices()
            self.timer = nil
        default:  // Whatever it is, it may pass: EAGAIN, ENOENT, ECONNREFUSED, ENOBUFS.
            guard let timer = self.timer else {
                self.timer = .timer(after: Self.pause) { [weak self] in self?.send() }
                return
            }
            timer.rearm(after: Self.pause)
        }
    }
}
