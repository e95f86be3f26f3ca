// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import HTTPClient
import TestSupport
import Testing

@testable import pharos

/// `pharos migrate`, in a mount namespace of its own below /mnt, where everybody may read.
@Suite(.serialized, .enabled(if: geteuid() == 0))
struct MigrateTests {
    init() { EventLoop.shared.executor.startThread() }

    private static let old = """
        ip: 10.99.0.3
        netmask: 24
        interface: lo
        trigger-key: /service/demo/leader
        trigger-value: n1
        dcs-type: etcd
        dcs-endpoints: [ENDPOINT]
        etcd-user: vip
        etcd-password: never-shown-5
        interval: 1000
        """

    /// Exit code and all output of what the shell does in /mnt, where `pharos` is the built command.
    @EventLoop private func run(
        _ commands: String, endpoint: String = "http://127.0.0.1:2", patroni: String = "127.0.0.1:2",
        isCutOff: Bool = false
    ) async throws -> (code: Int32?, text: String) {
        let script = """
            exec 2>&1
            mount -t tmpfs none /mnt && chmod 755 /mnt && cd /mnt || exit 99
            cat >old.yml <<'EOF'
            \(Self.old.replacing("ENDPOINT", with: endpoint))
            EOF
            cat >config.yml <<'EOF'
            scope: demo
            name: n1
            restapi: {listen: "127.0.0.1:8008"}
            etcd3: {host: "\(patroni)"}
            postgresql: {listen: "*:5432", data_dir: /d, parameters: {unix_socket_directories: /run/postgresql}}
            EOF
            chmod 644 old.yml config.yml
            pharos() { '\(try TestProcess.built("pharos"))' "$@"; }
            \(commands)
            """
        let outcome = try await ChildProcess(
            ["/usr/bin/unshare", isCutOff ? "-mn" : "-m", "/bin/bash", "-c", script], timeout: .seconds(60)
        ).run()
        return (outcome.exitCode, outcome.text)
    }

    private static let command =
        "pharos migrate --from /mnt/old.yml --from-patroni /mnt/config.yml --output /mnt/new.yml"

    @Test @EventLoop func `a dry run writes nothing, and says the same`() async throws {
        let dry = try await self.run("\(Self.command) --dry-run && ls")
        #expect(dry.code == 0 && dry.text.contains("The new file, /mnt/new.yml (not written):"), "\(dry.text)")
        #expect(dry.text.contains("/mnt/old.yml:10: 'interval': how often it asked"), "\(dry.text)")
        #expect(dry.text.contains("! etcd could not be asked, so whether the key exists is not known"), "\(dry.text)")
        #expect(dry.text.contains("  10.99.0.3 does not stand on this node"), "\(dry.text)")
        #expect(
            dry.text.contains("5. On the leader's node, in one line") && dry.text.contains("The way back:"),
            "\(dry.text)")
        #expect(dry.text.hasSuffix("config.yml\nold.yml\n"), "\(dry.text)")
        #expect(!dry.text.contains("never-shown"))
    }

    @Test @EventLoop func `it writes the file, and never over another without --force`() async throws {
        let made = try await self.run("\(Self.command) >/dev/null && cat new.yml && ls")
        #expect(
            made.code == 0 && made.text.contains("  - { address: \"10.99.0.3/24\", interface: lo }"), "\(made.text)")
        #expect(!made.text.contains("etcd:") && !made.text.contains("etcd-password"), "\(made.text)")
        let kept = try await self.run("echo mine >new.yml; \(Self.command) >/dev/null; echo $?; cat new.yml")
        #expect(
            kept.text.hasSuffix("/mnt/new.yml: exists already; --force replaces it. Nothing was written\n78\nmine\n"),
            "\(kept.text)")
        let forced = try await self.run(
            "echo mine >new.yml; \(Self.command) --force >/dev/null && grep -c mine new.yml")
        #expect(forced.text.hasSuffix("0\n"), "\(forced.text)")
        let shown = try await self.run(
            "pharos migrate --from old.yml --from-patroni /mnt/config.yml --output - 2>/dev/null && ls")
        #expect(
            shown.text.hasPrefix("# Pharos keeps the address") && shown.text.hasSuffix("config.yml\nold.yml\n"),
            "\(shown.text)")
    }

    @Test @EventLoop func `a password goes into a file of mode 600, and is printed nowhere`() async throws {
        let made = try await self.run(
            "\(Self.command); stat -c '%a %n' etcd-password new.yml; cat new.yml; wc -c <etcd-password",
            endpoint: "http://10.254.254.1:2379", isCutOff: true)
        #expect(made.text.contains("600 etcd-password\n644 new.yml\n"), "\(made.text)")
        #expect(made.text.contains("  password_file: /mnt/etcd-password\n"), "\(made.text)")
        #expect(made.text.hasSuffix("\n14\n") && !made.text.contains("never-shown"), "\(made.text)")
    }

    @Test @EventLoop func `etcd is asked who leads`() async throws {
        let http = HTTPClient()
        defer { http.close() }
        let etcd = try await LocalEtcd(http: http)
        let url = etcd.endpoints[0]
        for (key, value) in [("leader", "n1"), ("members/n1", "{}"), ("members/n2", "{}")] {
            let put = [
                "/usr/bin/env", "ETCDCTL_API=3", "etcdctl", "--endpoints", url, "put", "/service/demo/\(key)", value,
            ]
            let outcome = try await ChildProcess(put, timeout: .seconds(20)).run()
            #expect(outcome.exitCode == 0, "\(outcome.text)")
        }
        let place = String(url.dropFirst("http://".count))
        let asked = try await self.run("\(Self.command) --dry-run", endpoint: url, patroni: place)
        #expect(asked.text.contains("  it names n1, this member\n"), "\(asked.text)")
        #expect(asked.text.contains("  members in etcd: n1, n2\n"), "\(asked.text)")
        #expect(asked.text.contains("! 10.99.0.3 does not stand on this node, though it leads"), "\(asked.text)")
        let here = try await self.run(
            "unshare -n sh -c 'ip link set lo up; ip addr add 10.99.0.3/24 dev lo; \(try TestProcess.built("pharos")) migrate "
                + "--from /mnt/old.yml --from-patroni /mnt/config.yml --output /mnt/new.yml --dry-run'", endpoint: url,
            patroni: place)
        #expect(
            here.text.contains("10.99.0.3 stands on this node: on lo as 10.99.0.3/24, without an end"), "\(here.text)")
    }

    @Test @EventLoop func `what cannot be carried over ends with 78 and a place`() async throws {
        let other = try await self.run("sed -i s/demo/other/ config.yml; \(Self.command) --dry-run")
        #expect(
            other.code == 78 && other.text.contains("/mnt/old.yml:4: trigger-key is '/service/demo/leader'"),
            "\(other.text)")
        let none = try await self.run("\(Self.command.replacing("old.yml", with: "none.yml"))")
        #expect(none.code == 78 && none.text.contains("/mnt/none.yml: cannot be read: No such file"), "\(none.text)")
        let random = try await self.run("head -c 3000 /dev/urandom >old.yml; \(Self.command)")
        #expect(random.code == 78 && random.text.contains("not a text file"), "\(random.text)")
        let unsaid = try await self.run("pharos migrate; echo $?; pharos migrate --from old.yml --kind other; echo $?")
        #expect(unsaid.text.contains("\n64\n") && unsaid.text.hasSuffix("64\n"), "\(unsaid.text)")
    }
}
