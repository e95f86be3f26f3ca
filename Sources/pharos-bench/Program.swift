// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc

/// A program that runs until it is stopped, in a network namespace; it dies with this process at the latest.
@EventLoop
final class Program {
    let name: String
    /// The process id, the same from start to end: what comes before the program replaces itself by it.
    private(set) var process: Int32 = 0
    private(set) var hasEnded = false
    /// The last lines it printed.
    private(set) var output: [String] = []
    private var task: Task<Void, Never>?

    /// Starts it. `namespace` nil: in this process's own; `environment`: variables to add, as NAME=VALUE.
    init(
        _ name: String,
        _ command: [String],
        namespace: String? = nil,
        environment: [String] = []
    ) throws(BenchError) {
        self.name = name
        guard let nsenter = Files.program("nsenter"), let env = Files.program("env") else {
            throw BenchError("nsenter and env are needed: install util-linux and coreutils")
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
            }
        } catch {
            self.output.append(error.description)
        }
        self.hasEnded = true
    }

    /// Throws if it is not running any more.
    func check() throws(BenchError) {
        guard self.hasEnded else { return }
        throw BenchError("\(self.name) ended:\n\(self.output.joined(separator: "\n"))")
    }

    /// Sends `signal`, SIGKILL after 5 s, and comes back when it has ended.
    func stop(_ signal: Int32 = SIGTERM) async {
        guard let task = self.task else { return }
        if !self.hasEnded, self.process > 0 { kill(self.process, signal) }
        let patience = EventSource.timer(after: .seconds(5)) { task.cancel() }
        await task.value
        withExtendedLifetime(patience) {}
        self.task = nil
    }
}

/// Runs a program to its end; throws unless it exits with 0, or with one of `accepting`.
@EventLoop
func run(_ command: [String], accepting: [Int32] = [0]) async throws(BenchError) {
    let outcome: ChildProcess.Outcome
    do throws(ChildProcessError) {
        outcome = try await ChildProcess(command).run()
    } catch {
        throw BenchError(error.description)
    }
    guard let code = outcome.exitCode, accepting.contains(code) else {
        throw BenchError("\(command.joined(separator: " ")): \(outcome.text)")
    }
}

/// Waits, unless the benchmark is interrupted.
@EventLoop
func pause(_ delay: Duration) async throws(BenchError) {
    do throws(WaitError) { try await EventLoop.sleep(for: delay) } catch { throw BenchError("interrupted") }
}

/// Waits until `condition` holds, looking every 5 ms.
@EventLoop
func wait(
    for what: String,
    timeout: Duration,
    until condition: @EventLoop () async throws(BenchError) -> Bool
) async throws(BenchError) {
    let deadline = ContinuousClock.now + timeout
    while true {
        if try await condition() { return }
        guard ContinuousClock.now < deadline else { throw BenchError("no \(what) within \(timeout)") }
        try await pause(.milliseconds(5))
    }
}
