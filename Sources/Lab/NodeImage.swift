// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// The file system that every node starts from: Debian with etcd, Patroni and PostgreSQL, built once for each release and
/// cached.
///
/// The cache is keyed by all that determines the image, so images of two releases stand side by side. It is built under
/// another name and renamed when complete, so a crash in between leaves nothing that could be taken for an image, and two
/// labs that build the same one do not meet.
struct NodeImage: Sendable {
    /// To be raised when `prepare` or `install` change.
    static let version = 3

    /// The image's folder.
    let path: String

    /// Answers the cached image of a release, or builds it: one to three minutes.
    @EventLoop
    static func prepared(_ suite: LabSuite, say: (String) -> Void) async throws(LabError) -> NodeImage {
        let path = "\(LabLayout.cacheFolder)/image-\(self.key(suite))"
        if !Host.exists(path) {
            say("building the nodes' image of Debian \(suite.recipe.debian) (once): \(path)")
            try await self.build(suite, path, say: say)
        }
        return NodeImage(path: path)
    }

    /// Seconds: a mirror that has the hiccups has them for a while.
    private static let pause = 30

    /// Builds the image. What fails, as a mirror's hiccup makes it, is begun anew twice, from nothing.
    @EventLoop
    private static func build(_ suite: LabSuite, _ path: String, say: (String) -> Void) async throws(LabError) {
        for attempt in 2...3 {
            do throws(LabError) { return try await self.build(suite, path) } catch {
                say("\(error.message.suffix(300))\nonce more in \(Self.pause) s (\(attempt) of 3)")
            }
            try await self.removeUnfinished()
            do { try await EventLoop.sleep(for: .seconds(Self.pause)) } catch { throw LabError(.host, "interrupted") }
        }
        try await self.build(suite, path)
    }

    /// FNV-1a over all that determines the image, behind the release's name: a name for a cache, no secret depends on it.
    static func key(_ suite: LabSuite) -> String {
        let recipe =
            "\(self.version) \(suite.rawValue) \(suite.packages.joined(separator: " ")) \(self.quiet) \(self.script(suite))"
        let hash = recipe.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "\(suite.rawValue)-\(String(hash, radix: 16))"
    }

    /// How the name of this lab's image ends until it is complete.
    private static let unfinished = ".\(LabLayout.prefix).building"

    /// Removes what a crashed build left; its processes are in a group of the lab's and must be gone already.
    @EventLoop
    static func removeUnfinished() async throws(LabError) {
        for name in Host.names(in: LabLayout.cacheFolder) where name.hasSuffix(self.unfinished) {
            let folder = "\(LabLayout.cacheFolder)/\(name)"
            // debootstrap mounts /proc in there.
            try await Host.unmount(below: folder)
            try await Host.run(["rm", "-rf", "--one-file-system", folder], timeout: .seconds(120))
        }
    }

    @EventLoop
    private static func build(_ suite: LabSuite, _ path: String) async throws(LabError) {
        let temporary = "\(path)\(self.unfinished)"
        // In a group, so that what a crash of ours leaves running is found and ended.
        let group = ControlGroup("image")
        try Host.makeFolder(temporary)
        let listed = try await Host.run(
            ["apt-get", "indextargets", "--format", PackageSource.format, "Created-By: Packages"])
        guard let origin = PackageSource.origin(of: suite, host: PackageSource.parse(listed)) else {
            throw LabError(.host, "no Debian mirror found in the host's APT configuration")
        }
        try await Host.run(
            group.command(["debootstrap", "--variant=minbase", suite.recipe.archive, temporary, origin.mirror]),
            timeout: .seconds(900)
        )
        try await self.copyPackageConfiguration(to: temporary, sources: origin.lines)
        for (name, text) in self.quiet {
            let folder = name.split(separator: "/").dropLast().joined(separator: "/")
            try Host.makeFolder("\(temporary)/\(folder)")
            try Host.write("\(temporary)/\(name)", text, mode: name.hasSuffix("policy-rc.d") ? 0o755 : 0o644)
        }
        try Host.write("\(temporary)/root/install", self.script(suite))
        try await Host.run(
            group.command(["chroot", temporary, "/bin/sh", "/root/install"] + suite.packages),
            timeout: .seconds(1500)
        )
        if rename(temporary, path) == 0 { return }
        guard errno == ENOTEMPTY || errno == EEXIST else { throw Host.failure("cannot rename \(temporary)") }
        // Another lab has completed the same image meanwhile.
        try await self.removeUnfinished()
    }

