// SPDX-License-Identifier: Apache-2.0
import CLinux
import EtcdClient
import EtcdValues
import EventLoop
import Glibc
import HTTPClient
import NetworkBed
import TestSupport
import Testing

/// One node whose daemon is the real one, started as its unit starts it, in network and mount namespaces of its own; a real etcd
/// behind a proxy that keeps a record. Patroni's keys are written by this stand-in: there is no Patroni, and no PostgreSQL
/// unless a scene has one.
///
/// What each scene shows is in ``expectLease(readable:_:)``: whatever the daemon looks at meanwhile, the address stays, the watchdog
/// is pinged, and the lease is renewed.
@EventLoop
final class IsolationScene {
    /// The address that follows the leader.
    nonisolated static let address = "10.77.0.100"
    /// Where the daemon finds etcd, unless a scene says otherwise.
    nonisolated static let endpoint = "http://127.0.0.1:2379"
    /// On the other side of the node's interface.
    nonisolated static let hubAddress = "10.77.200.254"
    /// Whatever is sent to 10.99.0.0/16 is dropped without a word.
    nonisolated static func deadAddress(_ number: Int) -> String { "10.99.\(number / 250).\(number % 250 + 1)" }
    /// The unit's.
    nonisolated static let watchdog: Duration = .seconds(10)
    /// Of the address's lease: ttl less margin and clock drift. Who does not renew for so long loses the address.
    nonisolated static let ttl: Duration = .seconds(10)
    nonisolated static let right: Duration = .milliseconds(7100)

    let node: TestNamespace
    let folder: TemporaryDirectory
    let etcd: LocalEtcd
    let client: EtcdClient
    let systemd: Receiver
    /// Where the address stands.
    var interface = "eth0"
    private(set) var proxies: [RecordingProxy] = []
    private(set) var daemon: TestProcess?
    private var monitor: TestProcess?
    private var listener: EventSource?
    private let http = HTTPClient()
    /// What the daemon has told systemd, and when.
    private(set) var told: [(at: ContinuousClock.Instant, text: String)] = []
    var beganAt = ContinuousClock.now
    /// What the kernel had said by then.
    var newsBefore = 0

    /// Makes the services, with an etcd that has a Patroni cluster's keys but the leader's; runs `body`, and takes all away.
    static func play(
        certificates: TestCertificates? = nil, prefix: String = "/service/demo/",
        _ body: @EventLoop (IsolationScene) async throws -> Void
    ) async throws {
        try await TestNetwork.with(nodes: 1) { spaces in
            let http = HTTPClient()
            let etcd = try await LocalEtcd(certificates: certificates, http: http)
            http.close()
            let scene = try IsolationScene(spaces[0], etcd, certificates)
            try await scene.prepare(prefix)
            var failure: (any Error)?
            do { try await body(scene) } catch { failure = error }
            scene.end()
            if let failure { throw failure }
        }
    }

    private init(_ node: TestNamespace, _ etcd: LocalEtcd, _ certificates: TestCertificates?) throws {
        (self.node, self.etcd) = (node, etcd)
        self.folder = try TemporaryDirectory("isolation")
        self.systemd = try Receiver()
        let configuration = EtcdConfiguration(endpoints: etcd.endpoints, tls: certificates?.clientFiles)
        self.client = EtcdClient(configuration, http: self.http, jitter: { 0 })
    }

