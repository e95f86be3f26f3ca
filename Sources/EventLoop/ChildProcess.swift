// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Why a child process gave no usable answer.
public struct ChildProcessError: Error, CustomStringConvertible, Sendable {
    public enum Kind: Sendable, Equatable {
        /// The program could not be started; the value is an errno.
        case notStarted(Int32)
        /// There was no room for another child; nothing was started.
        case refused(ChildRefusal)
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
            case .refused(let refusal): "not started: \(refusal)"
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

    /// What a child does in the place of a program: see `linux_child` in CLinux.
    public struct Action: Sendable {
        /// A function of C that makes system calls only; its answer is the exit status.
        public let function: @convention(c) (Int32) -> Int32
        public let argument: Int32
        public init(_ function: @escaping @convention(c) (Int32) -> Int32, _ argument: Int32) {
            self.function = function
            self.argument = argument
        }
    }

    /// The absolute path of the program, then its arguments.
    public var command: [String]
    /// Done instead of running the program, which then is only what errors name it.
    public var action: Action?
    /// What it is for; from that follow its rights and its slots.
    public let kind: ChildKind
    /// From the call to the end: a wait for a slot counts.
    public var timeout: Duration = .seconds(5)
    /// Bytes of output that are accepted.
    public var outputLimit: Int = 1 << 20
    public var notAfter: Guard?
    /// What the program reads from its standard input; nil: `/dev/null`.
    public var input: [UInt8]?
    /// Where it takes its slot; nil: from those of this process.
    public var slots: ChildSlots?

    public init(
        _ command: [String], kind: ChildKind = .tool, timeout: Duration = .seconds(5), outputLimit: Int = 1 << 20,
        notAfter: Guard? = nil
    ) {
        self.command = command
        self.kind = kind
        self.timeout = timeout
        self.outputLimit = outputLimit
        self.notAfter = notAfter
    }

    /// Runs the program until it exits. What it has started and left behind then goes on, and its output is not waited for.
    ///
    /// At its time limit the program is killed, and, unless it has rights, all of its process group with it. A guarded program
    /// that had to be killed has ended when this throws: nothing that it was at can happen later, however long the kernel
    /// takes to let go of it. Any other is left to its death.
    @EventLoop
    public func run() async throws(ChildProcessError) -> Outcome {
        let deadline = ContinuousClock.now + self.timeout
        let running = try await self.start(timeout: self.timeout)
        var output: [UInt8] = []
        do throws(WaitError) {
            while let chunk = try await running.read(timeout: deadline - .now) {
                output += chunk
                if output.count > self.outputLimit { throw .cancelled }
            }
            return Outcome(exitCode: try await running.exitCode(timeout: deadline - .now), output: output)
        } catch {
            if self.notAfter == nil { running.kill() } else { await running.killed() }
            let kind: ChildProcessError.Kind =
                output.count > self.outputLimit ? .outputTooLong : error == .timedOut ? .timedOut : .cancelled
            throw ChildProcessError(kind: kind, command: self.command)
        }
    }

    /// Starts the program, tells its process id to `started`, and hands every line it prints to `line`, until it exits;
    /// a line longer than the output limit ends it.
    @EventLoop
    public func lines(
        started: @EventLoop (Int32) -> Void = { _ in }, _ line: @EventLoop (String) -> Void
    ) async throws(ChildProcessError) -> Int32? {
        let running = try await self.start(timeout: self.timeout)
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

    @EventLoop
    private func start(timeout: Duration) async throws(ChildProcessError) -> RunningChild {
        let slots = self.slots ?? .shared
        do throws(ChildSlotError) {
            try await slots.take(self.kind, timeout: timeout)
        } catch {
            let kind: ChildProcessError.Kind =
                switch error {
                case .cancelled: .cancelled
                case .refused(let refusal): .refused(refusal)
                }
            throw ChildProcessError(kind: kind, command: self.command)
        }
        return try RunningChild(self, slots)
    }
}
