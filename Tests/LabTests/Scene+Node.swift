// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Lab
import LenientJSON
import Testing

/// What a node says of itself: its journal, its daemon, its service manager, its kernel.
extension Scene {
    /// A record of a node's journal.
    struct Record {
        /// Microseconds since boot, on the clock of the timeline.
        let at: Int64
        let message: String
        /// 0 (emergency) to 7 (debug).
        let priority: Int64
    }

    /// What was written since the scene began, oldest first; `selection` is journalctl's.
    func records(_ node: String, _ selection: [String] = ["-u", "pharos"]) async throws -> [Record] {
        // By the wall's clock only roughly, so that not the whole journal is read; then exactly.
        let seconds = (Lab.now - self.start) / 1_000_000 + 5
        let text = try await self.lab.journal(
            node, selection + ["-o", "json", "--output-fields=MESSAGE,PRIORITY", "--since", "-\(seconds)s"])
        return text.split(separator: "\n").compactMap { line in
            guard let record = JSON.parse(line.utf8), let at = record["__MONOTONIC_TIMESTAMP"]?.int64 else {
                return nil
            }
            return Record(
                at: at + Self.suspended, message: record["MESSAGE"]?.string ?? "",
                priority: record["PRIORITY"]?.int64 ?? 7)
        }.filter { $0.at >= self.start }
    }

