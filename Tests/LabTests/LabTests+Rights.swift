// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// Files and groups as people have them: what the daemon may read, and what it may not.
extension LabTests {
    private static let dropIn = "/etc/systemd/system/pharos.service.d"

    @Test @EventLoop func `files that only postgres may read are handed over as credentials`() async throws {
        try await Scene.play("LoadCredential") { scene in
            let node = scene.others[0]
            func check() async throws -> (code: Int32?, text: String) {
                let outcome = try await scene.lab.exec(node, ["pharos", "check-config"])
                return (outcome.exitCode, outcome.text)
            }
            try await scene.run(
                node, "sh", "-c",
                """
                set -e
                cp -p /etc/patroni/config.yml /etc/pharos/pharos.yml /root/
                chown postgres:postgres /etc/patroni/config.yml
                chmod 600 /etc/patroni/config.yml
                """)
            let closed = try await check()
            #expect(
                closed.code == 78 && closed.text.contains("cannot read '/etc/patroni/config.yml'"), "\(closed.text)")
            #expect(closed.text.contains("LoadCredential="), "\(closed.text)")

            try await scene.run(
                node, "sh", "-c",
                """
                set -e
                mkdir -p \(Self.dropIn)
                printf '[Service]\\nLoadCredential=patroni.yml:/etc/patroni/config.yml\\n' >\(Self.dropIn)/credential.conf
                sed -i 's|^patroni_config:.*|patroni_config: /run/credentials/pharos.service/patroni.yml|' /etc/pharos/pharos.yml
                systemctl daemon-reload
                """)
            let before = try await check()
            #expect(before.code == 0 && !before.text.contains("warning"), "\(before.text)")
            try await scene.run(node, "systemctl", "restart", "pharos")
            let after = try await check()
            #expect(after.code == 0 && after.text.contains("scope = "), "\(after.text)")
            // A reload reads the copy again, which is that of the start.
            try await scene.run(node, "systemctl", "reload", "pharos")
            try await scene.pause(.seconds(2))
            #expect(try await !scene.log(node).contains("the old one stays"))
            // It serves as well as any.
            _ = try await scene.insistOnSwitchover(to: node)
            try await scene.awaitHolders([node], .seconds(30))

            try await scene.run(
                node, "sh", "-c",
                """
                set -e
                rm \(Self.dropIn)/credential.conf
                cp -p /root/config.yml /etc/patroni/config.yml
                cp -p /root/pharos.yml /etc/pharos/pharos.yml
                systemctl daemon-reload
                systemctl restart pharos
                """)
            #expect(try await check().code == 0)
            try await scene.awaitHolders([node], .seconds(30))
        }
    }

    @Test @EventLoop
    func `the unit starts whatever the group of PostgreSQL is called, and waits between starts that cannot be`()
        async throws
    {
        try await Scene.play("groups") { scene in
            let node = scene.others[0]
            func active() async throws -> Bool {
                try await scene.lab.exec(node, ["systemctl", "is-active", "--quiet", "pharos"]).exitCode == 0
            }
            try await scene.run(node, "sed", "-i", "s/^postgres:/pgother:/", "/etc/group")
            try await scene.run(node, "systemctl", "restart", "pharos")
            #expect(try await active())
            #expect(try await scene.lab.exec(node, ["pharos", "check-config"]).exitCode == 0)

            // A group that a drop-in names and that is none.
            try await scene.run(
                node, "sh", "-c",
                """
                mkdir -p \(Self.dropIn)
                printf '[Service]\\nSupplementaryGroups=postgres\\n' >\(Self.dropIn)/group.conf
                systemctl daemon-reload
                systemctl restart --no-block pharos
                """)
            try await scene.pause(.seconds(7))
            let told = try await scene.lab.run(node, ["journalctl", "-u", "pharos", "--since", "-7s", "-o", "cat"])
            let starts = told.split(separator: "\n").count { $0.hasPrefix("Starting ") }
            #expect(try await !active() && (1...4).contains(starts), "\(starts) starts in 7 s: \(told)")
            let checked = try await scene.lab.exec(node, ["pharos", "check-config"])
            #expect(checked.text.contains("there is no group postgres"), "\(checked.text)")
            // Whoever stops it does not get it back.
            try await scene.run(node, "systemctl", "stop", "pharos")
            try await scene.pause(.seconds(4))
            let state = try await scene.property(node, "SubState")
            #expect(state != "running" && !state.hasPrefix("start") && !state.hasPrefix("auto"), "\(state)")
            // The manual's recipe: the first line forgets what was named before.
            try await scene.run(
                node, "sh", "-c",
                """
                printf '[Service]\\nSupplementaryGroups=\\nSupplementaryGroups=pgother\\n' >\(Self.dropIn)/zz.conf
                systemctl daemon-reload
                systemctl restart pharos
                """)
            #expect(try await active())

            try await scene.run(
                node, "sh", "-c",
                """
                set -e
                rm \(Self.dropIn)/group.conf \(Self.dropIn)/zz.conf
                sed -i s/^pgother:/postgres:/ /etc/group
                systemctl daemon-reload
                systemctl restart pharos
                """)
            #expect(try await active())
        }
    }

    @Test @EventLoop func `a socket behind PrivateTmp is named before anybody waits for the address`() async throws {
        try await Scene.play("a socket in /tmp") { scene in
            let node = scene.others[0]
            try await scene.run(
                node, "sh", "-c",
                """
                set -e
                cp -p /etc/patroni/config.yml /etc/patroni/tmp.yml
                sed -i 's|unix_socket_directories:.*|unix_socket_directories: /tmp|' /etc/patroni/tmp.yml
                sed 's|^patroni_config:.*|patroni_config: /etc/patroni/tmp.yml|' /etc/pharos/pharos.yml >/srv/pharos-tmp.yml
                """)
            let told = try await scene.lab.exec(node, ["pharos", "check-config", "--config", "/srv/pharos-tmp.yml"])
            #expect(told.exitCode == 0 && told.text.contains("PrivateTmp=yes"), "\(told.text)")
            // The daemon's own record says it, too.
            try await scene.run(node, "cp", "-p", "/etc/pharos/pharos.yml", "/root/")
            try await scene.run(node, "cp", "/srv/pharos-tmp.yml", "/etc/pharos/pharos.yml")
            try await scene.run(node, "systemctl", "restart", "pharos")
            _ = try await scene.insistOnSwitchover(to: node)
            try await scene.awaitLog(node, "its unit says PrivateTmp=yes", .seconds(30))
            try await scene.run(node, "cp", "-p", "/root/pharos.yml", "/etc/pharos/pharos.yml")
            try await scene.run(node, "rm", "/etc/patroni/tmp.yml", "/srv/pharos-tmp.yml")
            try await scene.run(node, "systemctl", "restart", "pharos")
            try await scene.awaitHolders([node], .seconds(40))
        }
    }
}
