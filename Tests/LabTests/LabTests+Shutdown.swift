// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// Nodes that are switched off in order.
extension LabTests {
    @Test @EventLoop func `a shutdown of the leader's node gives the keys back at once, by an etcd that it stops too`()
        async throws
    {
        try await Scene.play("shutdown of the leader's node") { scene in
            let node = scene.leader
            try await scene.lab.giveEtcdLeadership(to: scene.others[0])
            // Only the node's own etcd is asked; a stop takes long enough that what systemd orders decides; and Patroni is
            // started and stopped as Debian has it, without regard to etcd.
            try await scene.run(
                node, "sh", "-c",
                """
                set -e
                cp -p /etc/pharos/pharos.yml /etc/systemd/system/patroni.service.d/lab.conf /root/
                rm /etc/systemd/system/patroni.service.d/lab.conf
                echo 'etcd: {endpoints: ["http://127.0.0.1:2379"]}' >>/etc/pharos/pharos.yml
                mkdir -p /etc/systemd/system/pharos.service.d
                printf '[Service]\\nExecStop=/bin/sleep 2\\n' >/etc/systemd/system/pharos.service.d/slow.conf
                systemctl daemon-reload
                systemctl kill -s KILL pharos
                """)
            try await scene.awaitLog(node, "its lease is taken over")
            let begun = Lab.now
            try await scene.lab.shutDown(node)
            let target = try await scene.awaitNewLeader(.seconds(60))
            try await scene.awaitHolders([target], .seconds(40))
            let (_, delay) = try await scene.handover(to: target, since: begun)
            print("the addresses came \(delay) ms after they could")
            // A lease runs for 20 s.
            #expect(delay < 10_000, "\(target) had them \(delay) ms after it could")
            let told = try await scene.log(node)
            for address in Scene.addresses { #expect(told.contains("the key of \(address) was given back"), "\(told)") }
            #expect(told.contains("stopped; no address is left here"), "\(told)")

            try await scene.lab.start(node)
            try await scene.wait("\(node) to be up", .seconds(30)) {
                try await scene.lab.exec(node, ["systemctl", "is-active", "pharos"]).exitCode == 0
            }
            try await scene.run(
                node, "sh", "-c",
                """
                mv /root/pharos.yml /etc/pharos/ && mv /root/lab.conf /etc/systemd/system/patroni.service.d/
                rm -r /etc/systemd/system/pharos.service.d && systemctl daemon-reload && systemctl kill -s KILL pharos
                """)
        }
    }
}
