// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// The commands and the unit, as an operator meets them on a node.
extension LabTests {
    @Test @EventLoop func `status says who leads, who holds what, and why`() async throws {
        try await Scene.play("pharos status") { scene in
            let (leader, standby) = (scene.leader, scene.others[0])
            let said = try await scene.lab.exec(leader, ["pharos", "status"])
            #expect(said.exitCode == 0, "\(said.text)")
            for part in ["demo/\(leader): this node leads", "\(Scene.v4)/24  here, on eth0", "\(Scene.v6)/64  here"] {
                #expect(said.text.contains(part), "\(said.text)")
            }
            let other = try await scene.lab.exec(standby, ["pharos", "status"])
            #expect(other.exitCode == 0 && other.text.contains("not here, held by \(leader)"), "\(other.text)")

            let status = try await scene.status(leader)
            #expect(status["scope"]?.string == "demo" && status["member"]?.string == leader)
            #expect(status["leader"]?.string == leader && status["is_leader"]?.bool == true)
            #expect(status["has_contact"]?.bool == true && status["postgres"]?.string == "primary")
            #expect(status["etcd"]?["cluster_id"]?.uint64 != nil && status["etcd"]?["is_quarantined"]?.bool == false)
            #expect(status["paused"]?.bool == false && status["failsafe_mode"]?.bool == false)
            #expect(status["events"]?.array?.isEmpty == false)
            let addresses = try #require(status["addresses"]?.array)
            #expect(addresses.map { $0["address"]?.string } == Scene.addresses)
            for address in addresses {
                #expect(address["is_here"]?.bool == true && address["stance"]?.string == "hold")
                #expect(address["holder"]?.string == leader && address["interface"]?.string == "eth0")
                #expect(try #require(address["lifetime_seconds"]?.int64) > 5)
            }
            #expect(try await scene.status(standby)["addresses"]?.array?[0]["reason"]?.string == "leader_is_another")

            #expect(
                try await scene.property(leader, "StatusText") == "leader; \(Scene.v4) is here; \(Scene.v6) is here")
            let text = try await scene.property(standby, "StatusText")
            #expect(text.hasPrefix("leader is \(leader); \(Scene.v4) does not belong here: "), "\(text)")
        }
    }

    @Test @EventLoop func `the whole cluster is shown from any node, and what is the matter with it`() async throws {
        try await Scene.play("pharos cluster") { scene in
            let (leader, standby, third) = (scene.leader, scene.others[0], scene.others[1])
            @EventLoop func pharos(_ arguments: String...) async throws -> (code: Int32?, text: String) {
                let outcome = try await scene.lab.exec(standby, ["pharos"] + arguments)
                return (outcome.exitCode, outcome.text)
            }
            // Until every member has been asked once.
            try await scene.wait("the cluster to be in order", .seconds(60)) { try await pharos("cluster").code == 0 }
            let table = try await pharos("cluster").text.split(separator: "\n").map(String.init)
            #expect(table[0].hasPrefix("demo, as the daemon of \(standby) knows it (etcd is watched, read"))
            let header = try #require(table.firstIndex { $0.hasPrefix("GROUP  MEMBER") })
            #expect(
                table[1..<header].contains { $0.hasPrefix("  group 0: ") && $0.contains("single failures") }, "\(table)"
            )
            for node in [leader, standby, third] {
                let row = try #require(table.dropFirst(header + 1).first { $0.contains(" \(node) ") })
                    .split(separator: " ").map(String.init)
                #expect(row[2] == (node == leader ? "leader" : "standby") && row[3] == "well", "\(row)")
                let held = row.filter { $0 == Scene.v4 || $0 == Scene.v6 }
                #expect(held == (node == leader ? Scene.addresses : []), "\(row)")
            }
            let check = try await pharos("cluster", "--check")
            #expect(check.code == 0 && check.text.hasPrefix("PHAROS OK - 1 groups, 3 members, 2 of 2"), "\(check.text)")
            #expect(try await pharos("watch").text.contains("last records here:"), "into a pipe: one picture")
            let screen = try await scene.lab.exec(
                standby, ["sh", "-c", "timeout 10 script -qec 'timeout --foreground -s INT 3 pharos watch' /dev/null"])
            #expect(screen.text.contains("\u{1b}[?1049h") && screen.text.contains("\u{1b}[?1049l"), "\(screen.text)")
            // A server that was just starting when it was asked is asked again within half a minute.
            try await scene.wait("everybody to be reached", .seconds(60)) { try await pharos("crosscheck").code == 0 }
            #expect(try await pharos("crosscheck").text.contains("by \(leader)/0"))

            try await scene.run(third, "systemctl", "stop", "pharos")
            // One that stops says so.
            try await scene.wait("the daemon to be missed", .seconds(5)) {
                let missed = try await pharos("cluster")
                print(missed.text)
                return missed.code == 1 && missed.text.contains("- \(third) (group 0): no Pharos publishes there")
            }
            try await scene.run(third, "systemctl", "start", "pharos")
            try await scene.wait("the cluster to be in order again", .seconds(60)) {
                try await pharos("cluster").code == 0
            }
        }
    }

    @Test @EventLoop func `the unit is clean and confined`() async throws {
        try await Scene.play("the unit") { scene in
            // Manual pages are not looked up: the nodes have no man.
            let verified = try await scene.lab.exec(
                scene.leader, ["systemd-analyze", "verify", "--man=no", "/usr/lib/systemd/system/pharos.service"])
            #expect(verified.exitCode == 0 && verified.text.isEmpty, "\(verified.text)")
            // Tenths of the exposure.
            let security = try await scene.lab.exec(
                scene.leader, ["systemd-analyze", "security", "--no-pager", "--threshold=20", "pharos.service"])
            let summary = security.text.split(separator: "\n").last { $0.contains("exposure level") } ?? ""
            print(summary)
            #expect(security.exitCode == 0 && summary.contains("pharos.service"), "\(security.text)")
        }
    }

    @Test @EventLoop func `a configuration is made from Patroni's, checked, and its mistakes are named`() async throws {
        try await Scene.play("pharos init and check-config") { scene in
            func pharos(_ arguments: String...) async throws -> (code: Int32?, text: String) {
                let outcome = try await scene.lab.exec(scene.others[0], ["pharos"] + arguments)
                return (outcome.exitCode, outcome.text)
            }
            let good = try await pharos("check-config")
            #expect(good.code == 0 && good.text.contains(Scene.v4) && !good.text.contains("warning"), "\(good.text)")

            let path = "/tmp/pharos.yml"
            func initialize(_ interface: String, _ more: String...) async throws -> (code: Int32?, text: String) {
                let outcome = try await scene.lab.exec(
                    scene.others[0],
                    [
                        "pharos", "init", "--from-patroni", "/etc/patroni/config.yml", "--address", "\(Scene.v4)/24",
                        "--interface", interface, "--output", path,
                    ] + more)
                return (outcome.exitCode, outcome.text)
            }
            let made = try await initialize("eth0")
            #expect(made.code == 0 && made.text.contains("wrote \(path)"), "\(made.text)")
            let checked = try await pharos("check-config", "--config", path)
            #expect(checked.code == 0 && checked.text.contains("etc/patroni/config.yml"), "\(checked.text)")
            let again = try await initialize("eth9")
            #expect(again.code == 78 && again.text.contains("exists already"), "\(again.text)")
            #expect(try await initialize("eth9", "--force").code == 0)
            let missing = try await pharos("check-config", "--config", path)
            #expect(missing.code == 0 && missing.text.contains("no interface eth9"), "\(missing.text)")

            try await scene.run(scene.others[0], "sh", "-c", "echo 'adresses: []' >>\(path)")
            let broken = try await pharos("check-config", "--config", path)
            #expect(broken.code == 78 && broken.text.contains("did you mean 'addresses'"), "\(broken.text)")
            #expect(broken.text.contains("\(path):"), "\(broken.text)")
            try await scene.run(scene.others[0], "rm", path)
        }
    }

    @Test @EventLoop func `release takes the addresses off without a daemon`() async throws {
        try await Scene.play("pharos release") { scene in
            try await scene.keepDown("pharos")
            try await scene.crash()
            try await scene.awaitHolders([scene.leader], .seconds(2))
            let silent = try await scene.lab.exec(scene.leader, ["pharos", "status"])
            #expect(silent.exitCode == 69 && silent.text.contains("no daemon answers"), "\(silent.text)")
            let text = try await scene.lab.run(scene.leader, ["pharos", "release"])
            #expect(text.contains("removed \(Scene.v4)/32") && text.contains("removed \(Scene.v6)/128"), "\(text)")
            for address in Scene.addresses { #expect(try await scene.lab.holders(address) == []) }
            try await scene.bringBack("pharos")
            try await scene.awaitHolders([scene.leader], .seconds(30))
        }
    }

    @Test @EventLoop func `no secret is in the journal, in an argument or in an environment`() async throws {
        try await Scene.play("secrets") { scene in
            let node = scene.others[0]
            let secrets = ["etcd", "rest", "stray"].map { "\($0)-secret-\(Lab.now)" }
            try await scene.run(
                node, "sh", "-c",
                """
                set -e
                cp -p /etc/patroni/config.yml /etc/pharos/pharos.yml /root/
                sed -i 's|^restapi:|restapi:\\n  authentication: {username: operator, password: \(secrets[1])}|' \
                    /etc/patroni/config.yml
                printf %s '\(secrets[0])' >/etc/pharos/password
                chown pharos /etc/pharos/password
                chmod 600 /etc/pharos/password
                echo 'etcd: {username: pharos, password_file: /etc/pharos/password}' >>/etc/pharos/pharos.yml
                systemctl restart pharos
                """)
            let shown = try await scene.lab.exec(node, ["pharos", "check-config"])
            #expect(shown.exitCode == 0 && shown.text.contains("operator"), "\(shown.text)")
            // What goes wrong is told, with its cause: etcd that does not answer, a file that is no configuration.
            try await scene.lab.cut(node, from: [.etcd])
            try await scene.awaitLog(node, "etcd cannot be read", .seconds(20))
            try await scene.lab.heal(node)
            try await scene.awaitLog(node, "etcd can be read again", .seconds(20))
            try await scene.run(
                node, "sh", "-c",
                "echo 'patroni: {password: \(secrets[2])}' >>/etc/pharos/pharos.yml && systemctl reload pharos")
            try await scene.awaitLog(node, "the new configuration is refused")
            let status = try await scene.lab.exec(node, ["pharos", "status", "--json"]).text

            let processes = try await scene.lab.run(
                node, ["sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"])
            let journal = try await scene.lab.journal(node, ["-o", "export"])
            #expect(processes.contains("/usr/sbin/pharosd") && journal.contains("the new configuration is refused"))
            for secret in secrets {
                #expect(!processes.contains(secret), "an argument or an environment holds \(secret)")
                #expect(!journal.contains(secret), "the journal holds \(secret)")
                #expect(!status.contains(secret) && !shown.text.contains(secret))
            }
            try await scene.run(
                node, "sh", "-c",
                "mv /root/config.yml /etc/patroni/ && mv /root/pharos.yml /etc/pharos/ && systemctl restart pharos")
        }
    }
}
