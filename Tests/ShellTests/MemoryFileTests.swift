// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Glibc
import TestSupport
import Testing

@testable import Shell

/// What a node remembers of etcd, on a real disk.
@Suite(.serialized)
struct MemoryFileTests {
    private static let owner = MemoryFile.Owner(
        root: "/pharos/", namespace: "/service/", scope: "demo", group: nil, member: "n1")

    private static let memory = Memory(
        trails: [
            Addressed(
                "10.0.0.3",
                Trail([.init(lease: 7, ttl: .seconds(30)), .init(lease: 5, ttl: .seconds(60), isQuarantine: true)])),
            Addressed("fd00::3", Trail([.init(lease: -9, ttl: .seconds(30))])),
            // Known to have never been acquired.
            Addressed("fd00::4", Trail()),
        ], isPartial: true, places: Self.places)
    private static let places: KnownPlaces = {
        var places = KnownPlaces()
        for host in ["10.0.0.1", "fd00::7", "DB01.example.com"] { places.learn(NodeEndpoint(host, 5432), of: 0) }
        places.learn(NodeEndpoint("w1", 6432), of: 3)
        return places
    }()

    init() { EventLoop.shared.executor.startThread() }

    /// Writes, and waits for what comes of it: nil: it was written.
    @EventLoop
    private func write(_ memory: Memory, _ file: MemoryFile, _ owner: MemoryFile.Owner = Self.owner) async throws
        -> String?
    {
        var outcome: String??
        file.report(failed: { outcome = .some($0) }, succeeded: { outcome = .some(nil) })
        file.write(memory, owner)
        for _ in 0..<400 where outcome == nil { try await EventLoop.sleep(for: .milliseconds(25)) }
        return try #require(outcome)
    }

    /// As where somebody gives a member another address again and again.
    @Test @EventLoop func `places alone are written now and then, and a trail at once`() async throws {
        let folder = try TemporaryDirectory("memory")
        let file = MemoryFile(folder: folder.path, followsForgetful: false, placesPause: .seconds(3600))
        _ = file.load(Self.owner)
        @EventLoop func text() -> String { String(decoding: folder.read("memory.json"), as: UTF8.self) }
        var memory = Self.memory
        file.write(memory, Self.owner)
        try await waitUntil { text().contains("w1:6432") && !file.isBusy }
        memory.places.learn(NodeEndpoint("x1", 5432), of: 0)
        file.write(memory, Self.owner)
        try await waitUntil { text().contains("x1:5432") && !file.isBusy }
        for number in 2...9 {
            memory.places.learn(NodeEndpoint("x\(number)", 5432), of: 0)
            file.write(memory, Self.owner)
            try await EventLoop.sleep(for: .milliseconds(200))
        }
        #expect(!text().contains("x2:5432"))
        // With it comes what waits.
        memory.trails.append(Addressed("10.0.0.9", Trail([.init(lease: 3, ttl: .seconds(30))])))
        file.write(memory, Self.owner)
        try await waitUntil { text().contains("10.0.0.9") }
        #expect(text().contains("x9:5432"))
        // And at the end all is written.
        memory.places.learn(NodeEndpoint("last", 5432), of: 0)
        file.write(memory, Self.owner)
        await file.finish()
        #expect(text().contains("last:5432"))
    }

    @Test @EventLoop func `what was written is remembered by the next process, and by nobody else`() async throws {
        let folder = try TemporaryDirectory("memory")
        #expect(try await self.write(Self.memory, MemoryFile(folder: folder.path, followsForgetful: false)) == nil)
        let next = MemoryFile(folder: folder.path, followsForgetful: true)
        let finding = next.load(Self.owner)
        #expect(finding.memory == Self.memory && finding.problem == nil)
        let others = [
            MemoryFile.Owner(root: "/x/", namespace: "/service/", scope: "demo", group: nil, member: "n1"),
            MemoryFile.Owner(root: "/pharos/", namespace: "/db/", scope: "demo", group: nil, member: "n1"),
            MemoryFile.Owner(root: "/pharos/", namespace: "/service/", scope: "other", group: nil, member: "n1"),
            MemoryFile.Owner(root: "/pharos/", namespace: "/service/", scope: "demo", group: 0, member: "n1"),
            MemoryFile.Owner(root: "/pharos/", namespace: "/service/", scope: "demo", group: nil, member: "n2"),
        ]
        for owner in others {
            let found = next.load(owner)
            #expect(found.memory.trails.isEmpty && found.problem != nil, "\(owner)")
        }
    }

    @Test @EventLoop func `etcd's endpoints are remembered beside the trails, whichever is written first`() async throws
    {
        let folder = try TemporaryDirectory("memory")
        let etcd = EtcdMemory(configured: ["http://a:1"], learned: ["http://b:1", "http://c:1"])
        let first = MemoryFile(folder: folder.path, followsForgetful: false)
        #expect(first.load(Self.owner).etcd == nil)
        first.write(etcd)
        await first.finish()
        let second = MemoryFile(folder: folder.path, followsForgetful: false)
        let found = second.load(Self.owner)
        #expect(found.etcd == etcd && found.memory.trails.isEmpty && found.problem == nil)
        second.write(Self.memory, Self.owner)
        await second.finish()
        let third = MemoryFile(folder: folder.path, followsForgetful: false).load(Self.owner)
        #expect(third.etcd == etcd && third.memory == Self.memory)
    }

