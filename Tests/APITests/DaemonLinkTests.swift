// SPDX-License-Identifier: Apache-2.0
import EventLoop
import TestSupport
import Testing

@testable import pharos_api

/// How often the daemon is asked, whoever asks the API.
@Suite(.serialized)
struct DaemonLinkTests {
    init() { EventLoop.shared.executor.startThread() }

    /// What the daemon's socket answers next.
    @EventLoop
    private final class Script {
        var answer: [UInt8]
        init(_ answer: [UInt8]) { self.answer = answer }
    }

    /// A daemon that answers when the test says so, and a clock that stands still until it is moved.
    @EventLoop
    private final class Scene {
        var now: Int64 = 1_000_000
        private(set) var asked: [DaemonQuestion] = []
        private(set) var (atOnce, most) = (0, 0)
        var outcome: Result<String, DaemonSilence> = .success("{}")
        var holds = false
        private(set) var told: [DaemonSilence?] = []

        func link() -> DaemonLink {
            let link = DaemonLink(clock: { self.now }) { question throws(DaemonSilence) in
                self.asked.append(question)
                self.atOnce += 1
                self.most = max(self.most, self.atOnce)
                defer { self.atOnce -= 1 }
                do throws(WaitError) {
                    try await EventLoop.sleep(for: .milliseconds(1))
                    for _ in 0..<5000 where self.holds { try await EventLoop.sleep(for: .milliseconds(1)) }
                } catch { throw DaemonSilence(reason: "\(error)") }
                return DaemonAnswer(status: 200, body: Array(try self.outcome.get().utf8))
            }
            link.silenceChanged = { self.told.append($0) }
            return link
        }
    }

    @Test @EventLoop func `a crowd costs one question, and its answer serves for a moment`() async {
        let scene = Scene()
        let link = scene.link()
        let tasks = (0..<50).map { _ in EventLoop.task { await link.answer(to: .status) } }
        var answers: [KeptAnswer] = []
        for task in tasks { answers.append(await task.value) }
        #expect(scene.asked == [.status] && answers.allSatisfy { $0 === answers[0] })
        #expect(answers[0].askedAt == 1_000_000)
        scene.now += DaemonLink.keeping - 1
        #expect(link.fresh(.status) != nil)
        _ = await link.answer(to: .status)
        #expect(scene.asked.count == 1)
        scene.now += 1
        #expect(link.fresh(.status) == nil)
        _ = await link.answer(to: .status)
        #expect(scene.asked.count == 2 && link.count == 2)
    }

    @Test @EventLoop
    func `all questions at once take two connections at most, and the small ones wait for no large one`()
        async throws
    {
        let scene = Scene()
        let link = scene.link()
        scene.holds = true
        let tasks = DaemonQuestion.allCases.map { question in EventLoop.task { await link.answer(to: question) } }
        try await waitUntil { scene.atOnce == DaemonLink.lanes }
        #expect(Set(scene.asked.map(\.lane)) == [0, 1])
        scene.holds = false
        for task in tasks { _ = await task.value }
        #expect(scene.most == DaemonLink.lanes && Set(scene.asked) == Set(DaemonQuestion.allCases))
        #expect(scene.asked.count == DaemonQuestion.allCases.count)
    }

    @Test @EventLoop
    func `where one question was in vain the next in its lane fails with it, and a moment later is asked`() async {
        let scene = Scene()
        let link = scene.link()
        scene.outcome = .failure(DaemonSilence(reason: "no answer"))
        for question in [DaemonQuestion.status, .cluster, .events] {
            let kept = await link.answer(to: question)
            #expect(kept.outcome == .failure(DaemonSilence(reason: "no answer")))
            scene.now += 50_000
        }
        #expect(scene.asked == [.status] && scene.told == [DaemonSilence(reason: "no answer")])
        // The failure of the first is no younger for having been handed on.
        scene.now += 100_001
        scene.outcome = .success("{}")
        #expect(await link.answer(to: .cluster).answer != nil)
        #expect(scene.asked == [.status, .cluster])
        #expect(scene.told == [DaemonSilence(reason: "no answer"), nil], "each change is told once")
    }

    @Test @EventLoop func `the daemon's socket is asked, and what it does not do is told`() async throws {
        let folder = try TemporaryDirectory("api")
        func silence(_ path: String) async -> String {
            do throws(DaemonSilence) {
                return "\(try await DaemonSocket(path: path).ask(.health))"
            } catch { return error.reason }
        }
        let absent = folder.file("absent")
        #expect(await silence(absent) == "\(absent): connect: No such file or directory")
        let path = folder.file("socket")
        let script = Script(httpAnswer(200, "ok\n"))
        let server = try ScriptedServer(path: path) { connection in
            _ = try await connection.readRequest()
            try await connection.write(script.answer)
        }
        #expect(try await DaemonSocket(path: path).ask(.health) == DaemonAnswer(status: 200, body: Array("ok\n".utf8)))
        #expect(server.requests == ["GET /health HTTP/1.0"])
        script.answer = Array("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut".utf8)
        #expect(await silence(path).hasSuffix("what came of /health is no whole answer"))
        script.answer = httpAnswer(200, String(repeating: "x", count: DaemonAnswer.limit + 1))
        #expect(await silence(path).hasSuffix("the answer to /health is longer than 2 MiB"))
        let mute = try ScriptedServer(path: folder.file("mute")) { _ in try await EventLoop.sleep(for: .seconds(30)) }
        let began = ContinuousClock.now
        #expect(await silence(folder.file("mute")).hasSuffix("no answer to /health within 1 s"))
        #expect(ContinuousClock.now - began < .seconds(10))
        withExtendedLifetime(mute) {}
    }
}
