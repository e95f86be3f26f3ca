// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import TestSupport
import Testing

/// `pharos check-config` and `pharos init`, run by root beside a user `pharos`: each in a mount namespace of its own, where that user
/// and the group `postgres` exist, whatever this machine has.
@Suite(.serialized, .enabled(if: geteuid() == 0))
struct CheckConfigTests {
    init() { EventLoop.shared.executor.startThread() }

    private static let patroni = """
        scope: demo
        name: n1
        restapi: {listen: "127.0.0.1:8008"}
        etcd3: {host: "127.0.0.1:2379"}
        postgresql: {listen: "*:5432", data_dir: /d, parameters: {unix_socket_directories: SOCKETS}}
        """

    /// Exit code and all output of a command that the shell runs behind `setup`, below /mnt.
    @EventLoop private func run(
        _ setup: String, command: String = "check-config -c /mnt/pharos.yml", sockets: String = "/run/postgresql",
        group: String = "postgres:x:64998:pharos", config: String = "/mnt/config.yml"
    ) async throws -> (code: Int32?, text: String) {
        let script = """
            exec 2>&1
            set -e
            mount -t tmpfs none /mnt
            mount -t tmpfs none /run
            chmod 755 /mnt /run
            mkdir -p /run/systemd/system/pharos.service.d
            cp /etc/passwd /etc/group /mnt/
            sed -i '/^pharos:/d;/^postgres:/d' /mnt/passwd /mnt/group
            echo 'pharos:x:64999:64999::/run/pharos:/usr/sbin/nologin' >>/mnt/passwd
            printf 'pharos:x:64999:\\n%s\\n' '\(group)' >>/mnt/group
            mount --bind /mnt/passwd /etc/passwd
            mount --bind /mnt/group /etc/group
            cat >/mnt/config.yml <<'EOF'
            \(Self.patroni.replacing("SOCKETS", with: sockets))
            EOF
            printf 'patroni_config: %s\\naddresses: [{address: 10.99.0.3/24, interface: lo}]\\n' '\(config)' >/mnt/pharos.yml
            chmod 644 /mnt/pharos.yml
            chmod 600 /mnt/config.yml
            \(setup)
            exec '\(try TestProcess.built("pharos"))' \(command)
            """
        let outcome = try await ChildProcess(
            ["/usr/bin/unshare", "-m", "/bin/sh", "-c", script], timeout: .seconds(60)
        ).run()
        return (outcome.exitCode, outcome.text)
    }

    /// No etcd is there to be asked, which is told too.
    private static func warns(_ text: String) -> Bool {
        text.split(separator: "\n").contains { $0.contains("warning") && !$0.hasPrefix("warning: 'etcd': ") }
    }

    private static let readable = "chgrp 64998 /mnt/config.yml; chmod 640 /mnt/config.yml"

