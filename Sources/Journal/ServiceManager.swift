// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Tells systemd how the service is doing (the protocol of sd_notify(3), which is declared stable). Does nothing where systemd did not ask, and never waits.
public struct ServiceManager: Sendable {
    private let name: String?
    private let socket: DatagramSocket?

    /// Bytes of a status; the rest is cut.
    public static let statusLimit = 1024

    /// Reads `NOTIFY_SOCKET` of this process's environment.
    public init() { self.init(socketName: getenv("NOTIFY_SOCKET").map { String(cString: $0) }) }

    /// A path, or an abstract name that begins with `@`; nil if systemd did not ask.
    public init(socketName: String?) {
        self.name = socketName.flatMap { $0.isEmpty ? nil : $0 }
        self.socket = self.name == nil ? nil : DatagramSocket()
    }

    /// The service works now.
    @discardableResult
    public func ready(status: String) -> Bool { self.notify("READY=1\n\(Self.line(status))") }

    /// One line that tells a person how things are, for `systemctl status`.
    @discardableResult
    public func status(_ text: String) -> Bool { self.notify(Self.line(text)) }

    /// The configuration is being read again; ``ready(status:)`` ends that.
    @discardableResult
    public func reloading() -> Bool {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return self.notify("RELOADING=1\nMONOTONIC_USEC=\(now.tv_sec * 1_000_000 + now.tv_nsec / 1000)")
    }

    /// The service is going away.
    @discardableResult
    public func stopping(status: String) -> Bool { self.notify("STOPPING=1\n\(Self.line(status))") }

    /// The service is alive; to be called at least twice in each ``watchdogInterval``.
    @discardableResult
    public func watchdog() -> Bool { self.notify("WATCHDOG=1") }

    /// How long systemd waits for ``watchdog()`` before it kills the service; nil if it does not watch this process
    /// (`WATCHDOG_USEC` and `WATCHDOG_PID`, as sd_watchdog_enabled(3) reads them).
    public static var watchdogInterval: Duration? {
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        return self.watchdogInterval(
            microseconds: variable("WATCHDOG_USEC"),
            process: variable("WATCHDOG_PID"),
            ownProcess: getpid()
        )
    }

    static func watchdogInterval(microseconds: String?, process: String?, ownProcess: Int32) -> Duration? {
        guard let microseconds = microseconds.flatMap({ Int64($0) }), microseconds > 0 else { return nil }
        if let process, Int32(process) != ownProcess { return nil }
        return .microseconds(microseconds)
    }

    /// Answers whether systemd has taken the message.
    private func notify(_ state: String) -> Bool {
        guard let name = self.name, let socket = self.socket else { return false }
        return socket.send(Array(state.utf8), to: name) == 0
    }

    /// An assignment of its own: a line's end would begin another one.
    private static func line(_ status: String) -> String {
        var line = "STATUS="
        for scalar in status.unicodeScalars where line.utf8.count < self.statusLimit {
            line.unicodeScalars.append(scalar.properties.generalCategory == .control ? " " : scalar)
        }
        return line
    }
}
