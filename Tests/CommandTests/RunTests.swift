// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import TestSupport
import Testing

@testable import pharos

/// `pharos run`: what units of earlier versions start, and people type.
@Suite(.serialized)
struct RunTests {
    init() { EventLoop.shared.executor.startThread() }

    /// systemd hears, and watches, the process that it has started: with any other's id there would be no ping.
    @Test @EventLoop func `the process that was started becomes the daemon, and pings as such`() async throws {
        let (folder, systemd) = (try TemporaryDirectory("run"), try Receiver())
        let variables = "WATCHDOG_PID=$$ WATCHDOG_USEC=300000 NOTIFY_SOCKET=\(systemd.path)"
        let daemon = try TestProcess(
            [
                "/bin/sh", "-c",
                "cd \(folder.path) && \(variables) RUNTIME_DIRECTORY=\(folder.path) exec \(try TestProcess.built("pharos")) run -c x.yml",
            ], log: folder.file("log"), stopSignal: SIGTERM)
        var heard: [String] = []
        let isWatched = try await eventually(within: .seconds(30)) {
            while let text = systemd.receive() { heard.append(text) }
            return heard.contains { $0.hasSuffix("WATCHDOG=1") }
        }
        #expect(isWatched, "\(heard) \(String(decoding: folder.read("log"), as: UTF8.self))")
        #expect(heard.contains { $0.hasPrefix("STATUS=waiting for a valid x.yml") }, "\(heard)")
        #expect(Self.read("/proc/\(daemon.id)/comm") == "pharosd\n")
        daemon.kill()
    }

    @Test @EventLoop func `installed, it is the daemon in sbin; without one it says where it has looked`() async throws
    {
        let folder = try TemporaryDirectory("run")
        for name in ["bin", "sbin"] { #expect(mkdir(folder.file(name), 0o755) == 0) }
        let own = folder.file("bin/pharos")
        let copied = try await ChildProcess(["/bin/cp", try TestProcess.built("pharos"), own], timeout: .seconds(60))
            .run()
        #expect(copied.exitCode == 0, "\(copied.text)")
        let command = ["/bin/sh", "-c", "exec \(own) run --config 'a b.yml' 2>&1"]
        let without = try await ChildProcess(command, timeout: .seconds(60)).run()
        #expect(without.exitCode == 69, "\(without.text)")
        for place in ["bin/pharosd", "sbin/pharosd"] {
            #expect(without.text.contains(folder.file(place)), "\(without.text)")
        }
        try folder.write("sbin/pharosd", "#!/bin/sh\nfor argument; do echo \"<$argument>\"; done\n")
        #expect(chmod(folder.file("sbin/pharosd"), 0o755) == 0)
        let with = try await ChildProcess(command, timeout: .seconds(60)).run()
        #expect(with.exitCode == 0 && with.text == "<--config>\n<a b.yml>\n", "\(with.text)")
    }

    @Test func `it is the same daemon that the unit starts and make installs`() throws {
        let unit = try Self.lines("systemd/pharos.service")
        let started = try #require(unit.first { $0.hasPrefix("ExecStart=") }?.dropFirst("ExecStart=".count))
        #expect(Run.places(besides: "/usr/bin/pharos").contains(String(started)))
        let makefile = try Self.lines("Makefile")
        #expect(started.hasPrefix("/usr/"))
        #expect(makefile.contains { $0.hasSuffix("$(DESTDIR)$(PREFIX)\(started.dropFirst("/usr".count))") })
    }

    private static func lines(_ path: String) throws -> [Substring] {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        return try #require(self.read("\(root)/\(path)")).split(separator: "\n")
    }

    private static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        return String(decoding: buffer[..<fread(&buffer, 1, buffer.count, file)], as: UTF8.self)
    }
}
