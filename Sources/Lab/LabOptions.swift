// SPDX-License-Identifier: Apache-2.0

/// What a lab is made of; fixed for its life.
public struct LabOptions: Codable, Sendable, Equatable {
    /// The Debian release that the nodes run.
    public var suite = LabSuite.chosen
    /// Nodes in the cluster: 1 to 9, called n1, n2, … With Citus there are five, or eight.
    public var nodeCount = 3
    /// A Citus cluster instead of a plain one.
    public var citus: LabCitus?
    /// Patroni's `failsafe_mode`.
    public var failsafe = false
    /// Patroni's `ttl` in seconds; Patroni takes anything below 20 for 20.
    public var ttl = 20
    /// Patroni's `loop_wait` in seconds.
    public var loopWait = 2
    /// Patroni's `retry_timeout` in seconds; `loopWait + 2 * retryTimeout` must not exceed `ttl`.
    public var retryTimeout = 5
    /// `lease: ttl:` of pharos.yml in seconds; nil leaves it to the daemon's default.
    public var leaseTTL: Int?
    /// The virtual addresses, with prefix length, that pharos.yml names and that the observer watches.
    public var addresses = ["10.77.0.100/24", "fd77::100/64"]
    /// Text appended to /etc/pharos/pharos.yml.
    public var extraConfiguration = ""
    /// A staged tree (made by `make install DESTDIR=…`) that is copied into every node; nil: no daemon.
    public var installTree: String?
    /// Whether the observer and its writing client run.
    public var observe = true

    public init() {}

    /// Names of the nodes, in order.
    public var nodes: [String] {
        let count = self.citus.map { $0.workers == 1 ? 5 : 8 } ?? max(1, self.nodeCount)
        return (1...count).map { "n\($0)" }
    }

    /// Patroni's clusters; without Citus there is one.
    public var groups: [LabGroup] {
        self.citus.map(LabGroup.all)
            ?? [LabGroup(number: 0, nodes: self.nodes, scope: "demo", leaderKey: "/service/demo/leader")]
    }

    /// The group of a node; a witness has none.
    func group(of node: String) -> LabGroup? { self.groups.first { $0.nodes.contains(node) } }

    /// The virtual addresses without their prefix length.
    public var plainAddresses: [String] {
        self.addresses.map { String($0.prefix { $0 != "/" }) }
    }

    /// Throws what Patroni would refuse or correct silently, because a test must know what it runs with.
    public func validate() throws(LabError) {
        try LabSuite.check()
        guard (1...9).contains(self.nodeCount) else { throw LabError(.usage, "a lab has 1 to 9 nodes") }
        guard self.citus.map({ [1, 3].contains($0.workers) }) ?? true else {
            throw LabError(.usage, "a lab with Citus has 1 worker or 3")
        }
        guard self.ttl >= 20 else { throw LabError(.usage, "ttl: Patroni's minimum is 20 s") }
        guard self.loopWait >= 1, self.retryTimeout >= 3 else {
            throw LabError(.usage, "loop_wait is at least 1 s and retry_timeout at least 3 s")
        }
        guard self.loopWait + 2 * self.retryTimeout <= self.ttl else {
            throw LabError(.usage, "loop_wait + 2 x retry_timeout must not exceed ttl")
        }
        for address in self.addresses where address.split(separator: "/").count != 2 {
            throw LabError(.usage, "address \(address): expected ADDRESS/PREFIX")
        }
    }
}
