// SPDX-License-Identifier: Apache-2.0
public import EventLoop
public import HTTPClient

/// A real etcd cluster on loopback, its data in a temporary directory. Everything ends with the last reference.
@EventLoop
public final class LocalEtcd {
    /// The members' client URLs, in the order of their numbers.
    public let endpoints: [String]
    public let directory: TemporaryDirectory
    private let commands: [[String]]
    private let tls: TLSFiles?
    private var processes: [TestProcess?]

    /// Starts `members` members and waits until they have a leader. With `certificates` clients must use TLS and
    /// show a certificate of that authority.
    public init(
        members: Int = 1,
        arguments: [String] = [],
        certificates: TestCertificates? = nil,
        http: HTTPClient
    ) async throws {
        let ports = try freePorts(members * 2)
        let scheme = certificates == nil ? "http" : "https"
        let directory = try TemporaryDirectory("etcd")
        let endpoints = (0..<members).map { "\(scheme)://127.0.0.1:\(ports[$0])" }
        let peers = (0..<members).map { "http://127.0.0.1:\(ports[members + $0])" }
        let cluster = peers.enumerated().map { "m\($0.offset)=\($0.element)" }.joined(separator: ",")
        self.commands = (0..<members).map { number in
            var command = [
                "/usr/bin/etcd", "--name", "m\(number)", "--data-dir", directory.file("m\(number)"),
                "--listen-client-urls", endpoints[number], "--advertise-client-urls", endpoints[number],
                "--listen-peer-urls", peers[number], "--initial-advertise-peer-urls", peers[number],
                "--initial-cluster", cluster, "--initial-cluster-token", "test", "--heartbeat-interval", "50",
                "--election-timeout", "500", "--log-level", "error", "--logger", "zap",
            ]
            if let certificates {
                command += [
                    "--cert-file", certificates.serverCertificate, "--key-file", certificates.serverKey,
                    "--trusted-ca-file", certificates.authority, "--client-cert-auth",
                ]
            }
            return command + arguments
        }
        self.endpoints = endpoints
        self.directory = directory
        self.tls = certificates?.clientFiles
        self.processes = []
        self.processes = try (0..<members).map { try self.launch($0) }
        for number in 0..<members { try await self.waitForHealth(number, http: http) }
    }

    private func launch(_ number: Int) throws -> TestProcess {
        try TestProcess(self.commands[number], log: self.directory.file("m\(number).log"))
    }

    public func kill(_ number: Int) { self.processes[number] = nil }
    public func freeze(_ number: Int) { self.processes[number]?.freeze() }
    public func thaw(_ number: Int) { self.processes[number]?.thaw() }
    public func start(_ number: Int) throws { self.processes[number] = try self.launch(number) }

    // MARK: - Snapshots of a cluster of one

    public func saveSnapshot(_ path: String) async throws {
        try await Self.etcdctl(["--endpoints", self.endpoints[0], "snapshot", "save", path])
    }

    /// Puts the member back to what it was, as the manual of etcd says it: with the same name, URLs and token, which gives the
    /// cluster the same number. Its former data is gone.
    public func restoreSnapshot(_ path: String) async throws {
        self.kill(0)
        let data = self.directory.file("m0")
        let former = ChildProcess(["/usr/bin/rm", "-rf", data])
        guard try await former.run().exitCode == 0 else { throw TestSupportError("rm \(data)") }
        var arguments = ["snapshot", "restore", path]
        for option in [
            "--name", "--data-dir", "--initial-advertise-peer-urls", "--initial-cluster", "--initial-cluster-token",
        ] {
            guard let index = self.commands[0].firstIndex(of: option) else { throw TestSupportError("no \(option)") }
            arguments += [option, self.commands[0][index + 1]]
        }
        try await Self.etcdctl(arguments)
        try self.start(0)
    }

    /// Runs etcdctl against the first member.
    public func control(_ arguments: String...) async throws {
        try await Self.etcdctl(["--endpoints", self.endpoints[0]] + arguments)
    }

    private static func etcdctl(_ arguments: [String]) async throws {
        let outcome = try await ChildProcess(["/usr/bin/etcdctl"] + arguments, timeout: .seconds(20)).run()
        guard outcome.exitCode == 0 else { throw TestSupportError("etcdctl \(arguments): \(outcome.text)") }
    }

    /// Waits until a member can answer a linearizable read, at most 20 s.
    public func waitForHealth(_ number: Int, http: HTTPClient) async throws {
        var request = HTTPRequest(.get, self.endpoints[number] + "/health")
        request.tls = self.tls
        request.timeout = .seconds(2)
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            do {
                let answer = try await http.send(request)
                if answer.status == 200 { return }
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
            }
            guard ContinuousClock.now < deadline else { throw TestSupportError("etcd m\(number) is not healthy") }
            try await EventLoop.sleep(for: .milliseconds(30))
        }
    }
}