    /// The nodes install from where the host does: sources, proxies and their certificates. `sources` are the lines of
    /// sources.list instead, for a release that is not the host's.
    @EventLoop
    private static func copyPackageConfiguration(to root: String, sources: [String]?) async throws(LabError) {
        try await Host.run(["rm", "-f", "\(root)/etc/apt/sources.list"])
        // `usr/share/keyrings` and `etc/ssl` because sources and proxies may refer to keys and certificates of the host.
        for folder in ["etc/apt", "usr/share/keyrings", "etc/ssl", "usr/local/share/ca-certificates"]
        where Host.exists("/\(folder)") {
            try Host.makeFolder("\(root)/\(folder)")
            try await Host.run(["cp", "-a", "/\(folder)/.", "\(root)/\(folder)/"])
        }
        for file in ["etc/resolv.conf", "etc/hosts", "etc/pip.conf"] where Host.exists("/\(file)") {
            try await Host.run(["cp", "-L", "/\(file)", "\(root)/\(file)"])
        }
        guard let sources else { return }
        // OpenSSL's settings come with each release; and what the host's administrator prefers is said of the host's.
        try await Host.run(["rm", "-f", "\(root)/etc/ssl/openssl.cnf"])
        let folder = "\(root)/etc/apt"
        try await Host.run([
            "rm", "-rf", "\(folder)/sources.list.d", "\(folder)/preferences.d", "\(folder)/preferences",
        ])
        try Host.write("\(folder)/sources.list", sources.map { "\($0)\n" }.joined())
    }

    /// Files that make the installation fast and the installed system silent until a node configures it. No question
    /// about a file that is already there stops it.
    private static let quiet: KeyValuePairs = [
        "etc/dpkg/dpkg.cfg.d/pharos-lab": """
        force-unsafe-io
        force-confold
        path-exclude=/usr/share/doc/*
        path-exclude=/usr/share/man/*
        path-exclude=/usr/share/locale/*

        """,
        "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
        "etc/postgresql-common/createcluster.conf": "create_main_cluster = false\n",
        "etc/systemd/system-preset/00-pharos-lab.preset": "disable *\n",
    ]

    /// Installs its arguments, and Patroni where it is not among them; then takes away what a node does not need at boot.
    static func script(_ suite: LabSuite) -> String {
        """
        set -e
        export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
        apt-get -q -o Acquire::Retries=3 update
        apt-get -q -y -o Acquire::Retries=3 --no-install-recommends install "$@"
        \(suite.recipe.patroniOfPyPI.map(PatroniOfPyPI.script) ?? "")apt-get clean
        rm -rf /var/lib/apt/lists/* /var/lib/etcd/* /root/install /usr/sbin/policy-rc.d /etc/resolv.conf
        systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \\
            e2scrub_reap.service fstrim.timer systemd-pstore.service console-getty.service getty.target \\
            systemd-logind.service systemd-tmpfiles-clean.timer systemd-update-utmp.service remote-fs.target
        systemctl disable --quiet etcd.service patroni.service postgresql.service vip-manager.service \\
            networking.service NetworkManager.service NetworkManager-dispatcher.service \\
            NetworkManager-wait-online.service || true
        systemctl set-default multi-user.target
        : > /etc/machine-id

        """
    }
}
