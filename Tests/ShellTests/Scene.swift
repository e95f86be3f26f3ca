// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import Journal
import LenientJSON
import NetworkAddress
import Settings
import TestSupport
import Testing

@testable import Shell

/// A whole shell, between an etcd, a Patroni and an `ip` that are all the test's own; or with the kernel of a namespace.
@EventLoop
final class Scene {
    static let address = "10.99.99.3"
    static let key = "/pharos/demo/address/10.99.99.3"
    let etcd: FakeEtcd
    let ip: FakeIP
    let patroni: ScriptedServer
    private(set) var records: [LogRecord] = []
    private(set) var isReady = false
    private(set) var hasExited = false
    let settings: Settings
    private let folder: TemporaryDirectory
    private(set) var shell: Shell?
    /// Whose kernel it is; nil: none, there is only the program in the place of `ip`.
    private let node: TestNamespace?

    /// `status`: the section of pharos.yml; `requestTimeout`: how long etcd may take for an answer. With `ttl` seconds the right to the address ends 1.2 s and 1 % before a lease does.
    init(
        leader: String? = "n1", ttl: Int64 = 20, status: String? = nil,
        requestTimeout: Duration = .seconds(1), interface: String = FakeIP.interface,
        instance: DaemonInstance = DaemonInstance(), node: TestNamespace? = nil,
        patroni: @escaping @EventLoop () -> [UInt8] = { httpAnswer(503, "{}") }
    ) throws {
        self.etcd = try FakeEtcd()
        self.ip = try FakeIP(instead: node?.command)
        self.node = node
        self.patroni = try ScriptedServer { _ in patroni() }
        self.folder = try TemporaryDirectory("scene")
        var settings = try Settings.load(
            text: """
                scope: demo
                member: n1
                addresses: [{ address: \(Self.address)/24, interface: eth0, acquire: leader_key }]
                lease: { ttl: \(ttl)s, margin: 1500ms }
                etcd: { endpoints: ["\(self.etcd.url)"] }
                patroni: { url: "\(self.patroni.url)" }
                postgres: { conninfo: "host=/nonexistent dbname=postgres" }
                status: \(status ?? "{ socket: \(self.folder.file("socket")) }")
                """)
        settings.addresses[0].interface = interface
        settings.instance = instance
        settings.lease.requestTimeout = requestTimeout
        self.settings = settings
        self.etcd.put("/service/demo/config", #"{"ttl":30,"loop_wait":10,"retry_timeout":10}"#)
        self.etcd.put("/service/demo/members/n1", "{}")
        if let leader { self.etcd.put("/service/demo/leader", leader) }
        self.etcd.put("/pharos/demo/cluster", "7")
    }

    func start() -> Shell {
        let shell = Shell(
            self.settings, node: "boot-a",
            .init(
                log: { [weak self] in self?.records.append($0) }, ready: { [weak self] in self?.isReady = true },
                status: { _ in }, exit: { [weak self] in self?.hasExited = true },
                redact: { $0.replacing("hidden", with: "…") }, jitter: { 0.5 },
                ipPath: self.ip.path))
        self.shell = shell
        if let node = self.node { node.enter { shell.start() } } else { shell.start() }
        return shell
    }

    /// Starts, and waits until the address is here.
    func startHolding() async throws -> Shell {
        let shell = self.start()
        try await self.expect { self.record(.addressAssigned) != nil }
        #expect(self.ip.held == Self.address)
        return shell
    }

    /// Stops in order; nothing may be left.
    func stop() async throws {
        self.etcd.tamper = { $1 }
        for name in ["refusing-list", "refusing-replace", "refusing-flush", "listing"] { self.ip.unset(name) }
        self.shell?.stop()
        try await self.expect(within: .seconds(10)) { self.hasExited }
        #expect(self.ip.held == nil)
        self.shell = nil
        // What a test put there may hold the scene, and with it its temporary folder.
        self.etcd.beforeRevocation = { _ in }
    }

    func record(_ kind: LogKind) -> LogRecord? { self.records.first { $0.kind == kind } }
    func records(_ kind: LogKind) -> [LogRecord] { self.records.filter { $0.kind == kind } }

    var status: JSON {
        get throws { try #require(JSON.parse(Array((self.shell?.statusJSON() ?? "").utf8))) }
    }
}

extension Scene: RecordingScene {
    var told: [String] { self.records.map(\.message) }
}

extension LogRecord {
    subscript(field: String) -> String? { self.fields.first { $0.name == field }?.value }
}
