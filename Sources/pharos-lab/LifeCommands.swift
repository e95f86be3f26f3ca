// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import EventLoop
public import Lab

extension LabCitus.Layout: ExpressibleByArgument {}
extension LabSuite: ExpressibleByArgument {}

struct Up: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Start a lab; an earlier one is replaced.")
    @Option(
        help: """
            The nodes' Debian: bookworm (12), trixie (13) or trixie-patroni-4.1 (13 with Patroni 4.1); without it, \
            $PHAROS_LAB_SUITE, or else 12.
            """)
    var suite: LabSuite?
    @Option(help: "Nodes in the cluster.") var nodes = 3
    @Flag(help: "Switch Patroni's failsafe_mode on.") var failsafe = false
    @Option(help: "Patroni's ttl in seconds, at least 20.") var ttl = 20
    @Option(help: "Patroni's loop_wait in seconds.") var loopWait = 2
    @Option(help: "Patroni's retry_timeout in seconds.") var retryTimeout = 5
    @Option(help: "The address lease's ttl in seconds; without it, the daemon's default.") var leaseTTL: Int?
    @Option(name: .customLong("address"), help: "A virtual address with its prefix length; repeatable.")
    var addresses: [String] = []
    @Option(help: "A staged tree (make install DESTDIR=…) to put on every node.") var install: String?
    @Option(name: .customLong("extra"), help: "Text to add to the nodes' pharos.yml; repeatable, a line each.")
    var extraLines: [String] = []
    @Option(
        help: "A Citus cluster of two groups, two nodes each: citus-mode (Patroni's) or scopes (a scope per group).")
    var citus: LabCitus.Layout?
    @Option(name: .customLong("citus-setting"), help: "A line for the section citus of pharos.yml; repeatable.")
    var citusSettings: [String] = []
    @Flag(name: .customLong("no-observer"), help: "Start no observer and no writing client.") var noObserver = false

    func run() {
        var options = LabOptions()
        if let suite = self.suite { options.suite = suite }
        options.nodeCount = self.nodes
        options.failsafe = self.failsafe
        options.ttl = self.ttl
        options.loopWait = self.loopWait
        options.retryTimeout = self.retryTimeout
        options.leaseTTL = self.leaseTTL
        if !self.addresses.isEmpty { options.addresses = self.addresses }
        options.installTree = self.install
        options.extraConfiguration = self.extraLines.map { "\($0)\n" }.joined()
        options.observe = !self.noObserver
        if let layout = self.citus {
            options.citus = LabCitus(layout)
            options.citus?.settings = self.citusSettings
        }
        let chosen = options
        runOnLoop { () async throws(LabError) in
            let clock = ContinuousClock()
            let began = clock.now
            let lab = try await Lab.up(chosen) { complain($0) }
            complain("machines are on after \(seconds(since: began))")
            try await lab.waitUntilReady()
            complain("leader elected and standbys streaming after \(seconds(since: began))")
            if chosen.citus != nil {
                try await lab.prepareCitus()
                complain("\(lab.citusDescription): every group registered after \(seconds(since: began))")
            }
            return 0
        }
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show the nodes, their roles and their addresses.")

    func run() {
        runOnLoop { () async throws(LabError) in
            let lab = try Lab.running()
            let leader = try await lab.leader()
            print("leader key: \(leader ?? "none")")
            for node in try await lab.status() {
                let addresses = node.addresses.isEmpty ? "-" : node.addresses.joined(separator: " ")
                let power = node.isOn ? "on " : "off"
                print(
                    "\(node.node)  \(power)  \(node.patroni ?? "no answer")  streaming: \(node.streaming)  \(addresses)"
                )
            }
            return 0
        }
    }
}

struct Down: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "End the lab, or what is left of one.")

    func run() {
        runOnLoop { () async throws(LabError) in
            try await Lab.down()
            return 0
        }
    }
}

/// Seconds since an instant, with one decimal.
func seconds(since instant: ContinuousClock.Instant) -> String {
    let tenths = (ContinuousClock().now - instant) / .milliseconds(100)
    return "\((tenths.rounded() / 10)) s"
}
