// SPDX-License-Identifier: Apache-2.0
import Lab
import LenientJSON
import NetworkBed

/// Everything that was measured, as Markdown and as JSON.
struct Report {
    let machine: Machine
    var etcdData: String
    let command: [String]
    var reaction: ReactionResult?
    var idle: IdleResult?
    var start: StartResult?
    var client: ClientResult?
    var citus: CitusResult?
    var citusClient: CitusClientResult?
    var detector: DetectorResult?
    var unreachable: UnreachableResult?

    init(machine: Machine, etcdData: String, command: [String]) {
        self.machine = machine
        self.etcdData = etcdData
        // The program by its name, not by where it was built.
        self.command = [command.first?.split(separator: "/").last.map(String.init) ?? ""] + command.dropFirst()
    }

    /// The tables, for the terminal.
    var text: String {
        [
            self.reaction?.text, self.client?.text, self.citus?.text, self.citusClient?.text, self.idle?.text,
            self.start?.text, self.detector?.text, self.unreachable?.text,
        ].compactMap { $0 }.joined(separator: "\n\n")
    }

    // MARK: - docs/benchmarks.md

    /// Writes benchmarks.md and benchmarks.json into `folder`.
    func write(to folder: String) throws(BedError) {
        try Files.makeFolder(folder)
        try Files.write(folder + "/benchmarks.md", self.markdown)
        try Files.write(folder + "/benchmarks.json", self.json)
    }

