// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Journal
import Settings
import Shell
import TestSupport
import Testing

@testable import pharosd

/// What the daemon waits for before it begins.
@Suite(.serialized)
struct PreparationTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop
    private final class Scene {
        let folder: TemporaryDirectory
        var told: [(record: LogRecord, status: String)] = []
        var ip: String? = "/usr/sbin/ip"

        init() throws { self.folder = try TemporaryDirectory("preparation") }

        /// A valid file for this member, with its status at `socket`.
        func configure(_ member: String, socket: String = "/nonexistent/pharos.sock", to name: String = "pharos.yml")
            throws
        {
            try self.folder.write(
                name,
                """
                scope: demo
                member: \(member)
                etcd: { endpoints: ["http://127.0.0.1:2379"] }
                addresses: [{ address: 10.10.10.3/24, interface: eth1 }]
                status: { socket: \(socket) }

                """)
        }

        func preparation(_ name: String = "pharos.yml") -> Preparation {
            Preparation(
                path: self.folder.file(name), folder: self.folder.file("run"), findIP: { self.ip },
                tell: { self.told.append(($0, $1)) })
        }
    }

    @EventLoop
    private func start(_ preparation: Preparation) -> Task<Preparation.Prepared?, Never> {
        EventLoop.task { await preparation.run() }
    }

    /// Lets it look often, as somebody who sends SIGHUP again and again would, until `condition` holds.
    @EventLoop
    private func looking(_ preparation: Preparation, until condition: @EventLoop () -> Bool) async throws -> Bool {
        try await eventually(within: .seconds(30)) {
            preparation.lookAgain()
            return condition()
        }
    }

    @Test @EventLoop func `with all there it begins at once, and holds the lock`() async throws {
        let scene = try Scene()
        try scene.configure("n1")
        let prepared = try #require(await scene.preparation().run())
        #expect(prepared.settings.member == "n1" && prepared.ip == "/usr/sbin/ip" && !prepared.followsForgetful)
        #expect(scene.told.isEmpty)
        guard case .failure = InstanceLock.take(scene.folder.file("run/pharos.lock")) else {
            Issue.record("the lock is free")
            return
        }
    }

    @Test @EventLoop func `each thing that is missing is told once, waited for, and needs no restart`() async throws {
        let scene = try Scene()
        scene.ip = nil
        let preparation = scene.preparation()
        let task = self.start(preparation)
        #expect(try await self.looking(preparation) { scene.told.count == 1 })
        try scene.configure("n1")
        #expect(try await self.looking(preparation) { scene.told.count == 2 })
        // It looks on and on, and says nothing more.
        for _ in 0..<20 {
            preparation.lookAgain()
            try await EventLoop.sleep(for: .milliseconds(20))
        }
        #expect(scene.told.map(\.record.kind) == [.configurationRefused, .startWaits])
        #expect(scene.told[0].status == "waiting for a valid \(scene.folder.file("pharos.yml"))")
        #expect(scene.told[1].status.contains("program ip"))
        scene.ip = "/bin/ip"
        preparation.lookAgain()
        let prepared = try #require(await task.value)
        #expect(prepared.ip == "/bin/ip" && scene.told.count == 2)
    }

    @Test @EventLoop func `a second daemon waits, whatever its socket is, and then uses the file as it is by then`()
        async throws
    {
        let scene = try Scene()
        try scene.configure("n1", socket: "/run/one/pharos.sock")
        try scene.configure("n2", socket: "/run/two/pharos.sock", to: "second.yml")
        var first = await scene.preparation().run()
        let second = scene.preparation("second.yml")
        let task = self.start(second)
        #expect(try await self.looking(second) { scene.told.count == 1 })
        #expect(scene.told[0].record.kind == .startWaits && scene.told[0].record.message.contains("another pharos"))
        #expect(scene.told[0].status.contains("pharos.lock"))
        // SIGHUP while the lock is waited for.
        try scene.configure("n3", socket: "/run/two/pharos.sock", to: "second.yml")
        second.lookAgain()
        #expect(first != nil)
        first = nil
        second.lookAgain()
        let prepared = try #require(await task.value)
        #expect(prepared.settings.member == "n3")
        #expect(!prepared.followsForgetful, "the first has left its trace")
        #expect(scene.told.count == 1)
    }

    @Test @EventLoop func `a folder that cannot be made is waited for`() async throws {
        let scene = try Scene()
        try scene.configure("n1")
        // In its place is a file.
        try scene.folder.write("run", "")
        let preparation = scene.preparation()
        let task = self.start(preparation)
        #expect(try await self.looking(preparation) { !scene.told.isEmpty })
        unlink(scene.folder.file("run"))
        preparation.lookAgain()
        #expect(await task.value != nil)
        #expect(scene.told.map(\.record.kind) == [.startWaits])
    }

    @Test @EventLoop func `a stop ends the wait`() async throws {
        let scene = try Scene()
        let preparation = scene.preparation()
        let task = self.start(preparation)
        #expect(try await eventually(within: .seconds(20)) { scene.told.count == 1 })
        preparation.stop()
        #expect(await task.value == nil)
    }

    // MARK: - Half-written files

    /// What each read finds, in turn; the last one for ever.
    @EventLoop
    private func settled(_ reads: [Result<Settings, SettingsError>]) async -> (Result<Settings, SettingsError>, Int) {
        var count = 0
        let result = await Settings.settled("pharos.yml") {
            count += 1
            return reads[min(count, reads.count) - 1]
        }
        return (result, count)
    }

    @Test @EventLoop func `half a file that happens to be valid is not taken`() async throws {
        let scene = try Scene()
        var files: [Result<Settings, SettingsError>] = []
        for member in ["n1", "n12", "n123"] {
            try scene.configure(member)
            files.append(Settings.read(scene.folder.file("pharos.yml")))
        }
        let broken: Result<Settings, SettingsError> = .failure(SettingsError(diagnostics: []))
        let (half, quarter, whole) = (files[1], files[0], files[2])
        try #require(whole != half && half != quarter)
        #expect(await self.settled([whole]) == (whole, 2))
        #expect(await self.settled([half, whole]) == (whole, 3))
        #expect(await self.settled([quarter, half, broken, whole]) == (whole, 5))
        #expect(await self.settled([whole, broken]) == (broken, 3))
    }

    @Test @EventLoop func `a file that never stands still is refused`() async throws {
        let scene = try Scene()
        var count = 0
        let result = await Settings.settled("pharos.yml") {
            count += 1
            return .failure(
                SettingsError(diagnostics: [
                    Diagnostic(severity: .error, file: "pharos.yml", line: count, column: 1, message: "x")
                ]))
        }
        guard case .failure(let error) = result else {
            Issue.record("it was taken")
            return
        }
        #expect(error.description.contains("changed at each of \(count) reads"))
        withExtendedLifetime(scene) {}
    }
}
