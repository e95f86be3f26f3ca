// SPDX-License-Identifier: Apache-2.0
public import EventLoop
public import HTTPClient

/// A real etcd cluster on loopback, its data in a temporary directory. Everything ends with the last reference.
@EventLoop
public final class LocalEtcd {
    /// The members' client URLs, in the order of their numbers.
    public private(set) var endpoints: [String]
    /// Of the members that it began with.
    public let peers: [String]
    public let directory: TemporaryDirectory
    private var commands: [[String]]
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
        self.peers = peers
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

    // MARK: - Members that come and go

    /// Adds a member to the cluster, as the manual of etcd says it; `running`: a member that is asked for it. Answers its number.
    public func addMember(asking running: Int, http: HTTPClient) async throws -> Int {
        let ports = try freePorts(2)
        let (client, peer, number) = (
            "http://127.0.0.1:\(ports[0])", "http://127.0.0.1:\(ports[1])", self.endpoints.count
        )
        let text = try await Self.reconfigure([
            "--endpoints", self.endpoints[running], "member", "add", "m\(number)", "--peer-urls=\(peer)",
        ])
        let line = text.split(separator: "\n").first { $0.hasPrefix("ETCD_INITIAL_CLUSTER=") }
        guard let cluster = line?.split(separator: "\"").dropFirst().first else { throw TestSupportError(text) }
        self.endpoints.append(client)
        self.commands.append([
            "/usr/bin/etcd", "--name", "m\(number)", "--data-dir", self.directory.file("m\(number)"),
            "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", String(cluster), "--initial-cluster-state",
            "existing", "--heartbeat-interval", "50", "--election-timeout", "500", "--log-level", "error", "--logger",
            "zap",
        ])
        self.processes.append(try self.launch(number))
        try await self.waitForHealth(number, http: http)
        return number
    }

    /// Removes a member from the cluster, and ends it.
    public func removeMember(_ number: Int, asking running: Int) async throws {
        let list = try await Self.etcdctl(["--endpoints", self.endpoints[running], "member", "list"])
        let line = list.split(separator: "\n").first { $0.contains(" \(self.endpoints[number]),") }
        guard let id = line?.split(separator: ",").first else { throw TestSupportError(list) }
        _ = try await Self.reconfigure(["--endpoints", self.endpoints[running], "member", "remove", String(id)])
        self.kill(number)
    }

    /// Starts the member anew as a cluster of its own, at the same URLs: what it held is put aside.
    public func rebuildAlone(_ number: Int, http: HTTPClient) async throws {
        self.kill(number)
        let command = try self.command(
            of: number,
            with: [
                "--data-dir": self.directory.file("alone\(number)"), "--initial-cluster-token": "alone",
                "--initial-cluster": "m\(number)=\(self.peers[number])",
            ])
        self.processes[number] = try TestProcess(command, log: self.directory.file("alone\(number).log"))
        try await self.waitForHealth(number, http: http)
    }

    /// Starts members anew as a cluster of their own, at the same URLs: what they held is put aside.
    public func rebuildTogether(_ numbers: [Int], http: HTTPClient) async throws {
        for number in numbers { self.kill(number) }
        let cluster = numbers.map { "m\($0)=\(self.peers[$0])" }.joined(separator: ",")
        for number in numbers {
            let command = try self.command(
                of: number,
                with: [
                    "--data-dir": self.directory.file("anew\(number)"), "--initial-cluster-token": "anew",
                    "--initial-cluster": cluster,
                ])
            self.processes[number] = try TestProcess(command, log: self.directory.file("anew\(number).log"))
        }
        for number in numbers { try await self.waitForHealth(number, http: http) }
    }

    /// Starts the member with what it holds, as the only one of its cluster, whose number it keeps. Its former peers do not reach it:
    /// who does, is told that it was removed, and ends.
    public func forceNewCluster(_ number: Int, http: HTTPClient) async throws {
        self.kill(number)
        let peer = "http://127.0.0.1:\(try freePorts(1)[0])"
        let command = try self.command(of: number, with: ["--listen-peer-urls": peer]) + ["--force-new-cluster"]
        self.processes[number] = try TestProcess(command, log: self.directory.file("forced\(number).log"))
        try await self.waitForHealth(number, http: http)
    }

    private func command(of number: Int, with values: [String: String]) throws -> [String] {
        var command = self.commands[number]
        for (option, value) in values {
            guard let index = command.firstIndex(of: option) else { throw TestSupportError("no \(option)") }
            command[index + 1] = value
        }
        return command
    }

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

    /// etcd refuses a change of its members while it does not find them all well: for up to 5 s after the last one.
    private static func reconfigure(_ arguments: [String]) async throws -> String {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            do { return try await self.etcdctl(arguments) } catch {
                guard ContinuousClock.now < deadline else { throw error }
                try await EventLoop.sleep(for: .milliseconds(300))
            }
        }
    }

    @discardableResult
    private static func etcdctl(_ arguments: [String]) async throws -> String {
        let outcome = try await ChildProcess(["/usr/bin/etcdctl"] + arguments, timeout: .seconds(20)).run()
        guard outcome.exitCode == 0 else { throw TestSupportError("etcdctl \(arguments): \(outcome.text)") }
        return outcome.text
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
