// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Why a child process gave no usable answer.
public struct ChildProcessError: Error, CustomStringConvertible, Sendable {
    public enum Kind: Sendable, Equatable {
        /// The program could not be started; the value is an errno.
        case notStarted(Int32)
        /// It was still running at its time limit, and was killed.
        case timedOut
        /// It printed more than the limit, and was killed.
        case outputTooLong
        /// The waiting task was cancelled; the child was killed.
        case cancelled
    }
    public let kind: Kind
    public let command: [String]
    public var description: String {
        let reason =
            switch self.kind {
            case .notStarted(let number): "cannot start: \(String(cString: strerror(number)))"
            case .timedOut: "no end within its time limit; killed"
            case .outputTooLong: "printed more than its limit; killed"
            case .cancelled: "cancelled"
            }
        return "\(self.command.joined(separator: " ")): \(reason)"
    }
}

/// A program run without a shell, its output collected, with a limit on its time and its output.
public struct ChildProcess: Sendable {
    /// How a child ended, and what it printed.
    public struct Outcome: Sendable, Equatable {
        /// The exit status; nil when a signal ended the child.
        public let exitCode: Int32?
        /// Standard output and standard error, in the order written.
        public let output: [UInt8]

        public init(exitCode: Int32?, output: [UInt8]) {
            self.exitCode = exitCode
            self.output = output
        }

        /// The output as text, malformed UTF-8 replaced.
        public var text: String { String(decoding: self.output, as: UTF8.self) }
    }

    /// The instant after which the program must not act: see `linux_spawn`'s guard in CLinux.
    public struct Guard: Sendable {
        /// The program must have begun by then (microseconds since boot) …
        public var beginBy: Int64
        /// … and is killed by a timer of its own after this long, even if it was frozen meanwhile.
        public var aliveFor: Duration
        public init(beginBy: Int64, aliveFor: Duration) {
            self.beginBy = beginBy
            self.aliveFor = aliveFor
        }
    }

    /// The absolute path of the program, then its arguments.
    public var command: [String]
    public var timeout: Duration = .seconds(5)
    /// Bytes of output that are accepted.
    public var outputLimit: Int = 1 << 20
    public var notAfter: Guard?
    /// What the program reads from its standard input; nil: `/dev/null`.
    public var input: [UInt8]?
    /// Whether the program gets this process's ambient capabilities.
    public var hasRights = true

    public init(
        _ command: [String], timeout: Duration = .seconds(5), outputLimit: Int = 1 << 20, notAfter: Guard? = nil
    ) {
        self.command = command
        self.timeout = timeout
        self.outputLimit = outputLimit
        self.notAfter = notAfter
    }

    /// Runs the program to its end. A guarded program that had to be killed has ended when this returns: nothing that it
    /// was at can happen later, however long the kernel takes to let go of it. Any other is left to its death.
    @EventLoop
    public func run() async throws(ChildProcessError) -> Outcome {
        let running = try RunningChild(self)
        var output: [UInt8] = []
        let deadline = ContinuousClock.now + self.timeout
        do throws(WaitError) {
            while let chunk = try await running.read(timeout: deadline - .now) {
                output += chunk
                if output.count > self.outputLimit { throw .cancelled }
            }
            let code = try await running.exitCode(timeout: deadline - .now)
            return Outcome(exitCode: code, output: output)
        } catch {
            if self.notAfter == nil { running.kill() } else { await running.end() }
            let kind: ChildProcessError.Kind =
                output.count > self.outputLimit ? .outputTooLong : error == .timedOut ? .timedOut : .cancelled
            throw ChildProcessError(kind: kind, command: self.command)
        }
    }

