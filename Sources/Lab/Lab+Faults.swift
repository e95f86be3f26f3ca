// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// What can go wrong with a node, on request. Every method leaves a mark in the record.
extension Lab {
    /// From whom a node is cut off.
    public enum Side: String, Sendable, CaseIterable {
        /// Every etcd, its own included; clients and Patroni's other traffic pass.
        case etcd
        /// The other nodes.
        case peers
        /// The client.
        case clients
        /// The other nodes, but for etcd's traffic: the node keeps its keys, and nobody can use it.
        case members
        /// Everybody who would reach its PostgreSQL over the network; everything else passes.
        case postgres
    }

    /// What can be frozen in a node on its own.
    public enum Program: String, Sendable, CaseIterable {
        case pharos, patroni, postgres, etcd
    }

    /// Stops a program of the node with SIGSTOP, or all of the node in the kernel's freezer.
    @EventLoop
    public func freeze(_ node: String, _ program: Program? = nil) async throws(LabError) {
        try self.check(node)
        try self.mark("freeze of \(program?.rawValue ?? "everything") on \(node)")
        guard let program else { return try ControlGroup(node).setFrozen(true) }
        var stopped: Set<Int32> = []
        // Again until nothing new is found: a process may fork while its family is being stopped.
        while true {
            let processes = try self.processes(of: program, on: node).filter { !stopped.contains($0) }
            if processes.isEmpty { break }
            for process in processes { Glibc.kill(process, SIGSTOP) }
            stopped.formUnion(processes)
        }
        if stopped.isEmpty { throw LabError(.state, "\(program.rawValue) does not run on \(node)") }
    }

    /// Undoes ``freeze(_:_:)``; without a program, everything runs on.
    @EventLoop
    public func thaw(_ node: String, _ program: Program? = nil) async throws(LabError) {
        try self.check(node)
        try self.mark("thaw of \(program?.rawValue ?? "everything") on \(node)")
        try self.thawQuietly(node, program)
    }

    private func thawQuietly(_ node: String, _ program: Program? = nil) throws(LabError) {
        try ControlGroup(node).setFrozen(false)
        for program in program.map({ [$0] }) ?? Program.allCases {
            for process in try self.processes(of: program, on: node) { Glibc.kill(process, SIGCONT) }
        }
    }

    /// Ids, as the host numbers them, of a program's processes in a node.
    public func processes(of program: Program, on node: String) throws(LabError) -> [Int32] {
        try self.check(node)
        return try ControlGroup(node).processes().filter { process in
            let name = Host.readText("/proc/\(process)/comm") ?? ""
            switch program {
            case .pharos: return name == "pharosd\n"
            case .etcd, .postgres: return name == "\(program.rawValue)\n"
            case .patroni:
                // A Python script: its name is in the arguments. A `postgres` that it started has its own.
                let arguments = (Host.readText("/proc/\(process)/cmdline") ?? "").split(separator: "\0")
                return arguments.count > 1 && arguments[1] == "/usr/bin/patroni"
            }
        }
    }

    /// Cuts a node off: without `sides` at the switch, with carrier up; else by a packet filter inside the node.
    @EventLoop
    public func cut(_ node: String, from sides: [Side] = []) async throws(LabError) {
        try self.check(node)
        let names = sides.map(\.rawValue).joined(separator: ", ")
        try self.mark("cut of \(node) from \(sides.isEmpty ? "everything" : names)")
        guard !sides.isEmpty else { return try await Network.setPlugged(node, false) }
        try await PacketFilter(node: node).add(sides.flatMap { self.rules(against: $0, on: node) })
    }

    private func rules(against side: Side, on node: String) -> [String] {
        switch side {
        case .etcd:
            // On the loopback interface too: the node's own etcd, once cut off, would answer stale reads.
            return ["tcp dport {2379, 2380} drop", "tcp sport {2379, 2380} drop"]
        case .peers:
            let others = self.options.nodes.filter { $0 != node }
            guard !others.isEmpty else { return [] }
            return Self.drop(others.map(LabLayout.address), others.map(LabLayout.address6))
        case .members:
            let others = self.options.nodes.filter { $0 != node }
            guard !others.isEmpty else { return [] }
            let etcd = "{2379, 2380}"
            return Self.drop(
                others.map(LabLayout.address), others.map(LabLayout.address6),
                "tcp sport != \(etcd) tcp dport != \(etcd)")
        case .postgres: return ["meta iifname != lo tcp dport 5432 drop", "meta iifname != lo tcp sport 5432 drop"]
        case .clients:
            return Self.drop([LabLayout.clientAddress], [LabLayout.clientAddress6])
        }
    }

    private static func drop(_ v4: [String], _ v6: [String], _ what: String = "") -> [String] {
        ["saddr", "daddr"].flatMap { end in
            [
                "ip \(end) {\(v4.joined(separator: ", "))} \(what) drop",
                "ip6 \(end) {\(v6.joined(separator: ", "))} \(what) drop",
            ]
        }
    }

    /// Loses this share of the packets that reach or leave a node.
    @EventLoop
    public func lose(_ node: String, percent: Int) async throws(LabError) {
        try self.check(node)
        guard (1...100).contains(percent) else { throw LabError(.usage, "a loss is 1 to 100 percent") }
        try self.mark("loss of \(percent) % on \(node)")
        try await PacketFilter(node: node).add(["meta iifname != lo numgen random mod 100 < \(percent) drop"])
    }

    /// Undoes cuts, losses and freezes, on one node or on all that are on.
    @EventLoop
    public func heal(_ node: String? = nil) async throws(LabError) {
        if let node { try self.check(node) }
        try self.mark("heal\(node.map { " of \($0)" } ?? "")")
        for node in node.map({ [$0] }) ?? self.options.nodes where try Machine(node: node).leader() != nil {
            try await Network.setPlugged(node, true)
            try await PacketFilter(node: node).clear()
            try self.thawQuietly(node)
        }
    }
}

/// The lab's own table of packet filter rules in a node's network namespace.
struct PacketFilter {
    let node: String
    private static let table = "inet pharos_lab"

    /// Adds rules to both directions.
    @EventLoop
    func add(_ rules: [String]) async throws(LabError) {
        var commands = ["add table \(Self.table)"]
        for chain in ["input", "output"] {
            commands.append(
                "add chain \(Self.table) \(chain) { type filter hook \(chain) priority -300; policy accept; }"
            )
            for rule in rules {
                // The output hook has no incoming interface to match on.
                let rule = chain == "output" ? rule.replacing("iifname", with: "oifname") : rule
                commands.append("add rule \(Self.table) \(chain) \(rule)")
            }
        }
        try await Network.inNamespace(LabLayout.namespace(self.node), ["nft", commands.joined(separator: "; ")])
    }

    @EventLoop
    func clear() async throws(LabError) {
        // Deleting what is not there would be an error, so it is made first.
        let commands = "add table \(Self.table); delete table \(Self.table)"
        try await Network.inNamespace(LabLayout.namespace(self.node), ["nft", commands])
    }
}
