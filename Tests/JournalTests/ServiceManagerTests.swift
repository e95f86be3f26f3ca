// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import TestSupport
import Testing

@testable import Journal

/// What systemd is told, over real datagram sockets.
@Suite(.serialized)
struct ServiceManagerTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test(arguments: [nil, "@pharos-service-manager-test-\(getpid())"]) @EventLoop
    func `systemd hears how the service is doing`(abstract: String?) throws {
        let systemd = try Receiver(abstract: abstract)
        let manager = ServiceManager(socketName: systemd.path)
        manager.ready(status: "holds 10.0.0.1")
        #expect(systemd.receive() == "READY=1\nSTATUS=holds 10.0.0.1")
        manager.status("evil\nREADY=0\u{7}")
        #expect(systemd.receive() == "STATUS=evil READY=0 ")
        manager.ping()
        #expect(systemd.receive() == "WATCHDOG=1")
        manager.stopping(status: "bye")
        #expect(systemd.receive() == "STOPPING=1\nSTATUS=bye")
        manager.reloading()
        let lines = try #require(systemd.receive()).split(separator: "\n")
        #expect(lines.count == 2 && lines[0] == "RELOADING=1" && lines[1].hasPrefix("MONOTONIC_USEC="))
        #expect(Int(lines[1].dropFirst("MONOTONIC_USEC=".count)) ?? 0 > 0)
        manager.status(String(repeating: "ä", count: 5000))
        #expect(try #require(systemd.receive()).utf8.count <= ServiceNotices.statusLimit + 4)
        #expect(systemd.receive() == nil && !manager.isOwing)
    }

    @Test(arguments: [nil, "", String(repeating: "x", count: 300)]) @EventLoop
    func `without systemd nothing is owed`(name: String?) {
        let manager = ServiceManager(socketName: name)
        manager.ready(status: "x")
        #expect(!manager.isOwing)
    }

    /// What this service has said, once systemd reads again, in order.
    @EventLoop
    private func heard(_ systemd: Receiver, until manager: ServiceManager) async throws -> [String] {
        var heard: [String] = []
        _ = try await eventually(within: .seconds(20)) {
            while let text = systemd.receive() { if text != "X_OTHER=1" { heard.append(text) } }
            return !manager.isOwing
        }
        while let text = systemd.receive() { if text != "X_OTHER=1" { heard.append(text) } }
        return heard
    }

    @Test @EventLoop func `a READY=1 that meets a full queue comes as soon as there is room, with the newest status`()
        async throws
    {
        let systemd = try Receiver()
        let manager = ServiceManager(socketName: systemd.path)
        let others = try systemd.fill("X_OTHER=1")
        manager.ready(status: "waits")
        manager.status("leader")
        #expect(manager.isOwing)
        #expect(try await self.heard(systemd, until: manager) == ["READY=1\nSTATUS=leader"])
        #expect(others > 0 && !manager.isOwing)
    }

    @Test @EventLoop func `so does a ping, and a STOPPING=1 takes the place of what was not heard before it`()
        async throws
    {
        let systemd = try Receiver()
        let manager = ServiceManager(socketName: systemd.path)
        _ = try systemd.fill("X_OTHER=1")
        manager.ping()
        #expect(manager.isOwing)
        #expect(try await self.heard(systemd, until: manager) == ["WATCHDOG=1"])
        _ = try systemd.fill("X_OTHER=1")
        manager.ready(status: "leader")
        manager.ping()
        manager.stopping(status: "releasing the addresses")
        #expect(
            try await self.heard(systemd, until: manager) == ["STOPPING=1\nSTATUS=releasing the addresses\nWATCHDOG=1"])
    }

    @Test @EventLoop func `a systemd whose socket is away for a moment hears all when it is back`() async throws {
        let name = "@pharos-service-manager-away-\(getpid())"
        let manager = ServiceManager(socketName: name)
        manager.ready(status: "leader")
        #expect(manager.isOwing)
        let systemd = try Receiver(abstract: name)
        #expect(try await self.heard(systemd, until: manager) == ["READY=1\nSTATUS=leader"])
    }

    /// These two variables nothing else in the tests reads; the suite is serialized.
    @Test(
        arguments: [
            ("2000000", nil, Duration.seconds(2)), ("1500000", "own", .milliseconds(1500)), ("2000000", "1", nil),
            (nil, "own", nil), ("0", nil, nil), ("2s", nil, nil), ("18446744073709551615", nil, nil),
        ] as [(String?, String?, Duration?)]
    ) @EventLoop
    func `the watchdog's interval is what systemd gave to this process`(
        microseconds: String?, process: String?, interval: Duration?
    ) {
        defer { for name in ["WATCHDOG_USEC", "WATCHDOG_PID"] { unsetenv(name) } }
        if let microseconds { setenv("WATCHDOG_USEC", microseconds, 1) }
        if let process { setenv("WATCHDOG_PID", process == "own" ? "\(getpid())" : process, 1) }
        #expect(ServiceManager.watchdogInterval == interval)
    }
}
