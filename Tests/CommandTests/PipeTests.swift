// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import TestSupport
import Testing

/// Whoever reads the command's output through a pipe sees it as it comes.
@Suite(.serialized)
struct PipeTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `a pipe sees the first line before the end`() async throws {
        // An etcd that takes the connection and says nothing: the command asks it after it has printed the settings.
        let silent = try ScriptedServer { connection in
            _ = try await connection.readRequest()
            try await EventLoop.sleep(for: .seconds(60))
        }
        let folder = try TemporaryDirectory("pipe")
        try folder.write(
            "pharos.yml",
            "scope: demo\nmember: n1\netcd: { endpoints: [\"\(silent.url)\"] }\naddresses: [{ address: 10.99.0.3/24, interface: lo }]\n"
        )
        // For the daemon's eyes.
        #expect(chmod(folder.path, 0o755) == 0)
        let command = [
            "/bin/sh", "-c",
            "'\(try TestProcess.built("pharos"))' check-config -c \(folder.file("pharos.yml")) 2>/dev/null",
        ]
        var first: ContinuousClock.Instant?
        _ = try await ChildProcess(command, timeout: .seconds(60)).lines { _ in first = first ?? .now }
        let lead = ContinuousClock.now - (try #require(first))
        // It has waited for etcd's answer since.
        #expect(lead > .milliseconds(500), "the first line came \(lead) before the end")
        withExtendedLifetime(silent) {}
    }
}
