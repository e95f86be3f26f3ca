// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import Testing

/// From Debian 12's vip-manager to Pharos on the address of a running cluster, by the steps that `pharos migrate` prints.
extension LabTests {
    @Test(.enabled(if: LabSuite.chosen == .bookworm, "Debian 13 has no vip-manager")) @EventLoop
    func `a live address goes from vip-manager to Pharos, and no session ends`() async throws {
        func plain(_ options: inout LabOptions) { options.addresses = ["\(Scene.v4)/24"] }
        try await Scene.play("migration", plain) { scene in
            try await scene.giveToVipManager()
            let begun = Lab.now
            var outputs: [String: String] = [:]
            for node in scene.lab.options.nodes {
                outputs[node] = try await scene.lab.run(
                    node, ["pharos", "migrate", "--from", "/etc/default/vip-manager"])
            }
            let output = try #require(outputs[scene.leader])
            #expect(output.contains("it names \(scene.leader), this member"), "\(output)")
            #expect(output.contains("\(Scene.v4) stands on this node: on eth0"), "\(output)")
            let steps = PrintedStep.read(output)
            #expect(steps.map(\.place) == [.all, .all, .leader, .standbys, .leader, .any], "\(steps)")

            let report = try await scene.withWriters(20, for: .seconds(120)) {
                for step in steps { try await scene.follow(step) }
                try await scene.wait("\(scene.leader) holds \(Scene.v4)", .seconds(20)) {
                    try await scene.lab.holders(Scene.v4) == [scene.leader]
                }
            }
            #expect(report.errors.isEmpty && report.writes > 1000, "\(report)")
            let absence = try scene.timeline().absence(of: Scene.v4, since: begun, until: Lab.now)
            print(
                "from vip-manager to Pharos: nobody held the address for \(absence) ms; writes waited \(report.longestWait) ms at most"
            )
            #expect(absence < 2500, "nobody held the address for \(absence) ms")
            // It is Pharos's by now, on every node.
            #expect(try await scene.lifetimeEnd(of: Scene.v4, on: scene.leader) > Lab.now)
            for node in scene.lab.options.nodes {
                let states = try await scene.lab.exec(
                    node,
                    ["sh", "-c", "systemctl is-active vip-manager pharos; systemctl is-enabled vip-manager pharos"])
                #expect(states.text == "inactive\nactive\ndisabled\nenabled\n", "\(node): \(states.text)")
            }
            try await scene.awaitLog(scene.leader, "its lease is taken over")
            // And back, as printed: no session ends either.
            let back = try await scene.withWriters(20, for: .seconds(45)) {
                for node in scene.others + [scene.leader] {
                    try await scene.run(
                        node, "sh", "-c",
                        "systemctl disable --now --quiet pharos && systemctl enable --now --quiet vip-manager")
                }
                try await scene.wait("vip-manager has the address again", .seconds(30)) {
                    try await scene.lab.holders(Scene.v4) == [scene.leader]
                }
            }
            #expect(back.errors.isEmpty, "\(back)")
            for node in scene.lab.options.nodes {
                try await scene.run(
                    node, "sh", "-c",
                    "systemctl disable --now --quiet vip-manager && systemctl enable --now --quiet pharos")
            }
            try await scene.wait("\(scene.leader) holds \(Scene.v4)", .seconds(60)) {
                try await scene.lab.holders(Scene.v4) == [scene.leader]
            }
        }
    }
}

/// One of the steps that `pharos migrate` prints: `4. On each standby: …`, then commands, indented by seven, and a note.
private struct PrintedStep: CustomStringConvertible {
    enum Place { case all, leader, standbys, any }
    var place: Place
    var commands: [String]
    var description: String { "\(self.place): \(self.commands)" }

    static func read(_ output: String) -> [PrintedStep] {
        var steps: [PrintedStep] = []
        let lines = output.split(separator: "\n").drop { !$0.hasPrefix("The change-over") }.prefix {
            $0 != "The way back:"
        }
        for line in lines {
            let places: [(text: String, place: Place)] = [
                (". On each node", .all), (". On the leader's node", .leader), (". On each standby", .standbys),
                (". On any node", .any),
            ]
            if let found = places.first(where: { line.dropFirst().hasPrefix($0.text) }) {
                steps.append(PrintedStep(place: found.place, commands: []))
            } else if line.hasPrefix("       "), !steps.isEmpty {
                steps[steps.count - 1].commands.append(String(line.dropFirst(7)))
            }
        }
        return steps
    }
}

extension Scene {
    /// The cluster as it is before Pharos: vip-manager moves the address, and no daemon has ever met this etcd.
    ///
    /// Debian 12's vip-manager asks by API v2 only, and Patroni writes by v3 here: the leader key is put there by hand, once.
    fileprivate func giveToVipManager() async throws {
        for node in self.lab.options.nodes {
            try await self.run(
                node, "sh", "-c",
                """
                set -e
                systemctl disable --now --quiet pharos
                rm -rf /var/lib/pharos/* /etc/pharos/pharos.yml
                grep -q ETCD_ENABLE_V2 /etc/default/etcd || echo ETCD_ENABLE_V2=true >>/etc/default/etcd
                systemctl restart etcd
                """)
        }
        try await self.run(self.leader, "sh", "-c", "ETCDCTL_API=3 etcdctl del --prefix /pharos/")
        try await self.run(
            self.leader, "curl", "-fsS", "-X", "PUT", "-d", "value=\(self.leader)",
            "http://127.0.0.1:2379/v2/keys/service/demo/leader")
        for node in self.lab.options.nodes {
            try self.lab.write(
                node, "/etc/default/vip-manager",
                """
                VIP_IP="\(Self.v4)"
                VIP_MASK=24
                VIP_IFACE="eth0"
                VIP_KEY="/service/demo/leader"
                VIP_HOST="\(node)"
                VIP_TYPE="etcd"
                VIP_ENDPOINT="http://127.0.0.1:2379"

                """)
            try await self.run(node, "systemctl", "enable", "--now", "--quiet", "vip-manager")
        }
        try await self.wait("vip-manager on \(self.leader) has \(Self.v4)", .seconds(30)) {
            try await self.lab.holders(Self.v4) == [self.leader]
        }
        // Nobody has changed the leader by the restarts of etcd.
        #expect(try await self.lab.leader() == self.leader)
    }

    fileprivate func follow(_ step: PrintedStep) async throws {
        let nodes =
            switch step.place {
            case .all: self.lab.options.nodes
            case .leader: [self.leader]
            case .standbys: self.others
            case .any: [self.others[0]]
            }
        for node in nodes {
            for command in step.commands {
                let outcome = try await self.lab.exec(node, ["bash", "-c", command], timeout: .seconds(100))
                // What `pharos cluster` finds is not this step's to judge.
                let isGood = outcome.exitCode == 0 || command.hasPrefix("pharos cluster")
                #expect(isGood, "\(node): \(command): \(outcome.text)")
            }
        }
    }
}