    /// For how long the host was suspended since it booted: what the timeline's clock counts and systemd's does not.
    private static var suspended: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let monotonic = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
        // The two readings are some nanoseconds apart; only a real suspension counts.
        let difference = Lab.now - monotonic
        return difference > 1000 ? difference : 0
    }

    /// What the daemon of a node has written since the scene began, oldest first.
    func log(_ node: String) async throws -> String {
        try await self.records(node).map { "\($0.message)\n" }.joined()
    }

    /// Waits for a record of the daemon that contains `text`; answers the first.
    @discardableResult
    func awaitLog(_ node: String, _ text: String, _ timeout: Duration = .seconds(10)) async throws -> Record {
        var found: Record?
        try await self.wait("'\(text)' in the journal of \(node)", timeout) {
            found = try await self.records(node).first { $0.message.contains(text) }
            return found != nil
        }
        return try #require(found)
    }

    /// Waits until what the daemon last told systemd of itself contains `text`.
    func awaitStatusText(_ node: String, _ text: String) async throws {
        try await self.wait("'\(text)' in the status of \(node)", .seconds(10)) {
            try await self.property(node, "StatusText").contains(text)
        }
    }

    /// The process id of a node's PostgreSQL, in a shell there.
    var postmaster: String { "$(head -1 \(self.lab.options.suite.postgresData)/postmaster.pid)" }

    /// A property of the daemon's unit, as `systemctl show` prints it.
    func property(_ node: String, _ name: String, of unit: String = "pharos") async throws -> String {
        let text = try await self.lab.run(node, ["systemctl", "show", "-P", name, unit])
        return String(text.prefix { $0 != "\n" })
    }

    /// One of the instants that systemd noted of the daemon's unit, on the timeline's clock; 0: never.
    func instant(_ node: String, _ name: String) async throws -> Int64 {
        let stamp = Int64(try await self.property(node, "\(name)Monotonic")) ?? 0
        return stamp == 0 ? 0 : stamp + Self.suspended
    }

    /// What `pharos status --json` prints on a node.
    func status(_ node: String) async throws -> JSON {
        let outcome = try await self.lab.exec(node, ["pharos", "status", "--json"])
        return try #require(JSON.parse(outcome.output), "not JSON: \(outcome.text)")
    }

    /// The node whose etcd member serves the daemon of `node`, its watch included.
    func servingMember(of node: String) async throws -> String {
        let endpoint = try #require(try await self.status(node)["etcd"]?["endpoint"]?.string)
        return try #require(
            self.lab.options.nodes.first { endpoint == "http://\(LabLayout.address($0)):2379" }, "\(endpoint)")
    }

    /// Whether Patroni on `node` is served by other etcd members than that of `member`: its requests' and its watch's differ
    /// at times. One that is being connected is not known to be.
    func isPatroni(on node: String, servedWithout member: String) async throws -> Bool {
        let connections = try await self.lab.run(node, ["ss", "-Htnp", "state", "established", "dport = 2379"])
        let peers = connections.split(separator: "\n").filter { $0.contains("\"patroni\"") }
            .compactMap { $0.split(separator: " ").dropFirst(3).first }
        return !peers.isEmpty && !peers.contains("\(LabLayout.address(member)):2379")
    }

    /// Holds the daemon's process as a debugger does, which neither SIGTERM nor SIGCONT ends, in a unit called `grip`.
    func grip(_ node: String) async throws {
        let script = """
            import ctypes, os, sys
            libc = ctypes.CDLL(None)
            libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
            for thread in os.listdir("/proc/%s/task" % sys.argv[1]):
                for request in (0x4206, 0x4207):  # PTRACE_SEIZE, PTRACE_INTERRUPT
                    if libc.ptrace(request, int(thread), None, None): sys.exit("ptrace")
            # Until it is dead: what a debugger holds is not reaped by its parent.
            while True:
                process, status = os.waitpid(-1, 0x40000000)  # __WALL
                if process == int(sys.argv[1]) and not os.WIFSTOPPED(status): break
            """
        let process = try await self.property(node, "MainPID")
        try await self.run(
            node, "systemd-run", "--quiet", "--collect", "--unit=grip", "python3", "-c", script, process)
        try await self.wait("the daemon in the debugger's grip", .seconds(10)) {
            try await self.lab.run(node, ["cat", "/proc/\(process)/status"]).contains("tracing stop")
        }
    }

    /// Stops etcd on a node, in a shell. One that has just lost its quorum sometimes does not end by SIGTERM (etcd 3.4.23),
    /// and systemd would wait 90 s for it.
    static let stopEtcd = "timeout 10 systemctl stop etcd || systemctl kill -s KILL etcd"

    /// Wipes etcd on every node and starts it: a new cluster with the old one's number, since it has the same members and
    /// token. Then what the manual says under "etcd is wiped and rebuilt".
    func rebuildEtcd() async throws {
        let nodes = self.lab.options.nodes
        for node in nodes { try await self.run(node, "sh", "-c", Self.stopEtcd) }
        for node in nodes { try await self.run(node, "sh", "-c", "rm -rf /var/lib/etcd/default/*") }
        for node in nodes { try await self.run(node, "systemctl", "start", "--no-block", "etcd") }
        try await self.awaitLog(self.leader, "another etcd cluster answers", .seconds(60))
        guard self.lab.options.suite.recipe.patroniRefusesYoungerEtcd else { return }
        try await self.wait("Patroni to refuse the new etcd", .seconds(30)) {
            try await self.records(self.leader, ["-u", "patroni"]).contains { $0.message.contains("Old known term") }
        }
        for node in self.lab.options.groups.flatMap(\.nodes) {
            try await self.run(node, "systemctl", "restart", "--no-block", "patroni")
        }
    }

    /// What the manual says for each member under "etcd is restored from a snapshot".
    func restoreEtcd(on node: String, from snapshot: String, token: String) async throws {
        let members = self.lab.options.nodes.map { "\($0)=http://\(LabLayout.address($0)):2380" }
        try await self.run(
            node, "sh", "-c",
            """
            set -e
            rm -rf /var/lib/etcd/default.old
            mv /var/lib/etcd/default /var/lib/etcd/default.old
            etcdctl snapshot restore \(snapshot) --data-dir /var/lib/etcd/default --initial-cluster-token \(token) \\
              --name \(node) --initial-advertise-peer-urls http://\(LabLayout.address(node)):2380 \\
              --initial-cluster \(members.joined(separator: ","))
            chown -R etcd:etcd /var/lib/etcd/default
            """)
    }

    /// Leaves no byte to journald on a node, neither on its disk nor in memory.
    func fillLogs(of node: String) async throws {
        try await self.run(
            node, "sh", "-c",
            """
            set -e
            for folder in /var/log /run/log; do mount -t tmpfs -o size=64k tmpfs $folder; mkdir $folder/journal; done
            for folder in /var/log /run/log; do yes >$folder/full 2>/dev/null || true; done
            # It reopens its files, and finds no room.
            systemctl kill -s USR2 systemd-journald
            """)
    }

    func emptyLogs(of node: String) async throws {
        try await self.run(
            node, "sh", "-c", "umount -l /var/log && umount -l /run/log && systemctl kill -s USR2 systemd-journald")
    }

    /// When the kernel of a node will end an address's lifetime if nobody renews it, to the second: a lower bound.
    func lifetimeEnd(of address: String, on node: String) async throws -> Int64 {
        let text = try await self.lab.run(node, ["ip", "-json", "address", "show", "to", address])
        let entry = JSON.parse(text.utf8)?.array?.flatMap { $0["addr_info"]?.array ?? [] }.first {
            $0["local"]?.string == address
        }
        let seconds = try #require(entry?["valid_life_time"]?.int64, "\(node) does not have \(address): \(text)")
        return Lab.now + (seconds - 1) * 1_000_000
    }
}
