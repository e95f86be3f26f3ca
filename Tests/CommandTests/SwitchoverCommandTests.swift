// SPDX-License-Identifier: Apache-2.0
import EventLoop
import LenientJSON
import TestSupport
import Testing

/// `pharos switchover` as it is typed, before a daemon that says what the test has written down.
@Suite(.serialized)
struct SwitchoverCommandTests {
    init() { EventLoop.shared.executor.startThread() }

    /// A daemon whose plan has one objection, and what was posted to it.
    @EventLoop
    private final class Daemon {
        let folder: TemporaryDirectory
        private var server: ScriptedServer?
        private(set) var posted: [String] = []
        private var state = "planned"

        init() throws {
            self.folder = try TemporaryDirectory("switchover")
            self.server = try ScriptedServer(path: self.folder.file("s")) { [weak self] connection in
                while let line = try await connection.readRequest() {
                    let body = String(decoding: connection.body, as: UTF8.self)
                    guard let answer = self?.answer(line, body) else { return }
                    try await connection.write(answer)
                }
            }
        }

        private func answer(_ line: String, _ body: String) -> [UInt8] {
            if line.hasPrefix("POST ") { self.posted.append("\(line.split(separator: " ")[1]) \(body)") }
            if line.hasPrefix("POST /confirm/ab ") { self.state = "ended" }
            let result = self.state == "ended" ? #"{"outcome":"done","text":"n2 leads","advice":null}"# : "null"
            let plan = """
                {"digest":"ab","summary":"switch group 0 over from n1 to n2","must_name":"n1","steps":[],"effects":[],"rests_on":[],
                 "hindrances":[],"objections":[{"name":"lag","is_grave":true,"text":"far behind","evidence":"9 bytes","age_seconds":1}]}
                """
            let ticket =
                #"{"number":7,"operation":"switchover","state":"\#(self.state)","plan":\#(plan),"result":\#(result)}"#
            return httpAnswer(line.hasPrefix("POST ") ? 202 : 200, ticket)
        }

        func type(_ arguments: String...) async throws -> (code: Int32?, text: String) {
            let program = try TestProcess.built("pharos")
            let words = ([program, "switchover", "--socket", self.folder.file("s")] + arguments).map { "'\($0)'" }
            let outcome = try await ChildProcess(
                ["/bin/sh", "-c", "exec \(words.joined(separator: " ")) 2>&1 </dev/null"], timeout: .seconds(60)
            ).run()
            return (outcome.exitCode, outcome.text)
        }
    }

    @Test @EventLoop func `nothing is confirmed without the name, or while an objection stands`() async throws {
        let daemon = try Daemon()
        let open = try await daemon.type("--yes", "n1")
        #expect(open.code == 1 && open.text.contains("! lag (grave): far behind"), "\(open.text)")
        #expect(open.text.contains("each by its name: --override lag"), "\(open.text)")
        let mute = try await daemon.type("--override", "lag")
        #expect(mute.code == 64 && mute.text.contains("expected --yes n1"), "\(mute.text)")
        for name in ["n2", "yes", ""] {
            let other = try await daemon.type("--override", "lag", "--yes", name)
            #expect(other.code == 64 && other.text.contains("does not name what it says yes to"), "\(other.text)")
        }
        let bare = try await daemon.type("--override", "lag", "--yes")
        #expect(bare.code == 64, "\(bare.text)")
        let unknown = try await daemon.type("--override", "lag", "--override", "timeline", "--yes", "n1")
        #expect(unknown.code == 64 && unknown.text.contains("the plan has no such objection"), "\(unknown.text)")
        #expect(try await daemon.type("--dry-run").code == 1)
        #expect(daemon.posted.allSatisfy { $0.hasPrefix("/plan ") } && daemon.posted.count == 7, "\(daemon.posted)")
    }

    @Test @EventLoop func `with the name and its overrides it is confirmed, and followed to its result`() async throws {
        let daemon = try Daemon()
        let done = try await daemon.type("--to", "n2", "--override", "lag", "--yes", "n1")
        #expect(done.code == 0 && done.text.hasSuffix("done: n2 leads\n"), "\(done.text)")
        #expect(
            daemon.posted == [
                #"/plan {"operation":"switchover","group":null,"to":"n2"}"#,
                #"/confirm/ab {"name":"n1","overrides":["lag"]}"#,
            ])
        let json = try await daemon.type("--override", "lag", "--yes", "n1", "--json")
        #expect(JSON.parse(json.text.utf8)?["result"]?["outcome"]?.string == "done", "\(json.text)")
    }

    @Test @EventLoop func `a daemon that is not there is told apart`() async throws {
        let folder = try TemporaryDirectory("switchover")
        let program = try TestProcess.built("pharos")
        let outcome = try await ChildProcess(
            ["/bin/sh", "-c", "exec '\(program)' switchover --socket '\(folder.file("none"))' --yes n1 2>&1"],
            timeout: .seconds(60)
        ).run()
        #expect(outcome.exitCode == 69 && outcome.text.contains("no daemon answers at"), "\(outcome.text)")
    }
}
