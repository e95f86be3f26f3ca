// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Lab

/// What `make demo` shows: leader changes on real clusters, each as a timeline with its figures.
struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Start a cluster with the daemon; switch over, fail over, freeze the daemon; then the same for a worker of Citus. Print what happened."
    )
    @Option(help: "A staged tree (make install DESTDIR=…) to put on every node.") var install: String
    @Flag(help: "Take the cluster down at the end.") var down = false

    func run() {
        let install = self.install
        let down = self.down
        runOnLoop { () async throws(LabError) in
            var options = LabOptions()
            options.installTree = install
            let clock = ContinuousClock()
            let began = clock.now
            let postgres = "PostgreSQL \(options.suite.recipe.postgres)"
            print(
                "A cluster of three nodes: systemd, etcd, Patroni, \(postgres), Pharos. The first run builds an image."
            )
            let lab = try await Lab.up(options) { print("  \($0)") }
            let leader = try await lab.awaitHealth()
            print(
                "It is up after \(seconds(since: began)): \(leader) leads and holds \(options.plainAddresses.joined(separator: " and "))."
            )

            try await DemoScene(lab, "1. A planned switchover").play {
                lab, _ async throws(LabError) in _ = try await lab.switchover()
            }
            try await DemoScene(lab, "2. The leader's node loses its power").play {
                lab, leader async throws(LabError) in try await lab.kill(leader)
            }
            try await lab.start(try await DemoScene.deadNode(lab))
            try await lab.awaitHealth()
            try await DemoScene(lab, "3. The leader's daemon is frozen (SIGSTOP), then a switchover").play {
                lab, leader async throws(LabError) in
                try await lab.freeze(leader, .pharos)
                _ = try await lab.switchover()
            }
            try await lab.heal()
            try await CitusDemo(install).play()
            if down {
                try await Lab.down()
            } else {
                print(Self.next)
            }
            return 0
        }
    }

    private static let next = """

        The Citus cluster is still up: n1 and n2 are the coordinator's group, n3 and n4 the worker's, n5 has etcd alone.
        Try (pharos-lab is .build/release/pharos-lab):
          pharos-lab status                              who leads, who holds what
          pharos-lab exec n1 -- pharos status            what the daemon of n1 knows, and why
          pharos-lab exec n1 -- pharos verify            pg_dist_node compared with everything
          pharos-lab journal n1 -- -u pharos -x          its journal, explained
          pharos-lab cut n1 --from etcd                  … and pharos-lab heal
          pharos-lab timeline                            what the observer has seen
        make demo-down takes it down.
        """
}

/// One part of the demo.
struct DemoScene {
    private let lab: Lab
    private let title: String

    init(_ lab: Lab, _ title: String) {
        self.lab = lab
        self.title = title
    }

    /// Does it, waits until another node leads and holds every address and writes work, and prints the timeline.
    @EventLoop
    func play(_ act: @EventLoop (Lab, String) async throws(LabError) -> Void) async throws(LabError) {
        print("\n\(self.title)")
        let leader = try await self.lab.awaitHealth()
        let start = try await self.lab.changeLeader(leader) { () async throws(LabError) in
            try await act(self.lab, leader)
        }
        print(try self.lab.timeline().render(since: start, until: Lab.now))
    }

    /// The node that is off.
    @EventLoop
    static func deadNode(_ lab: Lab) async throws(LabError) -> String {
        guard let node = try await lab.status().first(where: { !$0.isOn }) else {
            throw LabError(.state, "every node is on")
        }
        return node.node
    }
}
