// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Lab
import Testing

/// The lab itself. Last, because it ends the lab that the other scenes share.
extension LabTests {
    @Test @EventLoop func `a lab whose making was killed half way is cleaned up by the next, and by down`() async throws
    {
        try await self.killHalfWay { $0.contains { $0.hasPrefix("mount ") } }
        #expect(try !Lab.remains().isEmpty)
        var options = LabOptions()
        options.nodeCount = 1
        options.observe = false
        let lab = try await Lab.up(options)
        #expect(try await lab.status().map(\.isOn) == [true])

        try await self.killHalfWay { $0.contains { $0.hasPrefix("process ") } }
        #expect(try !Lab.remains().isEmpty)
        try await Lab.down()
        #expect(try Lab.remains() == [])
    }

    /// Starts `pharos-lab up` and kills it once what exists satisfies `isEnough`.
    @EventLoop
    private func killHalfWay(_ isEnough: @escaping @Sendable ([String]) -> Bool) async throws {
        try await Lab.down()
        #expect(try Lab.remains() == [])
        let program = try #require(Scene.variable("PHAROS_LAB_PROGRAM"))
        let command = ChildProcess([program, "up", "--nodes", "3", "--no-observer"])
        let code = try await command.lines(
            started: { process in EventLoop.spawn { await Self.kill(process, once: isEnough) } },
            { print($0) })
        #expect(code == nil, "it was done before it was killed")
    }

    @EventLoop
    private static func kill(_ process: Int32, once isEnough: ([String]) -> Bool) async {
        do {
            let deadline = ContinuousClock.now + .seconds(30)
            while try !isEnough(Lab.remains()), .now < deadline { try await EventLoop.sleep(for: .milliseconds(5)) }
        } catch {
            print("what exists cannot be read: \(error)")
        }
        Glibc.kill(process, SIGKILL)
    }
}
