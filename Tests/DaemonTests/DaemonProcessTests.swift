// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import TestSupport
import Testing

/// The daemon as a process of its own, as systemd starts it.
@Suite(.serialized)
struct DaemonProcessTests {
    init() { EventLoop.shared.executor.startThread() }

    /// With `systemd` as its service manager, which gives it 3 s from ping to ping, and 1024 open files.
    @EventLoop
    private func start(_ folder: TemporaryDirectory, _ systemd: Receiver) throws -> TestProcess {
        let variables = [
            "NOTIFY_SOCKET=\(systemd.path)", "WATCHDOG_USEC=3000000", "RUNTIME_DIRECTORY=\(folder.file("run"))",
            "STATE_DIRECTORY=\(folder.path)",
        ]
        return try TestProcess(
            ["/usr/bin/prlimit", "--nofile=1024:1024", "/usr/bin/env"] + variables + [
                try TestProcess.built("pharosd"), "--config", folder.file("pharos.yml"),
            ], log: folder.file("log"), stopSignal: SIGTERM)
    }

    @Test @EventLoop func `a systemd that was busy hears what the daemon waits for, and three pings in an interval`()
        async throws
    {
        let (folder, systemd) = (try TemporaryDirectory("daemon"), try Receiver())
        _ = try systemd.fill("X_OTHER=1")
        let begun = ContinuousClock.now
        let daemon = try self.start(folder, systemd)
        // By then it has tried to say so.
        #expect(try await eventually(within: .seconds(30)) { !folder.read("log").isEmpty })
        var heard: [String] = []
        var pings: [ContinuousClock.Instant] = []
        #expect(
            try await eventually(within: .seconds(30)) {
                while let text = systemd.receive() {
                    if text != "X_OTHER=1" { heard.append(text) }
                    if text.hasSuffix("WATCHDOG=1") { pings.append(.now) }
                }
                return pings.count == 5
            })
        #expect(heard.first?.hasPrefix("STATUS=waiting for a valid \(folder.file("pharos.yml"))") == true, "\(heard)")
        #expect(heard.count { $0.hasPrefix("STATUS=") } == 1 && !heard.contains { $0.contains("READY=1") })
        // No more often than a third of the interval, less what the timer may be early; how much later they come, and are read, on a
        // loaded machine, nobody promises here.
        let duration = (try #require(pings.last)) - begun
        #expect(duration >= .milliseconds(5 * 750), "\(duration)")
        daemon.kill()
    }

    @Test @EventLoop func `open files are kept for ip`() async throws {
        let (folder, systemd) = (try TemporaryDirectory("daemon"), try Receiver())
        let daemon = try self.start(folder, systemd)
        func limits(_ process: Int32) -> [Substring] {
            let file = fopen("/proc/\(process)/limits", "r")
            defer { if let file { fclose(file) } }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = file.map { fread(&buffer, 1, buffer.count, $0) } ?? 0
            let text = String(decoding: buffer[..<count], as: UTF8.self)
            let line = text.split(separator: "\n").first { $0.hasPrefix("Max open files") } ?? ""
            return Array(line.split(separator: " ").dropFirst(3).prefix(2))
        }
        let kept = ChildBudget.reservedDescriptors
        #expect(try await eventually(within: .seconds(30)) { limits(daemon.id) == ["\(1024 - kept)", "1024"] })
        daemon.kill()
    }
}
