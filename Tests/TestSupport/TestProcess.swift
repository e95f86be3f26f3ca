// SPDX-License-Identifier: Apache-2.0
import CLinux
public import EventLoop
import Glibc

/// A server started by a test: stopped by its process id when the last reference goes, killed with the test's process.
@EventLoop
public final class TestProcess {
    public let id: Int32
    private var isReaped = false
    private let stopSignal: Int32

    /// Output goes to the file `log`. `stopSignal` is what ends it, for servers that must clean up.
    public init(_ command: [String], log: String, stopSignal: Int32 = 9) throws {
        self.stopSignal = stopSignal
        let output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw TestSupportError("\(log): \(errno)") }
        defer { close(output) }
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        let process = arguments.withUnsafeMutableBufferPointer { arguments -> Int32 in
            guard let first = arguments.baseAddress else { return -EINVAL }
            var child = linux_child(
                arguments: first,
                environment: environ,
                input: -1,
                output: output,
                error: output,
                begin_by: 0,
                alive_for: 0,
                without_rights: 0,
                task_limit: 0,
                action: nil,
                argument: 0
            )
            return linux_spawn(&child)
        }
        guard process > 0 else { throw TestSupportError("\(command[0]): \(-process)") }
        self.id = process
    }

    /// The program of this name that was built beside the running tests.
    public nonisolated static func built(_ name: String) throws -> String {
        guard let own = realpath("/proc/self/exe", nil) else { throw TestSupportError("/proc/self/exe: \(errno)") }
        defer { free(own) }
        return String(cString: own).split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/" + name
    }

    isolated deinit { self.kill() }

    public func freeze() { _ = Glibc.kill(self.id, SIGSTOP) }
    public func thaw() { _ = Glibc.kill(self.id, SIGCONT) }

    public func kill() {
        guard !self.isReaped else { return }
        self.isReaped = true
        _ = Glibc.kill(self.id, self.stopSignal)
        _ = Glibc.kill(self.id, SIGCONT)
        var status: Int32 = 0
        while waitpid(self.id, &status, 0) < 0, errno == EINTR {}
    }
}

/// What was waited for has not come.
public struct NeverCame: Error {}

/// Waits for what must come, and no longer than a minute: a test that waits for ever says nothing, and stops all the others.
@EventLoop
public func waitUntil(
    within limit: Duration = .seconds(60), _ condition: @EventLoop () async throws -> Bool
) async throws {
    guard try await eventually(within: limit, condition) else { throw NeverCame() }
}

/// Waits until `condition` holds, looking every 10 ms; answers whether it did within `limit`.
@EventLoop
public func eventually(
    within limit: Duration, _ condition: @EventLoop () async throws -> Bool
) async throws -> Bool {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { return false }
        try await EventLoop.sleep(for: .milliseconds(10))
    }
    return true
}