    @Test(arguments: ["7", "{}", #"{"configured":["a"]}"#, #"{"configured":{},"learned":[]}"#])
    @EventLoop func `what is no list of endpoints is left out, and the trails stay`(etcd: String) throws {
        let folder = try TemporaryDirectory("memory")
        let good = String(decoding: MemoryFile.text(Self.memory, Self.owner), as: UTF8.self)
        try folder.write("memory.json", good.replacing(#""trails":"#, with: #""etcd":\#(etcd),"trails":"#))
        let found = MemoryFile(folder: folder.path, followsForgetful: false).load(Self.owner)
        #expect(found.etcd == nil && found.memory == Self.memory)
    }

    @Test @EventLoop func `what changes while a write is under way is written before the process ends`() async throws {
        let folder = try TemporaryDirectory("memory")
        let file = MemoryFile(folder: folder.path, followsForgetful: false)
        file.write(Memory(trails: [Addressed("10.0.0.3", Trail())], isPartial: true), Self.owner)
        try await waitUntil { file.isBusy || access(folder.path + "/memory.json", F_OK) == 0 }
        file.write(Self.memory, Self.owner)
        await file.finish()
        #expect(MemoryFile(folder: folder.path, followsForgetful: false).load(Self.owner).memory == Self.memory)
    }

    @Test @EventLoop func `the first start remembers nothing, and that is no problem`() throws {
        let folder = try TemporaryDirectory("memory")
        for forgetful in [false, true] {
            let finding = MemoryFile(folder: folder.path, followsForgetful: forgetful).load(Self.owner)
            #expect(finding.memory == Memory(followsForgetful: forgetful, isPartial: true) && finding.problem == nil)
        }
    }

    @Test @EventLoop func `a file that cannot be understood is nothing remembered, and said`() throws {
        let folder = try TemporaryDirectory("memory")
        let good = String(decoding: MemoryFile.text(Self.memory, Self.owner), as: UTF8.self)
        for text in [
            "", "garbage", "{}", String(good.dropLast(20)), good.replacing("7:30", with: "7:x"),
            good.replacing("\"trails\"", with: "\"x\""), good.replacing("\"n1\"", with: "1"),
        ] {
            try folder.write("memory.json", text)
            let finding = MemoryFile(folder: folder.path, followsForgetful: false).load(Self.owner)
            #expect(finding.memory.trails.isEmpty && finding.problem != nil, "\(text)")
        }
    }

    @Test @EventLoop func `where the folder is missing nothing is remembered, and writing fails without harm`()
        async throws
    {
        let folder = try TemporaryDirectory("memory")
        let file = MemoryFile(folder: folder.file("missing"), followsForgetful: false)
        #expect(file.load(Self.owner).problem != nil)
        let problem = try await self.write(Self.memory, file)
        #expect(problem?.contains("missing") == true)
    }

    @Test @EventLoop func `an old memory that cannot be replaced is removed`() async throws {
        let folder = try TemporaryDirectory("memory")
        #expect(try await self.write(Self.memory, MemoryFile(folder: folder.path, followsForgetful: false)) == nil)
        // What is to be written first cannot be: its name is taken by a folder.
        #expect(mkdir(folder.file("memory.json.new"), 0o700) == 0)
        let problem = try await self.write(Memory(), MemoryFile(folder: folder.path, followsForgetful: false))
        #expect(problem != nil)
        #expect(folder.read("memory.json").isEmpty)
    }

    @Test @EventLoop func `what still waits when the daemon ends is written`() async throws {
        let folder = try TemporaryDirectory("memory")
        let file = MemoryFile(folder: folder.path, followsForgetful: false)
        file.write(Self.memory, Self.owner)
        await file.finish()
        #expect(MemoryFile(folder: folder.path, followsForgetful: false).load(Self.owner).memory == Self.memory)
    }

    @Test @EventLoop func `64 addresses that come at once are one write`() async throws {
        let folder = try TemporaryDirectory("memory")
        let file = MemoryFile(folder: folder.path, followsForgetful: false)
        var writes = 0
        file.report(failed: { _ in }, succeeded: { writes += 1 })
        for _ in 0..<63 { file.write(Memory(), Self.owner) }
        file.write(Self.memory, Self.owner)
        for _ in 0..<400 where writes == 0 { try await EventLoop.sleep(for: .milliseconds(25)) }
        try await EventLoop.sleep(for: .seconds(1))
        #expect(writes == 1)
        #expect(MemoryFile(folder: folder.path, followsForgetful: false).load(Self.owner).memory == Self.memory)
    }
}
