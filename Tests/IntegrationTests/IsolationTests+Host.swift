// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import TestSupport
import Testing

/// What is on the daemon's own host: systemd, the operator's command, a person's files, other users.
extension IsolationTests {
    @Test @EventLoop func `a systemd that reads nothing for a while misses neither READY nor a ping`() async throws {
        try await IsolationScene.play { scene in
            try await scene.serveEtcd()
            try scene.configure()
            scene.listen(false)
            _ = try scene.systemd.fill("X_OTHER=1")
            try scene.startDaemon()
            try await scene.lead()
            #expect(try await eventually(within: .seconds(20)) { scene.log.split(separator: "\n").contains("ready") })
            try await scene.wait(.seconds(1))
            scene.listen()
            @EventLoop func ready() -> Int { scene.told.count { $0.text.split(separator: "\n").contains("READY=1") } }
            #expect(try await eventually(within: .seconds(10)) { ready() == 1 })

            // Longer than from ping to ping, shorter than systemd's patience.
            scene.listen(false)
            _ = try scene.systemd.fill("X_OTHER=1")
            try await scene.wait(.seconds(5))
            scene.listen()
            try await scene.wait(.seconds(15))
            #expect(ready() == 1)
            try await scene.expectLease()
        }
    }

    @Test @EventLoop func `forty alerts that hang and start others leave room for ip, which puts the address on`()
        async throws
    {
        let limit = ChildBudget.reservedTasks + 60
        let group = try #require(TaskGroup("isolation", limit: limit), "needs root's rights and the pids controller")
        try await IsolationScene.play { scene in
            try await scene.serveEtcd()
            let hung = scene.folder.file("hung")
            try scene.folder.write(
                "pager", "for i in 1 2 3; do sleep 1000 & done\necho hangs >> \(hung)\nsleep 1000\n")
            try scene.configure(
                "alert: { command: [/bin/sh, \(scene.folder.file("pager"))], timeout: 1s, priority: notice }")
            try scene.startDaemon(in: group)
            try await scene.lead()
            var (most, changes) = (0, 0)
            // Each change of leader is some records; of those that wait no more than 32 do.
            while scene.folder.read("hung").count(where: { $0 == UInt8(ascii: "\n") }) < 40, changes < 120 {
                changes += 1
                try await scene.put([("/service/demo/leader", changes % 2 == 1 ? "n2" : "n1")])
                let isHere = changes % 2 == 0
                #expect(
                    try await eventually(within: .seconds(10)) { try await scene.hasAddress() == isHere },
                    "after \(changes) changes of leader: \(scene.log.suffix(2000))")
                try await scene.wait(.milliseconds(500))
                most = max(most, group.taskCount)
            }
            print("forty alerts: \(changes) changes of leader, \(most) tasks at most")
            #expect(changes < 120 && most > 4)
            #expect(most <= ChildBudget.tasksOfOthers(of: limit), "of \(limit)")
            try await scene.lead()
            try await scene.wait(.seconds(10))
            try await scene.expectLease()
        }
    }

    /// Eight sources in each of four levels, above a mapping of as many keys as fit.
    private static let bomb: String = {
        func merge(_ level: Int) -> String {
            "<<: [" + Array(repeating: "*a\(level)", count: 8).joined(separator: ", ") + "]"
        }
        let last = "a0: &a0\n" + (0..<9000).map { "  key\($0): 1\n" }.joined()
        return last + (1...3).map { "a\($0): &a\($0) { \(merge($0 - 1)) }\n" }.joined() + merge(3) + "\n"
    }()

    @Test @EventLoop func `a bomb of merges in Patroni's file is refused at SIGHUP`() async throws {
        try await IsolationScene.play { scene in
            try await scene.serveEtcd()
            try scene.folder.write("patroni.yml", "scope: demo\nname: n1\n")
            try scene.configure("patroni_config: \(scene.folder.file("patroni.yml"))")
            try scene.startDaemon()
            try await scene.lead()
            try scene.folder.write("patroni.yml", Self.bomb)
            kill(try #require(scene.daemon).id, SIGHUP)
            #expect(try await eventually(within: .seconds(60)) { scene.log.contains("'<<' copies") }, "\(scene.log)")
            @EventLoop func told(_ text: String) -> Int { scene.told.lastIndex { $0.text.hasPrefix(text) } ?? -1 }
            #expect(try await eventually(within: .seconds(10)) { told("READY=1") > told("RELOADING=1") })
            #expect(told("RELOADING=1") > 0)
            try await scene.wait(.seconds(10))
            try await scene.expectLease()
        }
    }

    @Test @EventLoop func `32 idle connections on the status socket keep pharos status out of nothing`() async throws {
        try await IsolationScene.play { scene in
            try await scene.serveEtcd()
            try scene.configure()
            try scene.startDaemon()
            try await scene.lead()
            var idle: [Int32] = []
            defer { for descriptor in idle { closeRaw(descriptor) } }
            for _ in 0..<5 {
                // Those of before are ended by now, or not.
                for _ in 0..<32 { idle.append(try connectRaw(scene.socket)) }
                let outcome = try await scene.pharos("status", "--socket", scene.socket)
                #expect(outcome.exitCode != 69 && outcome.text.contains(IsolationScene.address), "\(outcome.text)")
                try await scene.wait(.seconds(2))
            }
            try await scene.expectLease()
        }
    }
}
