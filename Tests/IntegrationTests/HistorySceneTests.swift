// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import TestSupport
import Testing

/// The scenes of `pharos-histories`, with the daemon and the tool that were built beside these tests: each run is a process of
/// its own, in namespaces of its own, so several may run at once.
@Suite struct HistorySceneTests {
    init() { EventLoop.shared.executor.startThread() }

    /// Those that end within two minutes and need no older version.
    static let scenes = [
        "stale-keep-alive", "return", "same-number", "restored-restarted", "restored-busy", "bumped", "restarts",
        "one-endpoint",
    ]

    /// What Debian 13's etcd needs: its programs, from the image that the lab has made of that release, if it has.
    static let trixie: [String]? = {
        let cache = "/var/cache/pharos-lab"
        for name in Self.names(in: cache) where name.hasPrefix("image-trixie-") && !name.hasSuffix(".building") {
            let programs = ["etcd", "etcdctl"].map { "\(cache)/\(name)/usr/bin/\($0)" }
            if programs.allSatisfy({ access($0, X_OK) == 0 }) {
                return ["--etcd", programs[0], "--etcdctl", programs[1]]
            }
        }
        return nil
    }()

    private static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) })
        }
        return names
    }

    private static func command(_ arguments: [String]) throws -> [String] {
        [try TestProcess.built("pharos-histories")] + arguments
    }

    @EventLoop
    private static func play(_ arguments: [String]) async throws -> ChildProcess.Outcome {
        let outcome = try await ChildProcess(try Self.command(arguments), timeout: .seconds(240)).run()
        // What was measured belongs into the log, also where all is well.
        print(outcome.text)
        return outcome
    }

    @Test(arguments: scenes)
    @EventLoop func `no two nodes hold the address, on Debian 12's etcd`(scene: String) async throws {
        let outcome = try await Self.play(["scene", scene])
        #expect(outcome.exitCode == 0, "\(outcome.text)")
        #expect(outcome.text.contains("overlap 0.0 ms"))
        // Without one that counts for nothing the scene would show nothing.
        if scene == "stale-keep-alive" { #expect(!outcome.text.contains("; 0 keep-alives")) }
    }

    @Test(.enabled(if: trixie != nil, "the lab has made no image of Debian 13 yet"), arguments: scenes)
    @EventLoop func `no two nodes hold the address, on Debian 13's etcd`(scene: String) async throws {
        let outcome = try await Self.play(["scene", scene] + (try #require(Self.trixie)))
        #expect(outcome.exitCode == 0, "\(outcome.text)")
        #expect(outcome.text.contains("overlap 0.0 ms"))
    }

    @Test @EventLoop func `two nodes that do hold it are found`() async throws {
        let logs = try TemporaryDirectory("histories")
        let outcome = try await Self.play(["scene", "two-holders", "--logs", logs.path])
        #expect(outcome.exitCode == 1)
        #expect(outcome.text.contains("overlap ") && !outcome.text.contains("overlap 0.0 ms"), "\(outcome.text)")
    }

    @Test @EventLoop func `a run that is interrupted leaves nothing behind`() async throws {
        var process: Int32 = 0
        var ending: EventSource?
        let logs = try TemporaryDirectory("histories")
        var child = ChildProcess(try Self.command(["fuzz", "--for", "60s", "--logs", logs.path]))
        child.timeout = .seconds(60)
        let code = try await child.lines(started: { process = $0 }) { line in
            // Its first line; the namespaces are made next, and programs started in them.
            if ending == nil { ending = .timer(after: .seconds(6)) { kill(process, SIGINT) } }
        }
        #expect(code == 1)
        let own = "pharos-histories-\(process)"
        #expect(ending != nil)
        for folder in ["/run/netns", "/dev/shm", "/var/tmp"] {
            #expect(Self.names(in: folder).filter { $0 == own || $0.hasPrefix(own + "-") } == [])
        }
        withExtendedLifetime(ending) {}
    }
}
