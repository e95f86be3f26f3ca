// SPDX-License-Identifier: Apache-2.0
import CCurl
import EventLoop
import Glibc
import HTTPClient
import TestSupport
import Testing

/// The daemon as a process of its own, as systemd starts it.
@Suite(.serialized)
struct DaemonProcessTests {
    init() { EventLoop.shared.executor.startThread() }

    /// With `systemd` as its service manager, which gives it 3 s from ping to ping, and 1024 open files.
    @EventLoop
    private func start(
        _ folder: TemporaryDirectory, _ systemd: Receiver, environment: [String] = []
    ) throws -> TestProcess {
        let variables = [
            "NOTIFY_SOCKET=\(systemd.path)", "WATCHDOG_USEC=3000000", "RUNTIME_DIRECTORY=\(folder.file("run"))",
            "STATE_DIRECTORY=\(folder.path)",
        ]
        return try TestProcess(
            ["/usr/bin/prlimit", "--nofile=1024:1024", "/usr/bin/env"] + variables + environment + [
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
                return pings.count >= 5
            })
        #expect(heard.first?.hasPrefix("STATUS=waiting for a valid \(folder.file("pharos.yml"))") == true, "\(heard)")
        #expect(heard.count { $0.hasPrefix("STATUS=") } == 1 && !heard.contains { $0.contains("READY=1") })
        // No more often than a third of the interval, less what the timer may be early; how much later they come, and are read, on a
        // loaded machine, nobody promises here.
        let duration = (try #require(pings.last)) - begun
        #expect(duration >= .milliseconds(5 * 750), "\(duration)")
        daemon.kill()
    }

    /// It is 1 MiB for a TLS that nothing here speaks; with this variable it tells what it does.
    @Test @EventLoop func `GnuTLS stays as it was loaded, while the status is served`() async throws {
        let (folder, systemd) = (try TemporaryDirectory("daemon"), try Receiver())
        try #require(mkdir(folder.file("run"), 0o700) == 0)
        let port = try #require(try freePorts(1).first)
        try folder.write(
            "pharos.yml",
            """
            scope: demo
            member: n1
            etcd: { endpoints: ["http://127.0.0.1:\(port)"] }
            addresses: [{ address: 192.0.2.3/32, interface: nowhere0 }]
            status: { socket: \(folder.file("run/status.sock")) }

            """)
        let daemon = try self.start(folder, systemd, environment: ["GNUTLS_DEBUG_LEVEL=2"])
        var request = HTTPRequest(.get, "http://localhost/status")
        request.unixSocket = folder.file("run/status.sock")
        let http = HTTPClient()
        defer { http.close() }
        var text = ""
        #expect(
            try await eventually(within: .seconds(30)) {
                do throws(HTTPError) {
                    text = String(decoding: try await http.send(request).body, as: UTF8.self)
                } catch { return false }
                return true
            }, "\(String(decoding: folder.read("log"), as: UTF8.self))")
        #expect(text.contains("\"n1\""), "\(text)")
        let log = String(decoding: folder.read("log"), as: UTF8.self)
        #expect(!log.isEmpty && !log.contains("gnutls["), "\(log)")
        daemon.kill()
    }

    /// Else the daemon, which leaves GnuTLS alone, could not speak TLS to etcd.
    @Test func `libcurl's TLS is OpenSSL's`() {
        let versions = String(cString: curl_version())
        #expect(versions.contains("OpenSSL/"), "\(versions)")
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
