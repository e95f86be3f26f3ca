// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import NetworkAddress
import PostgresClient
import Settings
import TestSupport
import Testing

@testable import Shell

/// A whole shell on the coordinator's node: a real etcd, which the test writes as Patroni would, and a coordinator with
/// two workers, real PostgreSQL with the stand-in for Citus.
@EventLoop
final class CitusScene {
    let citus: LocalCitus
    let etcd: LocalEtcd
    let http = HTTPClient()
    private let folder: TemporaryDirectory
    let client: EtcdClient
    /// The daemon's role, with what `pharos grant-sql` gives it.
    static let role = "pharos"
    /// On the coordinator, as the superuser.
    let session: PostgresConnection
    private(set) var records: [LogRecord] = []
    private(set) var shell: Shell?

    /// What the keys of a group begin with.
    private let prefixes: [Int: String]

    /// `scopes`: each group is a Patroni scope of its own; otherwise Patroni's Citus mode.
    init(scopes: [Int: String]? = nil, settings: [String] = []) async throws {
        self.prefixes = Dictionary(
            uniqueKeysWithValues: (0...3).map { group in
                (group, scopes.map { "/service/\($0[group] ?? "none")/" } ?? "/service/demo/\(group)/")
            })
        self.folder = try TemporaryDirectory("scene")
        self.citus = try await LocalCitus(settings: settings)
        self.etcd = try await LocalEtcd(http: self.http)
        self.client = EtcdClient(
            EtcdConfiguration(endpoints: self.etcd.endpoints), http: self.http, jitter: { 0 })
        self.session = try await PostgresConnection(self.citus.conninfo("c"))
        try await self.register(self.session)
        for (group, name) in [(0, "c"), (1, "w1"), (2, "w2")] {
            try await self.member(group, name, port: self.citus.ports[group], role: "primary")
            try await self.lead(group, name)
        }
        try await self.put(self.key(0, "config"), #"{"ttl":30,"loop_wait":10,"retry_timeout":10}"#)
    }

    /// Registers the three nodes in the session's database, and a distributed table.
    func register(_ session: PostgresConnection) async throws {
        for statement in [
            "select citus_set_coordinator_host('127.0.0.1', \(self.citus.ports[0]))",
            "select citus_add_node('127.0.0.1', \(self.citus.ports[1]))",
            "select citus_add_node('127.0.0.1', \(self.citus.ports[2]))",
            "create table d (a integer)", "select citus_stand_in.distribute('d', 8)",
        ] { _ = try await session.query(statement) }
    }

    // MARK: - What Patroni writes

    func key(_ group: Int, _ name: String) -> String { (self.prefixes[group] ?? "") + name }

    func put(_ key: String, _ value: String) async throws {
        _ = try await self.client.commit(
            Transaction(compares: [], success: [.put(key: key, value: Array(value.utf8), lease: 0)]))
    }

    func delete(_ key: String) async throws {
        _ = try await self.client.commit(Transaction(compares: [], success: [.delete(.key(key))]))
    }

    func member(_ group: Int, _ name: String, port: Int, role: String) async throws {
        try await self.put(
            self.key(group, "members/\(name)"),
            #"{"conn_url":"postgres://127.0.0.1:\#(port)/postgres","role":"\#(role)","state":"running"}"#)
    }

    /// `name` becomes the leader: the key is deleted, and created anew.
    func lead(_ group: Int, _ name: String) async throws {
        try await self.delete(self.key(group, "leader"))
        try await self.put(self.key(group, "leader"), name)
    }

    // MARK: - The daemon

    func settings(
        _ mode: CitusMode, settle: Duration = .seconds(2), databases: [String] = ["postgres"],
        change: (inout Settings.Citus) -> Void = { _ in }
    ) throws -> Settings {
        var settings = try Settings.load(
            text: """
                scope: demo
                member: c
                group: 0
                etcd: { endpoints: [\(self.etcd.endpoints.map { "\"\($0)\"" }.joined(separator: ", "))] }
                patroni: { url: "http://127.0.0.1:1" }
                postgres: { conninfo: "\(try self.citus.conninfo("c")) user=\(Self.role)" }
                citus:
                  databases: [\(databases.joined(separator: ", "))]
                  mode: \(mode.rawValue)
                  settle: \(settle.components.seconds)s
                  node_conninfo: "user=\(Self.role) dbname=postgres"
                status: { socket: \(self.folder.file("socket")) }
                """)
        if var citus = settings.citus {
            change(&citus)
            if citus.scopes != nil { settings.group = nil }
            settings.citus = citus
        }
        return settings
    }

    func start(
        _ mode: CitusMode = .own, settle: Duration = .seconds(2), databases: [String] = ["postgres"],
        change: (inout Settings.Citus) -> Void = { _ in }
    ) throws {
        let settings = try self.settings(mode, settle: settle, databases: databases, change: change)
        let shell = Shell(
            settings, node: "boot-a",
            .init(
                log: { [weak self] in self?.records.append($0) }, ready: {}, status: { _ in }, exit: {},
                redact: { $0 }, jitter: { 0.5 }, ipPath: "/usr/sbin/ip"))
        self.shell = shell
        shell.start()
    }

    func stop() {
        self.shell?.stop()
        self.shell = nil
        self.http.close()
    }

    func records(_ kind: LogKind) -> [LogRecord] { self.records.filter { $0.kind == kind } }

    // MARK: - What is expected

    /// Where the primary of `group` is, as the coordinator's catalog says.
    func row(_ group: Int) async throws -> String? {
        try await self.session.query(
            "select nodename || ':' || nodeport from pg_dist_node where groupid = $1 and noderole = 'primary'",
            parameters: ["\(group)"]
        ).first?.first ?? nil
    }

    func place(_ port: Int) -> String { "127.0.0.1:\(self.citus.ports[port])" }
}

extension CitusScene: RecordingScene {
    var told: [String] { self.records.map(\.message) }
}
