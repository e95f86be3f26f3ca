// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// One node: an overlay file system over the image, and a systemd-nspawn machine that boots it.
struct Machine: Sendable {
    let node: String

    var group: ControlGroup { ControlGroup(self.node) }
    private var folder: String { LabLayout.folder(self.node) }
    private var root: String { LabLayout.root(self.node) }
    private var leaderFile: String { "\(self.folder)/leader" }

    /// Mounts the node's file system. The image stays untouched: everything written lives in memory.
    @EventLoop
    func mount(_ image: NodeImage) async throws(LabError) {
        try Host.makeFolder("\(self.folder)/memory")
        try await Host.run(
            ["mount", "-t", "tmpfs", "-o", "size=4g,mode=755", self.namespace, "\(self.folder)/memory"])
        for name in ["upper", "work"] { try Host.makeFolder("\(self.folder)/memory/\(name)") }
        try Host.makeFolder(self.root)
        let layers = "lowerdir=\(image.path),upperdir=\(self.folder)/memory/upper,workdir=\(self.folder)/memory/work"
        try await Host.run(["mount", "-t", "overlay", "-o", layers, self.namespace, self.root])
    }

    private var namespace: String { LabLayout.namespace(self.node) }

    /// Writes the node's configuration into its file system, and installs the daemon if there is one.
    @EventLoop
    func configure(_ options: LabOptions, password: String) async throws(LabError) {
        let group = options.group(of: self.node)
        var units = ["etcd.service"] + (group == nil ? [] : ["patroni.service"])
        if let tree = options.installTree, let group {
            try await Host.run(["cp", "-a", "\(tree)/.", "\(self.root)/"], timeout: .seconds(60))
            try Host.makeFolder("\(self.root)/etc/pharos")
            try Host.write("\(self.root)/etc/pharos/pharos.yml", NodeFiles.pharos(options, group))
            units.append("pharos.service")
        }
        if let citus = options.citus, group != nil {
            units += try CitusFiles(root: self.root, citus: citus, suite: options.suite).install()
        }
        for file in NodeFiles(node: self.node, options: options, password: password).all {
            let folder = file.path.split(separator: "/").dropLast().joined(separator: "/")
            try Host.makeFolder("\(self.root)/\(folder)")
            try Host.write("\(self.root)/\(file.path)", file.text, mode: file.mode)
            if let owner = file.owner { try await self.inRoot(["chown", owner, "/\(file.path)"]) }
        }
        let id = try await Host.run(["systemd-id128", "new"])
        try Host.write("\(self.root)/etc/machine-id", id, mode: 0o444)
        try Host.makeFolder("\(self.root)/var/log/journal")
        for folder in ["var/lib/etcd", "var/lib/etcd/default"] {
            try Host.makeFolder("\(self.root)/\(folder)")
            try await self.inRoot(["chown", "etcd:etcd", "/\(folder)"])
        }
        // etcd wants its data for itself.
        try await self.inRoot(["chmod", "700", "/var/lib/etcd/default"])
        if options.installTree != nil, group != nil {
            // The daemon's user must exist before its group may read Patroni's configuration.
            try await self.inRoot(["systemd-sysusers"])
            if try await self.hasGroup("pharos") {
                try await self.inRoot(["chgrp", "pharos", "/etc/patroni/config.yml"])
            }
            try await self.inRoot(["journalctl", "--update-catalog"])
        }
        try await self.inRoot(["systemctl", "enable", "--quiet"] + units)
    }

    @EventLoop
    private func hasGroup(_ group: String) async throws(LabError) -> Bool {
        try await Host.outcome(["chroot", self.root, "getent", "group", group], timeout: .seconds(5)).exitCode == 0
    }

    /// Runs a program in the node's file system while the node is not booted.
    @EventLoop
    private func inRoot(_ command: [String]) async throws(LabError) {
        try await Host.run(["chroot", self.root] + command)
    }

