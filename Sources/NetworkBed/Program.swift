// SPDX-License-Identifier: Apache-2.0
public import EventLoop
public import Glibc

/// A program that runs until it is stopped, in a network namespace; it dies with this process at the latest.
@EventLoop
public final class Program {
    public let name: String
    /// The process id, the same from start to end: what comes before the program replaces itself by it.
    public private(set) var process: Int32 = 0
    public private(set) var hasEnded = false
    /// The last lines it printed.
    public private(set) var output: [String] = []
    private let log: String?
    private var task: Task<Void, Never>?

    /// Starts it. `namespace` nil: in this process's own; `environment`: variables to add, as NAME=VALUE; `log`: a
    /// file that gets every line that it prints, each behind the time since boot in seconds.
    public init(
        _ name: String,
        _ command: [String],
        namespace: String? = nil,
        environment: [String] = [],
        log: String? = nil
    ) throws(BedError) {
        self.name = name
        self.log = log
        guard let nsenter = Files.program("nsenter"), let env = Files.program("env") else {
            throw BedError("nsenter and env are needed: install util-linux and coreutils")
        }
        var whole = command
        if !environment.isEmpty { whole = [env] + environment + whole }
        if let namespace { whole = [nsenter, "--net=/run/netns/\(namespace)"] + whole }
        let child = ChildProcess(whole, outputLimit: 1 << 20)
        self.task = EventLoop.spawn { await self.follow(child) }
    }

    private func follow(_ child: ChildProcess) async {
        do throws(ChildProcessError) {
            _ = try await child.lines(started: { self.process = $0 }) { line in
                if self.output.count == 40 { self.output.removeFirst() }
                self.output.append(line)
                self.note(line)
            }
        } catch {
            self.output.append(error.description)
        }
        self.hasEnded = true
    }

    private func note(_ line: String) {
        guard let log else { return }
        do throws(BedError) {
            try Files.append(log, "\(BootClock.seconds) \(line)\n")
        } catch {
            complain(error.message)
        }
    }

    /// Throws if it is not running any more.
    public func check() throws(BedError) {
        guard self.hasEnded else { return }
        throw BedError("\(self.name) ended:\n\(self.output.joined(separator: "\n"))")
    }

    /// Sends `signal`, if it runs.
    public func send(_ signal: Int32) {
        guard !self.hasEnded, self.process > 0 else { return }
        kill(self.process, signal)
    }

    /// Sends `signal`, SIGKILL after 5 s, and comes back when it has ended.
    public func stop(_ signal: Int32 = SIGTERM) async {
        guard let task = self.task else { return }
        self.send(signal)
        // What is frozen takes no other signal.
        self.send(SIGCONT)
        let patience = EventSource.timer(after: .seconds(5)) { task.cancel() }
        await task.value
        withExtendedLifetime(patience) {}
        self.task = nil
    }
}

/// Runs a program to its end, for 60 s at most, since a loaded machine is slow; throws unless it exits with 0, or with one of
/// `accepting`.
@EventLoop
public func run(_ command: [String], accepting: [Int32] = [0]) async throws(BedError) {
    let outcome: ChildProcess.Outcome
    do throws(ChildProcessError) {
        outcome = try await ChildProcess(command, timeout: .seconds(60)).run()
    } catch {
        throw BedError(error.description)
    }
    guard let code = outcome.exitCode, accepting.contains(code) else {
        throw BedError("\(command.joined(separator: " ")): \(outcome.text)")
    }
}

/// Waits, unless the benchmark is interrupted.
@EventLoop
public func pause(_ delay: Duration) async throws(BedError) {
    do throws(WaitError) { try await EventLoop.sleep(for: delay) } catch { throw BedError("interrupted") }
}

/// Waits until `condition` holds, looking every 5 ms.
@EventLoop
public func wait(
    for what: String,
    timeout: Duration,
    until condition: @EventLoop () async throws(BedError) -> Bool
) async throws(BedError) {
    let deadline = ContinuousClock.now + timeout
    while true {
        if try await condition() { return }
        guard ContinuousClock.now < deadline else { throw BedError("no \(what) within \(timeout)") }
        try await pause(.milliseconds(5))
    }
}
