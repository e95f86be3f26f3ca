// SPDX-License-Identifier: Apache-2.0
import Lab

/// What is measured by itself, and has a page of its own in docs/benchmarks: what is measured anew replaces that page alone.
enum BenchPart: String, CaseIterable {
    case reaction, client, citus
    case citusClient = "citus-client"
    case idle, detector, unreachable, start

    static let names = allCases.map(\.rawValue).joined(separator: ", ")

    var title: String {
        switch self {
        case .reaction: "Reaction"
        case .client: "A client's view: switchover and failover"
        case .citus: "Citus"
        case .citusClient: "A worker's switchover, as clients of Citus see it"
        case .idle: "Idle"
        case .detector: "The failure detector at scale"
        case .unreachable: "Members that do not answer"
        case .start: "Start"
        }
    }

    /// What was measured, and how: for who reads the tables.
    var explanation: String {
        switch self {
        case .reaction:
            """
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
            """
        case .client:
            """
            Three nodes of the lab (systemd, etcd, Patroni, PostgreSQL \(LabSuite.chosen.recipe.postgres), Pharos with `acquire: writable`, Patroni's
            ttl 20 s). Per address a client behind the bridge writes every 10 ms and connects anew every 20 ms while that
            fails. "No write for" runs from its last write that worked to the next: mostly PostgreSQL's and Patroni's own
            time, and on a power-off the ttl. The other rows start when the new primary's own socket first says that
            PostgreSQL is out of recovery (asked every 3 ms while no node accepts writes): what the address adds.
            """
        case .citus:
            """
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
            """
        case .citusClient:
            """
            Two groups of two nodes in the lab. 50 sessions write one row after another through the coordinator's virtual
            address, each to a shard of the worker's group; the stand-in routes the writes. "No write for" is the longest
            span in which none of them succeeded. For Pharos each group is a Patroni scope of its own; for Patroni's
            handler it is Patroni's Citus mode (which also makes the replication synchronous), with Pharos in mode observe.
            """
        case .idle:
            """
            The daemon holds the address with a lease of 30 s and nothing happens but what Patroni writes
            every 10 s: the status and three members. Wake-ups are the voluntary context
            switches of all its threads, requests are what etcd counts (`grpc_server_handled_total`), CPU time is what
            the kernel accounts in units of 10 ms. The longest turn of the loop is the status's, mostly one of the start: no turn of
            the idle time was longer. Limits on what does not depend on the machine's speed are in
            Benchmarks/thresholds.json; `make bench-check` compares.
            """
        case .detector:
            """
            A coordinator's daemon with the profile `hyperscale`. Every leader is one real PostgreSQL and every other member its
            standby, each at an address of its own; Patroni's REST API is a stand-in that answers everything with 200. 1,000
            Patronis' keys are written every 10 s, 50 in one transaction. CPU time is the kernel's, of the daemon and of the
            commands that it ran. The rows of one probe are the core alone, without any input or output. While the socket is answered (20
            times each) the loop does nothing else.
            """
        case .unreachable:
            """
            A coordinator's daemon that holds the address, with the profile `hyperscale` and a lease of 10 s, and 600 members in 200
            groups at addresses that drop whatever is sent to them. A turn is what the status socket waits for an answer, asked again
            and again for a sixth of the time after the other figures were taken; requests to etcd go through a proxy that notes them.
            """
        case .start:
            """
            From the start of the process to READY=1 on the service manager's socket: after the first confirmed read of
            etcd and the first listing of the kernel's addresses.
            """
        }
    }
}
