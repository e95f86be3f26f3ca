// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// What persons ask for, on real nodes: planned, objected to, confirmed by name, and on record.
extension LabTests {
    private static func reacting(_ options: inout LabOptions) {
        options.extraConfiguration = "detector: {profile: fast, on_gray_failure: switchover}\n"
    }

    @Test @EventLoop
    func `a switchover is typed on a standby's node, refused by what speaks against it, and done by its name`()
        async throws
    {
        try await Scene.play("pharos switchover") { scene in
            let (leader, target, third) = (scene.leader, scene.others[0], scene.others[1])
            for node in scene.lab.options.nodes { try await scene.awaitVerdict("well", on: node) }
            @EventLoop func switchover(_ arguments: String...) async throws -> (code: Int32?, text: String) {
                let command = ["pharos", "switchover", "--to", target] + arguments
                let outcome = try await scene.lab.exec(third, command)
                print(outcome.text)
                return (outcome.exitCode, outcome.text)
            }
            // Nobody is asked where there is no terminal; and another name is no yes.
            let mute = try await switchover()
            #expect(mute.code == 64 && mute.text.contains("expected --yes \(leader)"), "\(mute.text)")
            let other = try await switchover("--yes", target)
            #expect(other.code == 64 && other.text.contains("expected --yes \(leader)"), "\(other.text)")

            // A transaction that has been open for more than a minute speaks against it.
            try await scene.run(
                leader, "systemd-run", "--quiet", "--collect", "--unit=sleeper", "runuser", "-u", "postgres", "--",
                "psql", "-c", "select pg_sleep(600)")
            try await scene.wait("a long transaction", .seconds(100)) {
                try await switchover("--dry-run").text.contains("! long-transactions: ")
            }
            let refused = try await switchover("--yes", leader)
            #expect(refused.code == 1 && refused.text.contains("! long-transactions: "), "\(refused.text)")
            #expect(refused.text.contains("--override long-transactions"), "\(refused.text)")
            #expect(try await scene.lab.leader() == leader)

            // What is there is overridden by name; of a lab's standby nothing else speaks against it.
            let plan = try await switchover("--dry-run", "--json")
            let names = (JSON.parse(plan.text.utf8)?["plan"]?["objections"]?.array ?? []).compactMap {
                $0["name"]?.string
            }
            let overrides = names.flatMap { ["--override", $0] }
            let command = ["pharos", "switchover", "--to", target, "--yes", leader] + overrides
            let done = try await scene.lab.exec(third, command)
            #expect(done.exitCode == 0 && done.text.contains("done: \(target) leads"), "\(done.text)")
            #expect(try await scene.lab.leader() == target)
            try await scene.awaitHolders([target], .seconds(30))

            let record = try await scene.awaitLog(
                third, "switch group 0 over from \(leader) to \(target): done", .seconds(20))
            #expect(record.priority == 5)
            try await scene.wait("the record, from any node", .seconds(20)) {
                let list = try await scene.lab.exec(leader, ["pharos", "operations"]).text
                return list.contains("switch group 0 over from \(leader) to \(target)")
                    && list.contains("although: long-transactions")
            }
            // Planned, whoever has carried it out.
            try await scene.wait("a planned switchover in the ledger", .seconds(20)) {
                try await scene.lab.exec(third, ["pharos", "show", "last", "--json"]).text.contains(
                    "\"cause\":\"switchover\"")
            }
            try await scene.expectNoOverlap()
        }
    }

    @Test @EventLoop
    func `while reactions are paused a leader that nobody can use keeps its key, and afterwards it does not`()
        async throws
    {
        try await Scene.play("reactions paused, postmaster frozen on the leader", Self.reacting) { scene in
            let (node, observer) = (scene.leader, scene.others[0])
            for member in scene.lab.options.nodes {
                try await scene.awaitVerdict("well", on: member)
                try await scene.vouch(for: member)
            }
            let reason = "drill in rack 3"
            let paused = try await scene.lab.exec(
                observer, ["pharos", "pause-reactions", "--for", "1h", "--reason", reason])
            #expect(paused.exitCode == 0 && paused.text.contains("done: reactions are paused until"), "\(paused.text)")
            for member in scene.lab.options.nodes {
                try await scene.awaitLog(member, "has paused Pharos's reactions until", .seconds(10))
                let cluster = try await scene.lab.exec(member, ["pharos", "cluster"])
                #expect(cluster.text.contains(reason), "\(cluster.text)")
            }
            try await scene.run(node, "sh", "-c", "kill -STOP \(scene.postmaster)")
            for other in scene.others {
                try await scene.awaitLog(other, "\(node) (group 0): gray failure", .seconds(60))
                try await scene.awaitLog(other, "somebody has paused Pharos's reactions", .seconds(20))
            }
            try await scene.pause(.seconds(20))
            #expect(try await scene.lab.leader() == node)
            #expect(
                try await scene.lab.exec(observer, ["pharos", "why"]).text.contains("reactions are paused by root"))
            let resumed = try await scene.lab.exec(scene.others[1], ["pharos", "resume-reactions"])
            #expect(resumed.exitCode == 0, "\(resumed.text)")
            try await scene.wait("a daemon to ask Patroni", .seconds(60)) {
                let asked = "Patroni is asked to switch over from \(node)"
                for other in scene.others where try await scene.log(other).contains(asked) { return true }
                return false
            }
            // Patroni stops its PostgreSQL first, which a frozen one does not hear.
            try await scene.run(node, "sh", "-c", "kill -CONT \(scene.postmaster) || true")
            let leader = try await scene.awaitNewLeader(.seconds(120))
            try await scene.awaitHolders([leader], .seconds(60))
            for word in ["pause Pharos's reactions for 3600 s (\(reason))", "end the pause of Pharos's reactions"] {
                try await scene.wait("'\(word)' on record", .seconds(20)) {
                    try await scene.lab.exec(observer, ["pharos", "operations"]).text.contains(word)
                }
            }
        }
    }
}