    private func prepare(_ prefix: String) async throws {
        print("Patroni's keys are written by a stand-in: there is no Patroni here")
        try await self.node.ip("address", "add", "10.77.0.1/16", "dev", "eth0")
        try await self.node.hub.ip("address", "add", "\(Self.hubAddress)/16", "dev", "br0")
        try await self.node.hub.ip("route", "add", "blackhole", "10.99.0.0/16")
        try await self.node.ip("route", "add", "10.99.0.0/16", "via", Self.hubAddress)
        for folder in ["run", "state"] { try #require(mkdir(self.folder.file(folder), 0o700) == 0) }
        try self.folder.write("hosts", "127.0.0.1 localhost\n")
        try self.folder.write("resolv.conf", "nameserver 127.0.0.2\n")
        try self.folder.write("nsswitch.conf", "hosts: files dns\n")
        try await self.put([
            (prefix + "initialize", "7710428007452706229"),
            (prefix + "config", #"{"ttl":30,"loop_wait":10,"retry_timeout":10,"failsafe_mode":false}"#),
            (prefix + "members/n1", Self.member("10.77.0.1")),
        ])
        self.listen()
    }

    private func end() {
        self.daemon = nil
        (self.monitor, self.listener, self.proxies) = (nil, nil, [])
        self.http.close()
    }

    // MARK: - etcd

    /// What a Patroni writes of itself.
    nonisolated static func member(_ host: String, role: String = "replica") -> String {
        #"{"conn_url":"postgres://\#(host):5432/postgres","api_url":"http://\#(host):8008/patroni","#
            + #""state":"running","role":"\#(role)","version":"4.0.7","timeline":1}"#
    }

    /// Keys hang on a lease that outlives the scene, as Patroni's do on its own.
    func put(_ pairs: [(key: String, value: String)]) async throws {
        let lease = try await self.client.grantLease(seconds: 86_400)
        for begin in stride(from: 0, to: pairs.count, by: 100) {
            let puts = pairs[begin..<min(begin + 100, pairs.count)].map {
                Transaction.Operation.put(key: $0.key, value: Array($0.value.utf8), lease: lease.id)
            }
            _ = try await self.client.commit(Transaction(compares: [], success: puts))
        }
    }

    /// Serves etcd at an address of the node's own, or, beyond its interface, of the hub's.
    @discardableResult
    func serveEtcd(_ address: String = "127.0.0.1", _ port: UInt16 = 2379) async throws -> RecordingProxy {
        let space = address == Self.hubAddress ? self.node.hub.name : self.node.name
        let target = try #require(self.etcd.endpoints[0].split(separator: ":").last.flatMap { UInt16($0) })
        let descriptor = try await IsolationSockets.listening(address, port, in: space)
        let proxy = RecordingProxy(listening: descriptor, to: "127.0.0.1", target)
        self.proxies.append(proxy)
        return proxy
    }

    // MARK: - The daemon

    /// The daemon that was built beside these tests; PHAROS_DAEMON names another, such as an older one, which must fail here.
    private static func program() throws -> String {
        if let other = getenv("PHAROS_DAEMON") { return String(cString: other) }
        return try TestProcess.built("pharos")
    }

    /// `etcd`: what stands in that section besides the endpoints; `acquire`: what the address waits for; `port`: where its clients
    /// connect to; `more`: other sections.
    func configure(
        endpoints: [String] = [IsolationScene.endpoint], etcd: String = "", acquire: String = "leader_key",
        port: UInt16 = 0, _ more: String = ""
    ) throws {
        let urls = endpoints.map { "\"\($0)\"" }.joined(separator: ", ")
        try self.folder.write(
            "pharos.yml",
            """
            scope: demo
            member: n1
            etcd: { endpoints: [\(urls)]\(etcd) }
            addresses:
              - { address: \(Self.address)/16, interface: \(self.interface), acquire: \(acquire), port: \(port) }
            lease: { ttl: \(Self.ttl.components.seconds)s, margin: 2s }
            status: { socket: \(self.socket) }
            \(more)

            """)
    }

    /// Starts it with the scene's own hosts, name servers and order of both; in `group`, if there is one.
    func startDaemon(in group: TaskGroup? = nil) throws {
        self.monitor = try TestProcess(
            self.node.command + ["-o", "monitor", "address"], log: self.folder.file("addresses"))
        let mounts = ["hosts", "resolv.conf", "nsswitch.conf"].map {
            "/usr/bin/mount --bind \(self.folder.file($0)) /etc/\($0)"
        }
        let variables = [
            "NOTIFY_SOCKET=\(self.systemd.path)", "WATCHDOG_USEC=\(Self.watchdog.components.seconds)000000",
            "RUNTIME_DIRECTORY=\(self.folder.file("run"))", "STATE_DIRECTORY=\(self.folder.file("state"))",
        ]
        let command =
            ["exec /usr/bin/prlimit --nofile=1024:1024 /usr/bin/env"] + variables
            + [try Self.program(), "run", "-c", self.folder.file("pharos.yml")]
        let script = ["set -e"] + mounts + [group?.entrance].compactMap(\.self) + [command.joined(separator: " ")]
        self.daemon = try TestProcess(
            [
                "/usr/bin/nsenter", "--net=/run/netns/\(self.node.name)", "/usr/bin/unshare", "-m",
                "--propagation", "private", "/bin/sh", "-c", script.joined(separator: "\n"),
            ], log: self.folder.file("log"))
    }

    /// Runs a program where the daemon runs, with what the daemon sees as `/etc`.
    func run(_ command: [String]) async throws -> ChildProcess.Outcome {
        let process = try #require(self.daemon).id
        return try await ChildProcess(
            ["/usr/bin/nsenter", "-t", "\(process)", "-m", "-n"] + command, timeout: .seconds(60)
        ).run()
    }

    /// The pharos command.
    func pharos(_ arguments: String...) async throws -> ChildProcess.Outcome {
        try await self.run([try Self.program()] + arguments)
    }

    var socket: String { self.folder.file("run/pharos.sock") }

    /// The daemon's children whose program has this name.
    func children(_ name: String) throws -> [Int32] {
        let process = try #require(self.daemon).id
        return Self.words("/proc/\(process)/task/\(process)/children").compactMap { Int32($0) }
            .filter { Self.words("/proc/\($0)/comm") == [name] }
    }

    private static func words(_ path: String) -> [String] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = fread(&buffer, 1, buffer.count, file)
        return String(decoding: buffer[..<count], as: UTF8.self).split { $0 == " " || $0 == "\n" }.map(String.init)
    }

    var log: String { String(decoding: self.folder.read("log"), as: UTF8.self) }

    // MARK: - systemd

    /// Reads what the daemon tells its service manager, or leaves it in the queue.
    func listen(_ isListening: Bool = true) {
        self.listener = nil
        guard isListening else { return }
        self.listener = .descriptor(self.systemd.descriptor, .read) { [unowned self] _ in
            while let text = self.systemd.receive() { self.told.append((.now, text)) }
        }
    }

    func pings(since start: ContinuousClock.Instant) -> [ContinuousClock.Instant] {
        self.told.filter { $0.at >= start && $0.text.hasSuffix("WATCHDOG=1") }.map(\.at)
    }
}