    /// Starts the program, tells its process id to `started`, and hands every line it prints to `line`, until it ends;
    /// a line longer than the output limit ends it.
    @EventLoop
    public func lines(
        started: @EventLoop (Int32) -> Void = { _ in }, _ line: @EventLoop (String) -> Void
    ) async throws(ChildProcessError) -> Int32? {
        let running = try RunningChild(self)
        started(running.process)
        var buffer: [UInt8] = []
        do throws(WaitError) {
            while let chunk = try await running.read(timeout: .seconds(3600 * 24 * 365)) {
                buffer += chunk
                while let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                    line(String(decoding: buffer[..<end], as: UTF8.self))
                    buffer.removeSubrange(...end)
                }
                if buffer.count > self.outputLimit { throw .timedOut }
                // A program that prints without a pause must neither starve the loop nor outlive a cancellation.
                await Task.yield()
                if Task.isCancelled { throw .cancelled }
            }
            return try await running.exitCode(timeout: self.timeout)
        } catch {
            running.kill()
            throw ChildProcessError(kind: error == .cancelled ? .cancelled : .outputTooLong, command: self.command)
        }
    }
}

/// A started child: its process id and the end of the pipe that it writes to.
@EventLoop
private final class RunningChild {
    let process: Int32
    private let descriptor: Int32
    private var isReaped = false
    private var buffer = [UInt8](repeating: 0, count: 16384)

    init(_ child: ChildProcess) throws(ChildProcessError) {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC | O_NONBLOCK) == 0 else {
            throw ChildProcessError(kind: .notStarted(errno), command: child.command)
        }
        // The writing end must block like any program's output.
        _ = fcntl(ends[1], F_SETFL, 0)
        let input = child.input.map(Self.file) ?? -1
        let process = child.input != nil && input < 0 ? input : Self.spawn(child, input: input, output: ends[1])
        close(ends[1])
        if input >= 0 { close(input) }
        guard process > 0 else {
            close(ends[0])
            throw ChildProcessError(kind: .notStarted(-process), command: child.command)
        }
        // Only now: what is thrown above must not run deinit, which kills.
        self.descriptor = ends[0]
        self.process = process
    }

    isolated deinit {
        if !self.isReaped { Self.kill(self.process) }
        close(self.descriptor)
    }

    /// The next bytes, or nil at the end of the output.
    func read(timeout: Duration) async throws(WaitError) -> ArraySlice<UInt8>? {
        while true {
            let count = Glibc.read(self.descriptor, &self.buffer, self.buffer.count)
            if count > 0 { return self.buffer[..<count] }
            if count == 0 { return nil }
            guard errno == EAGAIN || errno == EINTR else { return nil }
            _ = try await EventLoop.readiness(of: self.descriptor, .read, timeout: timeout)
        }
    }

    func exitCode(timeout: Duration) async throws(WaitError) -> Int32? {
        let code = try await EventLoop.exitCode(of: self.process, timeout: timeout)
        self.isReaped = true
        return code
    }

    /// Kills the child; it is reaped when it has ended.
    @discardableResult
    func kill() -> Task<Void, Never>? {
        guard !self.isReaped else { return nil }
        self.isReaped = true
        return Self.kill(self.process)
    }

    /// Kills the child; returns once it has ended, even where the caller was cancelled. The loop turns meanwhile.
    func end() async { await self.kill()?.value }

    @discardableResult
    private static func kill(_ process: Int32) -> Task<Void, Never> {
        _ = Glibc.kill(process, SIGKILL)
        return EventLoop.spawn { await EventLoop.end(of: process) }
    }

    /// A file in memory with this content, at its beginning; or a negated errno.
    private static func file(_ content: [UInt8]) -> Int32 {
        let descriptor = memfd_create("input", 1)  // MFD_CLOEXEC
        guard descriptor >= 0 else { return -errno }
        var written = 0
        while written < content.count {
            let count = content[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                let number = errno
                close(descriptor)
                return -number
            }
            written += count
        }
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }

    private static func spawn(_ child: ChildProcess, input: Int32, output: Int32) -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] = child.command.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        return arguments.withUnsafeBufferPointer { arguments in
            guard let first = arguments.baseAddress else { return -EINVAL }
            var specification = linux_child(
                arguments: first, environment: environ, input: input, output: output, error: output,
                begin_by: child.notAfter?.beginBy ?? 0, alive_for: child.notAfter?.aliveFor.wholeMicroseconds ?? 0,
                without_rights: child.hasRights ? 0 : 1)
            return linux_spawn(&specification)
        }
    }
}

extension Duration {
    fileprivate var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}