    @Test @EventLoop func `what the daemon may not read is a mistake, whoever asks`() async throws {
        let closed = try await self.run("")
        #expect(
            closed.code == 78 && closed.text.contains("cannot read '/mnt/config.yml': Permission denied"),
            "\(closed.text)")
        #expect(closed.text.contains("reads as user pharos, in the groups: pharos, postgres."), "\(closed.text)")
        let open = try await self.run(Self.readable)
        #expect(open.code == 0 && open.text.contains("scope = demo") && !Self.warns(open.text), "\(open.text)")
        // The groups are those of the unit, with its drop-ins.
        let dropIn = "/run/systemd/system/pharos.service.d/g.conf"
        let alone = try await self.run(Self.readable, group: "postgres:x:64998:")
        #expect(alone.code == 78 && alone.text.contains("in the groups: pharos."), "\(alone.text)")
        let setup =
            "\(Self.readable); printf '[Service]\\nSupplementaryGroups=\\nSupplementaryGroups=postgres\\n' >\(dropIn)"
        let named = try await self.run(setup, group: "postgres:x:64998:")
        #expect(named.code == 0 && !Self.warns(named.text), "\(named.text)")
    }

    @Test @EventLoop func `init judges the same way, and writes as root`() async throws {
        let command = "init --from-patroni /mnt/config.yml --address 10.99.0.3/24 --interface lo --output"
        let closed = try await self.run("", command: "\(command) -")
        #expect(
            closed.code == 78 && closed.text.contains("cannot read '/mnt/config.yml': Permission denied"),
            "\(closed.text)")
        let open = try await self.run(
            Self.readable + "; mkdir -m 700 /mnt/root", command: "\(command) /mnt/root/new.yml")
        #expect(open.code == 0 && open.text.contains("wrote /mnt/root/new.yml"), "\(open.text)")
        let unit = "printf '[Service]\\nEnvironment=PATRONI_SCOPE=other\\n' >/run/systemd/system/patroni.service"
        let hidden = try await self.run("\(Self.readable); \(unit)", command: "\(command) -", sockets: "/tmp")
        #expect(hidden.code == 0 && hidden.text.contains("PrivateTmp=yes"), "\(hidden.text)")
        #expect(hidden.text.contains("patroni_environment: /run/systemd/system/patroni.service"), "\(hidden.text)")
    }

    @Test @EventLoop func `a group that is missing, and a user that is missing, are told`() async throws {
        let setup = "chmod 644 /mnt/config.yml"
        let none = try await self.run(setup, group: "other:x:64998:")
        #expect(none.code == 0 && !Self.warns(none.text), "\(none.text)")
        let dropIn = "printf '[Service]\\nSupplementaryGroups=postgres\\n' >/run/systemd/system/pharos.service.d/g.conf"
        let group = try await self.run("\(setup); \(dropIn)", group: "other:x:64998:")
        #expect(
            group.code == 0 && group.text.contains("warning: there is no group postgres, which pharos.service names"),
            "\(group.text)")
        #expect(group.text.contains("SupplementaryGroups= and SupplementaryGroups=GROUP"), "\(group.text)")
        let user = try await self.run("grep -v ^pharos: /mnt/passwd >/mnt/p; cat /mnt/p >/etc/passwd")
        #expect(
            user.code == 0 && user.text.contains("the files were read as root: there is no user pharos"), "\(user.text)"
        )
    }

    @Test @EventLoop func `a socket behind PrivateTmp is a warning with the ways out`() async throws {
        let hidden = try await self.run(Self.readable, sockets: "/tmp")
        #expect(
            hidden.code == 0 && hidden.text.contains("warning: postgres.conninfo: the daemon does not see"),
            "\(hidden.text)")
        #expect(
            hidden.text.contains("PrivateTmp=yes") && hidden.text.contains("PrivateTmp=no in a drop-in"),
            "\(hidden.text)")
        let dropIn = "printf '[Service]\\nPrivateTmp=no\\n' >/run/systemd/system/pharos.service.d/t.conf"
        let open = try await self.run("\(Self.readable); \(dropIn)", sockets: "/tmp")
        #expect(open.code == 0 && !Self.warns(open.text), "\(open.text)")
    }

    @Test @EventLoop func `a credential is checked before the service has ever run`() async throws {
        let path = "/run/credentials/pharos.service/patroni.yml"
        let dropIn =
            "printf '[Service]\\nLoadCredential=patroni.yml:/mnt/config.yml\\n' >/run/systemd/system/pharos.service.d/c.conf"
        let named = try await self.run(dropIn, config: path)
        #expect(named.code == 0 && named.text.contains("scope = demo  (\(path):1)"), "\(named.text)")
        #expect(!Self.warns(named.text), "\(named.text)")
        let unnamed = try await self.run("", config: path)
        #expect(unnamed.code == 78 && unnamed.text.contains("cannot read '\(path)'"), "\(unnamed.text)")
    }
}
