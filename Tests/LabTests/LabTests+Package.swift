// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// The Debian package, from a repository on the node: what an administrator types, from the first installation to the purge.
extension LabTests {
    private static var packages: String? { Scene.variable("PHAROS_LAB_PACKAGES") }

    @Test(.enabled(if: packages != nil, "scripts/test makes the packages")) @EventLoop
    func `the package is installed, upgraded under fifty writers, removed and purged`() async throws {
        let folder = try #require(Self.packages)
        func plain(_ options: inout LabOptions) {
            options.nodeCount = 1
            options.installTree = nil
        }
        try await Scene.play("the package", plain) { scene in
            let node = scene.leader
            try await scene.lab.offerPackages(from: folder, to: node)
            let versions = try await scene.lab.versions(of: "pharos", on: node)
            try #require(versions.count == 2, "\(versions)")
            let (new, old) = ("pharos=\(versions[0])", "pharos=\(versions[1])")

            // Nothing runs where nothing is configured, and an upgrade starts nothing.
            for package in [old, new] {
                try await scene.lab.apt(node, "install", package)
                #expect(try await scene.unit(node) == "disabled inactive")
            }
            try await scene.lab.apt(node, "install", "--allow-downgrades", old)
            #expect(try await scene.lab.run(node, ["id", "-nG", "pharos"]) == "pharos postgres\n")
            let catalog = try await scene.lab.run(node, ["journalctl", "--list-catalog"])
            #expect(catalog.contains("The supervisor is ready"), "\(catalog)")

            try await scene.run(
                node, "pharos", "init", "--from-patroni", "/etc/patroni/config.yml", "--address", "\(Scene.v4)/24",
                "--interface", "eth0")
            let checked = try await scene.lab.exec(node, ["pharos", "check-config"])
            #expect(checked.exitCode == 0 && !checked.text.contains("warning"), "\(checked.text)")
            try await scene.run(node, "systemctl", "enable", "--now", "--quiet", "pharos")
            try await scene.awaitHolder(node)

            let begun = Lab.now
            let process = try await scene.property(node, "MainPID")
            let report = try await scene.withWriters(50, for: .seconds(8)) {
                try await scene.lab.apt(node, "install", new)
            }
            #expect(report.errors.isEmpty && report.writes > 500, "\(report)")
            #expect(try await scene.property(node, "MainPID") != process)
            #expect(try await scene.unit(node) == "enabled active")
            try await scene.awaitLog(node, "its lease is taken over")
            let absence = try scene.timeline().absence(of: Scene.v4, since: begun, until: Lab.now)
            #expect(absence == 0, "nobody held the address for \(absence) ms")

            try await scene.playInstance(node, reinstall: new)

            // Masked, it stays so, and off.
            try await scene.run(node, "systemctl", "mask", "--now", "--quiet", "pharos")
            try await scene.lab.apt(node, "install", "--reinstall", new)
            #expect(try await scene.unit(node) == "masked inactive")
            try await scene.run(node, "systemctl", "unmask", "--quiet", "pharos")
            try await scene.run(node, "systemctl", "start", "pharos")
            try await scene.awaitHolder(node)

            let removal = try await scene.lab.apt(node, "remove", "pharos")
            #expect(removal.contains("this node holds \(Scene.v4): it is released now"), "\(removal)")
            #expect(try await scene.lab.holders(Scene.v4) == [])
            try await scene.awaitLog(node, "stopped; no address is left here")
            try await scene.run(node, "test", "-e", "/etc/pharos/pharos.yml")

            try await scene.lab.apt(node, "purge", "pharos")
            #expect(try await scene.remains(node) == [])
            #expect(try await scene.lab.run(node, ["id", "-un", "pharos"]) == "pharos\n")
        }
    }
}

extension Scene {
    /// Whether the daemon's unit is enabled, and whether it runs, in systemd's words.
    fileprivate func unit(_ node: String) async throws -> String {
        let states = try await self.lab.exec(
            node, ["sh", "-c", "systemctl is-enabled pharos; systemctl is-active pharos"])
        return states.text.split(separator: "\n").joined(separator: " ")
    }

    /// The same cluster by a name, as one of several of the host: refused beside the plain one, then in its place.
    fileprivate func playInstance(_ node: String, reinstall package: String) async throws {
        try await self.run(node, "ln", "-s", "config.yml", "/etc/patroni/15-main.yml")
        let made = try await self.lab.run(
            node, ["pharos", "init", "--cluster", "15-main", "--address", "\(Self.v4)/24", "--interface", "eth0"])
        #expect(made.contains("wrote /etc/pharos/15-main.yml; next: pharos check-config --cluster 15-main"), "\(made)")
        let refused = try await self.lab.exec(node, ["pharos", "check-config", "--cluster", "15-main"])
        let reason = "the address \(Self.v4): /etc/pharos/pharos.yml says the same"
        #expect(refused.exitCode == 78 && refused.text.contains(reason), "\(refused.text)")
        try await self.run(node, "systemctl", "disable", "--now", "--quiet", "pharos")
        try await self.run(node, "mv", "/etc/pharos/pharos.yml", "/root/")
        let checked = try await self.lab.exec(node, ["pharos", "check-config", "--cluster", "15-main"])
        #expect(checked.exitCode == 0, "\(checked.text)")
        // Its memory is its own, and new: it waits for one lease's time before it takes the address, and the scene does not.
        try await self.run(node, "systemctl", "start", "pharos@15-main")
        let process = ["systemctl", "show", "-P", "MainPID", "pharos@15-main"]
        let before = try await self.lab.run(node, process)
        try await self.lab.apt(node, "install", "--reinstall", package)
        #expect(try await self.lab.run(node, process) != before)
        let status = try await self.lab.exec(node, ["pharos", "status", "--cluster", "15-main"])
        #expect(status.text.contains("demo/\(node): this node leads"), "\(status.text)")
        for path in ["/run/pharos@15-main/pharos.lock", "/var/lib/pharos/15-main"] {
            try await self.run(node, "test", "-e", path)
        }
        try await self.run(node, "systemctl", "stop", "pharos@15-main")
        try await self.run(node, "rm", "/etc/pharos/15-main.yml", "/etc/patroni/15-main.yml")
        try await self.run(node, "mv", "/root/pharos.yml", "/etc/pharos/")
        try await self.run(node, "systemctl", "enable", "--now", "--quiet", "pharos")
        try await self.awaitHolder(node)
    }

    fileprivate func awaitHolder(_ node: String) async throws {
        // The first daemon that meets an etcd cluster waits for one lease's time.
        try await self.wait("\(node) holds \(Self.v4)", .seconds(60)) {
            try await self.lab.holders(Self.v4) == [node]
        }
    }

    /// Files of the package's, or made by its programs, that are on the node.
    fileprivate func remains(_ node: String) async throws -> [String] {
        let folders = ["/etc", "/usr", "/var/lib", "/run"]
        let text = try await self.lab.run(
            node, ["find"] + folders + ["-xdev", "-name", "*pharos*", "-not", "-name", "*pharos-lab*"])
        return text.split(separator: "\n").map(String.init)
    }
}
