// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import FoundationEssentials
import Glibc

/// A running cluster in a box: nodes with systemd, etcd, Patroni, PostgreSQL and, if installed, our daemon.
///
/// There is one lab on a host at a time. What it owns is found again by name (see ``LabLayout``), so a value of this
/// type holds nothing but the options, and any process may attach to the lab that another one started.
/// Nothing outside the lab's own namespaces, control groups and folders is touched.
public struct Lab: Sendable {
    /// What the lab was made of.
    public let options: LabOptions
    /// The folder of the image that the nodes started from.
    let image: NodeImage

    /// Debian packages that the host needs.
    public static let hostPackages = [
        "systemd-container", "debootstrap", "debian-archive-keyring", "iproute2", "nftables", "util-linux", "curl",
    ]

    /// What is written down for other processes that attach.
    private struct State: Codable {
        var options: LabOptions
        var image: String
    }

    /// Starts a lab, after removing whatever an earlier one left. Answers when every machine has been switched on and
    /// the observer runs; ``waitUntilReady(timeout:)`` waits for the cluster.
    /// - Parameter program: the `pharos-lab` command, which also is the observer; nil: the one beside this program.
    @EventLoop
    public static func up(
        _ options: LabOptions,
        program: String? = nil,
        say: (String) -> Void = { _ in }
    ) async throws(LabError) -> Lab {
        try options.validate()
        guard geteuid() == 0 else { throw LabError(.host, "a lab needs root rights") }
        let lock = try LabLock()
        defer { lock.release() }
        let observer: String? =
            if let program { program } else if options.observe { try self.defaultProgram() } else { nil }
        try await self.removeEverything()
        let image = try await NodeImage.prepared(options.suite, say: say)
        let lab = Lab(options: options, image: image)
        do throws(LabError) {
            try await lab.start(observer: observer)
        } catch {
            // The reason is worth more than a failure to clean up, which the next `up` or `down` repeats and reports.
            do throws(LabError) { try await self.removeEverything() } catch { say("\(error)") }
            throw error
        }
        return lab
    }

    @EventLoop
    private func start(observer: String?) async throws(LabError) {
        try Host.makeFolder(LabLayout.runFolder)
        try await Network.make(self.options)
        let password = try await Host.run(["systemd-id128", "new"]).prefix { $0 != "\n" }
        for node in self.options.nodes {
            try await Machine(node: node).mount(self.image)
            try await Machine(node: node).configure(self.options, password: String(password))
        }
        try Host.write(LabLayout.stateFile, try JSON.text(State(options: self.options, image: self.image.path)))
        if let observer { try await self.startObserver(observer) }
        for node in self.options.nodes { try await Machine(node: node).boot() }
    }

    /// The lab that runs on this host.
    public static func running() throws(LabError) -> Lab {
        try LabLayout.check()
        guard let text = Host.readText(LabLayout.stateFile) else { throw LabError(.state, "no lab is running") }
        let state = try JSON.value(State.self, from: text)
        return Lab(options: state.options, image: NodeImage(path: state.image))
    }

    /// Ends the lab that runs on this host, or what is left of one that died half way.
    @EventLoop
    public static func down() async throws(LabError) {
        let lock = try LabLock()
        defer { lock.release() }
        try await self.removeEverything()
    }

    @EventLoop
    private static func removeEverything() async throws(LabError) {
        try await ControlGroup.removeAll()
        try await Machine.removeAll()
        try await Network.removeAll()
        try await NodeImage.removeUnfinished()
    }

    /// Throws unless the lab has a node of this name.
    func check(_ node: String) throws(LabError) {
        guard self.options.nodes.contains(node) else {
            throw LabError(.usage, "no node \(node); there are \(self.options.nodes.joined(separator: ", "))")
        }
    }

