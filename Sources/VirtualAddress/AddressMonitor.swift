// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc

/// What the kernel did to its addresses and interfaces, whoever asked for it.
public enum MonitorEvent: Hashable, Sendable {
    /// The monitor is listening from now on; what was before is unknown. List.
    case restarted
    /// The monitor ended and will be started again; changes are not seen until ``restarted``.
    case interrupted(reason: String)
    /// An address was added, or its lifetime or flags were changed.
    case appeared(KernelAddress)
    case disappeared(VirtualAddress)
    /// An interface is new or was changed.
    case linkChanged(NetworkInterface)
    case linkRemoved(name: String)
    /// Something changed that was not understood, or too much at once. List.
    case unclear
}

/// Watches addresses and interfaces: `ip -o monitor address link` as a child, started again whenever it ends.
///
/// Leaves out: knowing what there is; see ``AddressCommands/list()``. Bounded: 200 lines per second are understood, of
/// 4 KiB each; more yield one ``MonitorEvent/unclear`` per second. A child that ends is started again after 0.1 s, the
/// pause doubling up to 5 s while it keeps ending early.
@EventLoop
public final class AddressMonitor {
    private let command: [String]
    private let report: @EventLoop (MonitorEvent) -> Void
    private var reading: MonitorReading
    private var stormEnd: EventSource?
    private var confirmation: Task<Void, Never>?
    private var task: Task<Void, Never>?

    /// - Parameter ipPath: the absolute path of iproute2's `ip`.
    public convenience init(ipPath: String, report: @escaping @EventLoop (MonitorEvent) -> Void) {
        self.init(command: [ipPath], linesPerSecond: 200, report: report)
    }

    init(command: [String], linesPerSecond: Int, report: @escaping @EventLoop (MonitorEvent) -> Void) {
        self.command = command
        self.reading = MonitorReading(linesPerSecond: linesPerSecond)
        self.report = report
    }

    /// Starts watching; the monitor then lives until ``stop()``.
    public func start() {
        guard self.task == nil else { return }
        self.task = EventLoop.spawn { await self.run() }
    }

    /// Ends the child and comes back when it has ended; nothing is reported from then on.
    public func stop() async {
        self.task?.cancel()
        await self.task?.value
        self.task = nil
    }

    private func run() async {
        var pause = Duration.milliseconds(100)
        while !Task.isCancelled {
            let begin = BootClock.microseconds
            let reason = await self.watch()
            guard !Task.isCancelled else { return }
            self.report(.interrupted(reason: reason))
            if BootClock.microseconds - begin > 10_000_000 { pause = .milliseconds(100) }
            do throws(WaitError) { try await EventLoop.sleep(for: pause) } catch { return }
            pause = min(pause * 2, .seconds(5))
        }
    }

    /// Runs one child to its end; answers why it ended.
    private func watch() async -> String {
        let command = self.command + ["-o", "monitor", "address", "link"]
        self.reading = MonitorReading(linesPerSecond: self.reading.linesPerSecond)
        defer {
            self.confirmation?.cancel()
            self.confirmation = nil
            self.stormEnd = nil
        }
        do throws(ChildProcessError) {
            let code = try await ChildProcess(command, kind: .address, outputLimit: 1 << 16).lines(
                started: self.confirm, self.take)
            return code.map { "\(command.joined(separator: " ")): exit code \($0)" } ?? "killed by a signal"
        } catch {
            return error.description
        }
    }

    private func take(_ line: String) {
        guard !Task.isCancelled else { return }
        switch self.reading.take(line, at: BootClock.microseconds) {
        case .nothing, .skip(isFirst: false): break
        case .report(let event): self.report(event)
        case .skip(isFirst: true):
            self.stormEnd = .timer(after: .seconds(1)) { [weak self] in
                guard let self else { return }
                self.stormEnd = nil
                self.report(self.reading.secondEnded())
            }
        }
    }

    /// Reports `.restarted` once the child listens, so that nothing falls between the caller's listing and the monitor.
    private func confirm(_ process: Int32) {
        self.confirmation = EventLoop.spawn {
            // A child that listens but cannot be seen to is believed after 2 s.
            let deadline = BootClock.microseconds + 2_000_000
            while !Task.isCancelled, !NetlinkSockets.isListening(process), BootClock.microseconds < deadline {
                do throws(WaitError) { try await EventLoop.sleep(for: .milliseconds(5)) } catch { return }
            }
            if !Task.isCancelled { self.report(.restarted) }
        }
    }
}

/// The kernel's table of netlink sockets.
enum NetlinkSockets {
    /// Whether the process listens to the changes of interfaces and of IPv4 and IPv6 addresses.
    static func isListening(_ process: Int32) -> Bool {
        let file = open("/proc/\(process)/net/netlink", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        var table: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while table.count < 1 << 20 {
            let count = read(file, &chunk, chunk.count)
            guard count > 0 else { break }
            table += chunk[..<count]
        }
        return Self.isListening(process, table: String(decoding: table, as: UTF8.self))
    }

    /// Columns: socket, protocol (0 is routing), port (the process id by default), groups in hexadecimal, …
    static func isListening(_ process: Int32, table: String) -> Bool {
        // RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR.
        let wanted: UInt32 = 0x1 | 0x10 | 0x100
        return table.split(separator: "\n").contains { line in
            let columns = line.split(separator: " ")
            guard columns.count >= 4, columns[1] == "0", columns[2] == "\(process)" else { return false }
            return UInt32(columns[3], radix: 16).map { $0 & wanted == wanted } ?? false
        }
    }
}
