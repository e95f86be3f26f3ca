// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import NetworkBed

struct SceneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scene",
        abstract: "Play one scene, and count the time in which two nodes had the address.",
        discussion: "Exits with 1 where two had it, or it did not go as it must."
    )
    @OptionGroup var common: CommonOptions
    @Argument(help: "One of \(Scene.allCases.map(\.rawValue).joined(separator: ", ")).") var scene: Scene
    @Option(help: "A daemon of an older version, for the scene upgrade.") var older: String?
    @Option(help: "The lease's TTL in seconds; each scene has its own.") var ttl: Int?

    func validate() throws {
        guard self.older != nil || !self.scene.needsOlder else { throw ValidationError("say --older PATH") }
    }

    func run() throws {
        var options = try self.common.groundOptions(older: self.older, ttl: self.ttl ?? self.scene.ttl, margin: 2000)
        options.slowMember = self.scene.slowMember
        let ground = options
        runHistories { () async throws(BedError) in
            let version = try await EtcdProgram.version(ground.etcd)
            let (overlap, findings, problem) = try await HistoryBed.use(ground) { bed async throws(BedError) in
                let player = ScenePlayer(bed)
                var problem: String?
                do throws(BedError) { try await player.play(self.scene) } catch { problem = error.message }
                return (try bed.overlap(), player.findings, problem)
            }
            let text =
                "\(self.scene.rawValue), etcd \(version.text), TTL \(ground.ttl) s, Patroni's keys by a stand-in: "
                + "overlap \(overlap) ms" + (findings + [problem].compactMap { $0 }).map { "; " + $0 }.joined()
            guard overlap == 0, problem == nil else { throw BedError("\(text); see \(ground.logFolder)") }
            try await self.common.removeLogs()
            printLine(text)
        }
    }
}