    /// Runs a program inside a node, as root, in all its namespaces. It is killed after `timeout`.
    @EventLoop
    public func exec(
        _ node: String,
        _ command: [String],
        timeout: Duration = .seconds(60)
    ) async throws(LabError) -> ChildProcess.Outcome {
        try self.check(node)
        return try await Machine(node: node).exec(command, timeout: timeout)
    }

    /// As ``exec(_:_:timeout:)``, but throws unless the program exits with 0; answers what it printed.
    @EventLoop @discardableResult
    public func run(_ node: String, _ command: [String], timeout: Duration = .seconds(60)) async throws(LabError)
        -> String
    {
        let outcome = try await self.exec(node, command, timeout: timeout)
        guard outcome.exitCode == 0 else {
            throw LabError(.command, "\(node): \(command.joined(separator: " ")): \(outcome.text.suffix(2000))")
        }
        return outcome.text
    }

    /// Writes a file into a node, at an absolute path on its disk (`/run` and `/tmp` are elsewhere).
    public func write(_ node: String, _ path: String, _ text: String, mode: UInt32 = 0o644) throws(LabError) {
        try self.check(node)
        try Host.write("\(LabLayout.root(node))\(path)", text, mode: mode)
    }

    /// Copies a file from one node's disk to another's, at the same absolute path (`/run` and `/tmp` are elsewhere).
    @EventLoop
    public func copy(_ path: String, from source: String, to node: String) async throws(LabError) {
        try self.check(source)
        try self.check(node)
        try await Host.run(["cp", "\(LabLayout.root(source))\(path)", "\(LabLayout.root(node))\(path)"])
    }

    /// A node's journal, read from outside, so that it answers also while the node is off or frozen.
    ///
    /// `arguments` are journalctl's, such as `-u pharos -o json`.
    @EventLoop
    public func journal(_ node: String, _ arguments: [String] = []) async throws(LabError) -> String {
        try self.check(node)
        let folder = "\(LabLayout.root(node))/var/log/journal"
        return try await Host.run(
            ["journalctl", "--no-pager", "--directory", folder] + arguments,
            timeout: .seconds(30),
            accepting: [0, 1]
        )
    }

    /// Waits until `condition` holds, asking every 50 ms; what it throws ends the wait.
    @EventLoop
    public func waitFor(
        _ description: String,
        timeout: Duration,
        _ condition: @EventLoop () async throws -> Bool
    ) async throws(LabError) {
        let deadline = ContinuousClock.now + timeout
        while true {
            do {
                if try await condition() { return }
            } catch let error as LabError {
                throw error
            } catch {
                throw LabError(.command, "\(description): \(error)")
            }
            guard .now < deadline else { throw LabError(.timeout, "not within \(timeout): \(description)") }
            try await pause(.milliseconds(50))
        }
    }
}

/// Held while a lab is made or removed; the kernel drops it with the process.
private struct LabLock {
    private let descriptor: Int32

    init() throws(LabError) {
        try LabLayout.check()
        self.descriptor = open(LabLayout.lockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard self.descriptor >= 0 else { throw Host.failure("cannot open \(LabLayout.lockFile)") }
        guard flock(self.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(self.descriptor)
            throw LabError(.state, "another process is making or removing a lab")
        }
    }

    func release() { close(self.descriptor) }
}

/// JSON with the lab's error type.
enum JSON {
    static func text(_ value: some Encodable) throws(LabError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch {
            throw LabError(.state, "cannot encode \(type(of: value)): \(error)")
        }
    }

    static func value<Value: Decodable>(_ type: Value.Type, from text: String) throws(LabError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(text.utf8))
        } catch {
            throw LabError(.state, "cannot decode \(type): \(error)")
        }
    }

    /// What a server has answered; nil for an error, which has another shape and is no answer to the question.
    static func answer<Value: Decodable>(_ type: Value.Type, from text: String) -> Value? {
        do throws(LabError) { return try self.value(type, from: text) } catch { return nil }
    }
}