    private var markdown: String {
        let machine = self.machine
        return """
            # Benchmarks

            Written by `make bench`; the same figures are in [benchmarks.json](benchmarks.json).

            - Machine: \(machine.processor), \(machine.processors) processors, \(machine.memoryMiB) MiB of memory,
              \(machine.system), Linux \(machine.kernel); load before the run \(machine.load)
            - Date: \(machine.date)
            - Command: `\(self.command.joined(separator: " "))`
            - etcd: Debian's, one member, its data \(self.etcdData)

            Each node is a network namespace with a veth on one bridge; so is etcd's, and so is the one from which the
            benchmark sends its requests. The daemon is the release build.

            ## Reaction

            \(self.reaction?.text ?? "not measured")

            The leader key is put through one kept HTTP connection; time runs from the moment before the request is sent
            to the kernel's report that the address is there (RTM_NEWADDR) or gone (RTM_DELADDR), received from all
            namespaces through one netlink socket and stamped with CLOCK_BOOTTIME. Addresses have `acquire: leader_key`.

            The floor is what this protocol needs at least, done one step after the other by the benchmark itself with
            the same primitives: put of the leader key, `ip addr del`, revocation of the old holder's lease, the
            acquiring transaction, `ip addr add`. Runs of all subjects alternate, and each begins after a rest of 1.2 to
            1.8 s, that of the floor too: what was done a moment ago is done faster again. Neither includes the grant
            of the lease. The longest turn of the loop is that of each of the two daemons from its start to the last change, as
            its status tells it; what it was not on the processor it has waited. vip-manager is Debian's (1.0), with its defaults: it polls once a second, speaks etcd's API
            v2, and so follows a key of that API.

            ## A client's view: switchover and failover

            \(self.client?.text ?? "not measured")

            Three nodes of the lab (systemd, etcd, Patroni, PostgreSQL \(LabSuite.chosen.recipe.postgres), Pharos with `acquire: writable`, Patroni's
            ttl 20 s). Per address a client behind the bridge writes every 10 ms and connects anew every 20 ms while that
            fails. "No write for" runs from its last write that worked to the next: mostly PostgreSQL's and Patroni's own
            time, and on a power-off the ttl. The other rows start when the new primary's own socket first says that
            PostgreSQL is out of recovery (asked every 3 ms while no node accepts writes): what the address adds.

            ## Citus

            \(self.citus?.text ?? "not measured")

            Citus itself where this machine offers it, else the stand-in (Tests/CitusStandIn: Debian has no Citus); the table's head says
            which. For the first rows one PostgreSQL is the coordinator, on the same storage as etcd, and both members of each
            worker's group are addresses of it, so that the new leader accepts writes already. Time runs from the moment before the put
            of the leader key to a notification that the commit sends. In between: the watch, a new connection to the leader that asks it,
            and the transaction with its gate and fence. The floor is one put, one such connection and question, and as many `select 1` as
            the transaction has round trips, one after the other. Two groups' keys are put in one transaction of etcd. Of the group that
            is down its leader's host does not exist. These runs alternate, each after a rest of 1.2 to 1.8 s. The daemon asks its
            question for all rows every 10 s. The failure detector's probes go to another database here, and are not among the
            transactions of the last line. Nor are autovacuum's: it is off.

            `pharos verify` and `pharos restore-point` see nine PostgreSQLs in order. While a restore point is made, one session on each
            commits again and again what a distributed transaction leaves there. For the switchovers the worker's group is a PostgreSQL and
            its standby; the benchmark stops, names and promotes as Patroni does, while
            \(CitusSwitchoverBenchmark.sessions) sessions write through the coordinator to the worker's shards.

            ### A client's view

            \(self.citusClient?.text ?? "not measured")

            Two groups of two nodes in the lab. 50 sessions write one row after another through the coordinator's virtual
            address, each to a shard of the worker's group; the stand-in routes the writes. "No write for" is the longest
            span in which none of them succeeded. For Pharos each group is a Patroni scope of its own; for Patroni's
            handler it is Patroni's Citus mode (which also makes the replication synchronous), with Pharos in mode observe.

            ## Idle

            \(self.idle?.text ?? "not measured")

            The daemon holds the address with a lease of 30 s and nothing happens but what Patroni writes
            every 10 s: the status and three members. Wake-ups are the voluntary context
            switches of all its threads, requests are what etcd counts (`grpc_server_handled_total`), CPU time is what
            the kernel accounts in units of 10 ms. The longest turn of the loop is the status's, mostly one of the start: no turn of
            the idle time was longer. Limits on what does not depend on the machine's speed are in
            Benchmarks/thresholds.json; `make bench-check` compares.

            ## The failure detector at scale

            \(self.detector?.text ?? "not measured")

            A coordinator's daemon with the profile `hyperscale`. Every leader is one real PostgreSQL and every other member its
            standby, each at an address of its own; Patroni's REST API is a stand-in that answers everything with 200. 1,000
            Patronis' keys are written every 10 s, 50 in one transaction. CPU time is the kernel's, of the daemon and of the
            commands that it ran. The other rows are the core alone, without any input or output.

            ### Members that do not answer

            \(self.unreachable?.text ?? "not measured")

            A coordinator's daemon that holds the address, with the profile `hyperscale` and a lease of 10 s, and 600 members in 200
            groups at addresses that drop whatever is sent to them. A turn is what the status socket waits for an answer, asked again
            and again for a sixth of the time after the other figures were taken; requests to etcd go through a proxy that notes them.

            ## Start

            \(self.start?.text ?? "not measured")

            From the start of the process to READY=1 on the service manager's socket: after the first confirmed read of
            etcd and the first listing of the kernel's addresses.

            """
    }

    // MARK: - docs/benchmarks.json

    private var json: String {
        let machine = self.machine
        let members = [
            "\"date\": \(JSON.quoted(machine.date))", "\"processor\": \(JSON.quoted(machine.processor))",
            "\"processors\": \(machine.processors)", "\"memory_mib\": \(machine.memoryMiB)",
            "\"kernel\": \(JSON.quoted(machine.kernel))", "\"system\": \(JSON.quoted(machine.system))",
            "\"command\": \(JSON.quoted(self.command.joined(separator: " ")))",
            "\"etcd_data\": \(JSON.quoted(self.etcdData))", "\"reaction\": \(self.reaction?.json ?? "null")",
            "\"client\": \(self.client?.json ?? "null")", "\"citus\": \(self.citus?.json ?? "null")",
            "\"citus_client\": \(self.citusClient?.json ?? "null")",
            "\"detector\": \(self.detector?.json ?? "null")",
            "\"unreachable\": \(self.unreachable?.json ?? "null")", "\"idle\": \(self.idle?.json ?? "null")",
            "\"start_ms\": \(self.start?.json ?? "null")",
        ]
        return "{\n  " + members.joined(separator: ",\n  ") + "\n}\n"
    }
}
