// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Journal
import Settings
import TestSupport
import Testing

@testable import pharosd

/// Two services of one host that look after the same member.
@Suite(.serialized)
struct HostLockTests {
    init() { EventLoop.shared.executor.startThread() }

    private static let text = """
        scope: demo
        member: n1
        etcd: { endpoints: ["http://127.0.0.1:2379"] }
        addresses: [{ address: 10.10.10.3/24, interface: eth1 }]

        """

    /// Of this test alone, whatever else runs on the host.
    private static func ownName() -> String { "pharos/test/\(getpid())/\(UInt32.random(in: 0...UInt32.max))" }

    private static func settings(_ text: String, _ path: String) throws -> Settings {
        let folder = try TemporaryDirectory("host-lock")
        try folder.write("x.yml", text)
        var settings = try Settings.read(folder.file("x.yml")).get()
        settings.instance = DaemonInstance(configuration: path)
        return settings
    }

    @Test func `the name is a member's, whatever the file is called; other files than services' have none`() throws {
        func name(_ path: String, _ text: String = Self.text) throws -> String? {
            HostLock.name(try Self.settings(text, path), path: path)
        }
        let plain = try #require(try name("/etc/pharos/pharos.yml"))
        #expect(try name("/etc/pharos/15-main.yml") == plain)
        #expect(try name("/root/pharos.yml") == nil)
        for (old, new) in [
            ("member: n1", "member: n2"), ("scope: demo", "scope: other"), ("scope: demo", "scope: demo\ngroup: 1"),
            ("scope: demo", "scope: demo\npatroni: { url: \"http://127.0.0.1:8009\" }"),
            ("scope: demo", "scope: demo\nlease: { root: /two/ }"),
        ] {
            #expect(try name("/etc/pharos/pharos.yml", Self.text.replacing(old, with: new)) != plain, "\(new)")
        }
    }

    @EventLoop
    private final class Told {
        var records: [LogRecord] = []
    }

    @EventLoop
    private final class Service {
        private let heard = Told()
        var told: [LogRecord] { self.heard.records }
        let preparation: Preparation

        init(_ folder: TemporaryDirectory, _ runtime: String, name: String) {
            let heard = self.heard
            self.preparation = Preparation(
                path: folder.file("pharos.yml"), folder: folder.file(runtime), findIP: { "/usr/sbin/ip" },
                hostLockName: { _, _ in name }, tell: { record, _ in heard.records.append(record) })
        }

        func start() -> Task<Preparation.Prepared?, Never> { EventLoop.task { await self.preparation.run() } }

        func look(until condition: @EventLoop () -> Bool) async throws -> Bool {
            try await eventually(within: .seconds(30)) {
                self.preparation.lookAgain()
                return condition()
            }
        }
    }

    @Test @EventLoop
    func `the second waits for the first, in folders of its own, however long, and is told whom it waits for`()
        async throws
    {
        let folder = try TemporaryDirectory("host-lock")
        try folder.write("pharos.yml", Self.text)
        let name = Self.ownName()
        let (first, second) = (Service(folder, "one", name: name), Service(folder, "two", name: name))
        var held = await first.start().value
        #expect(held?.hostLock != nil)
        let task = second.start()
        #expect(try await second.look { !second.told.isEmpty })
        // Many more looks than connections would fit into the first one's queue.
        for _ in 0..<200 {
            second.preparation.lookAgain()
            try await EventLoop.sleep(for: .milliseconds(1))
        }
        #expect(second.told.count == 1 && second.told[0].kind == .startWaits)
        #expect(second.told[0].message.contains("member n1 of demo already"))
        #expect(second.told[0].priority == .error)
        held = nil
        second.preparation.lookAgain()
        #expect(await task.value?.hostLock != nil)
    }

    /// A process that holds the name, and says so.
    @EventLoop private func holder(_ name: String, as command: [String], listens: Bool, _ folder: TemporaryDirectory)
        throws
        -> TestProcess
    {
        let program =
            "import socket,sys,time; s=socket.socket(socket.AF_UNIX); s.bind('\\0\(name)'); \(listens ? "s.listen(8); " : "")print('held', flush=True); time.sleep(300)"
        return try TestProcess(command + ["/usr/bin/python3", "-c", program], log: folder.file("log"))
    }

    @Test(arguments: [true, false])
    @EventLoop func `who is no daemon keeps none from its work, and is told`(listens: Bool) async throws {
        let folder = try TemporaryDirectory("host-lock")
        try folder.write("pharos.yml", Self.text)
        let name = Self.ownName()
        // Another user's, or one that does not let the kernel say whose it is.
        let command = listens ? ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups"] : []
        let holder = try self.holder(name, as: command, listens: listens, folder)
        #expect(try await eventually(within: .seconds(30)) { folder.read("log").starts(with: "held".utf8) })
        let service = Service(folder, "run", name: name)
        let task = service.start()
        #expect(try await service.look { service.told.contains { $0.priority == .warning } })
        let prepared = try #require(await task.value)
        #expect(prepared.hostLock == nil)
        #expect(service.told.last?.message.contains("is no daemon") == true)
        #expect(service.told.count == (listens ? 1 : 2))
        holder.kill()
    }
}