    /// Switches the machine on; answers as soon as its first process exists.
    @EventLoop
    func boot() async throws(LabError) {
        unlink(self.leaderFile)
        let nspawn = [
            // The host may use version 1 of control groups; the node's systemd gets version 2.
            try Host.path(of: "env"), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", try Host.path(of: "systemd-nspawn"),
            "--quiet", "--directory=\(self.root)", "--machine=\(self.namespace)", "--hostname=\(self.node)",
            "--network-namespace-path=/run/netns/\(self.namespace)",
            // With a namespace of ours, nspawn drops CAP_NET_ADMIN, without which no address can be moved.
            "--capability=CAP_NET_ADMIN,CAP_NET_RAW", "--register=no", "--keep-unit", "--console=passive",
            "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--boot",
        ]
        let started = try await Host.run(self.group.command(nspawn, log: "\(self.folder)/console"))
        guard let supervisor = Int32(started.split(separator: "\n").last ?? "") else {
            throw LabError(.command, "\(self.node): systemd-nspawn did not start: \(started)")
        }
        try await self.awaitLeader(supervisor)
    }

    @EventLoop
    private func awaitLeader(_ supervisor: Int32) async throws(LabError) {
        let deadline = ContinuousClock.now + .seconds(15)
        while true {
            let children = (Host.readText("/proc/\(supervisor)/task/\(supervisor)/children") ?? "").split(
                separator: " "
            )
            for child in children {
                // nspawn forks helpers first; the leader is the one whose command is systemd.
                guard let process = Int32(child), Host.readText("/proc/\(process)/comm") == "systemd\n" else {
                    continue
                }
                return try Host.write(self.leaderFile, "\(process)\n")
            }
            guard Glibc.kill(supervisor, 0) == 0, .now < deadline else {
                let console = Host.readText("\(self.folder)/console") ?? ""
                throw LabError(.command, "\(self.node) does not boot: \(console.suffix(2000))")
            }
            try await pause(.milliseconds(10))
        }
    }

    /// The process that is number 1 inside; nil while the machine is off.
    func leader() throws(LabError) -> Int32? {
        guard let text = Host.readText(self.leaderFile), let leader = Int32(text.prefix { $0 != "\n" }) else {
            return nil
        }
        // The number alone could meanwhile belong to another program.
        return try self.group.processes().contains(leader) ? leader : nil
    }

    /// Ends every process of the machine at once; a frozen one is not thawed for it, SIGKILL reaches it as it is.
    @EventLoop
    func kill() async throws(LabError) {
        try await self.group.kill()
        unlink(self.leaderFile)
    }

    /// Runs a program inside the booted node, in all its namespaces; killed there after `timeout`.
    @EventLoop
    func exec(_ command: [String], timeout: Duration) async throws(LabError) -> ChildProcess.Outcome {
        guard let leader = try self.leader() else { throw LabError(.state, "\(self.node) is off") }
        let enter = ["nsenter", "--target", String(leader), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
        let environment = [
            "/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
            "LANG=C.UTF-8", "TERM=dumb",
        ]
        // `timeout` inside, because killing nsenter would not reach what it started in another process namespace.
        let seconds = max(1, timeout.components.seconds)
        let limited = ["/usr/bin/timeout", "-s", "KILL", String(seconds)]
        return try await Host.outcome(enter + environment + limited + command, timeout: timeout + .seconds(5))
    }

    /// Unmounts what any lab left below its folder, and removes the folder.
    @EventLoop
    static func removeAll() async throws(LabError) {
        self.removeLocks()
        try await Host.unmount(below: LabLayout.runFolder)
        for name in Host.names(in: "/run/systemd/nspawn/propagate") where name.hasPrefix("\(LabLayout.prefix)-") {
            rmdir("/run/systemd/nspawn/propagate/\(name)")
        }
        try await Host.run(["rm", "-rf", "--one-file-system", LabLayout.runFolder], timeout: .seconds(60))
    }

    /// systemd-nspawn removes its lock files only when it ends by itself.
    private static func removeLocks() {
        for name in Host.names(in: LabLayout.runFolder) {
            var information = stat()
            guard stat(LabLayout.root(name), &information) == 0 else { continue }
            unlink("/run/systemd/nspawn/locks/inode-\(information.st_dev):\(information.st_ino)")
        }
    }
}
