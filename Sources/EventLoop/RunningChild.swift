// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// A started child: its process id, what it prints, and its end.
///
/// It keeps its slot and itself alive until the child has been reaped, whoever waits for that and however it ends. A child
/// without rights leads a process group, which is ended with it when it must be killed; what has left that group by a session
/// of its own is not found.
@EventLoop
final class RunningChild {
    let process: Int32
    private let kind: ChildKind
    private let slots: ChildSlots
    private var output: Output
    private var end: End?
    private var source: EventSource?
    /// Wakes who waits for output or for the end.
    private var wake: @EventLoop () -> Void = {}
    private var buffer = [UInt8](repeating: 0, count: 16384)

    private enum Output {
        case open(Int32)
        /// The child has ended: only these many bytes were in its pipe by then.
        case remaining(Int32, bytes: Int)
        case closed
    }

    private struct End {
        /// Nil: a signal ended it.
        let exitCode: Int32?
    }

    /// Starts it in a slot that was taken for it, and is given back here where that fails.
    init(_ child: ChildProcess, _ slots: ChildSlots) throws(ChildProcessError) {
        let started: Result<Started, SystemError> = slots.starting(child.kind) {
            Self.start(child, taskLimit: slots.taskLimit)
        }
        switch started {
        case .failure(let error):
            slots.ended(child.kind)
            throw ChildProcessError(kind: .notStarted(error.number), command: child.command)
        case .success(let started):
            (self.process, self.kind, self.slots) = (started.process, child.kind, slots)
            self.output = .open(started.output)
        }
        let watched = slots.starting(child.kind) { EventSource.child(self.process) { self.ended(exitCode: $0) } }
        switch watched {
        case .success(let source): self.source = source
        case .failure(let error):
            self.abandon()
            throw ChildProcessError(kind: .notStarted(error.number), command: child.command)
        }
    }

    /// The next bytes; nil once there are no more of the child's own. What it left in the background is not waited for.
    func read(timeout: Duration) async throws(WaitError) -> ArraySlice<UInt8>? {
        let deadline = ContinuousClock.now + timeout
        while true {
            switch self.output {
            case .closed:
                guard self.end == nil else { return nil }
                try await self.news(nil, timeout: deadline - .now)
            case .open(let pipe):
                let count = Glibc.read(pipe, &self.buffer, self.buffer.count)
                if count > 0 { return self.buffer[..<count] }
                if count < 0, errno == EINTR { continue }
                guard count < 0, errno == EAGAIN else {
                    self.close()
                    continue
                }
                try await self.news(pipe, timeout: deadline - .now)
            case .remaining(let pipe, let bytes):
                let count = bytes > 0 ? Glibc.read(pipe, &self.buffer, min(bytes, self.buffer.count)) : 0
                guard count > 0 else {
                    self.close()
                    continue
                }
                self.output = .remaining(pipe, bytes: bytes - count)
                return self.buffer[..<count]
            }
        }
    }

    /// How it ended, once it has; nil: by a signal.
    func exitCode(timeout: Duration) async throws(WaitError) -> Int32? {
        let deadline = ContinuousClock.now + timeout
        while true {
            if let end = self.end { return end.exitCode }
            try await self.news(nil, timeout: deadline - .now)
        }
    }

    /// Kills the child, with its process group if it leads one. It is reaped when it has ended.
    func kill() {
        self.close()
        guard self.end == nil else { return }
        _ = Glibc.kill(self.kind.hasRights ? self.process : -self.process, SIGKILL)
    }

    /// Kills the child; returns once it has ended, even where the caller was cancelled. The loop turns meanwhile.
    func killed() async {
        self.kill()
        await EventLoop.spawn {
            while self.end == nil {
                do throws(WaitError) {
                    try await self.news(nil, timeout: .seconds(3600))
                } catch {
                    // Nobody cancels this, and the hour begins anew.
                }
            }
        }.value
    }

    /// Waits until the child has ended, or `pipe` can be read.
    private func news(_ pipe: Int32?, timeout: Duration) async throws(WaitError) {
        let waiter = Waiter<Void>()
        defer { self.wake = {} }
        try await waiter.wait { waiter in
            self.wake = { waiter.finish(.success(())) }
            if self.end != nil { waiter.finish(.success(())) }
            let output = pipe.map { EventSource.descriptor($0, .read) { _ in waiter.finish(.success(())) } }
            return [.timer(after: timeout) { waiter.finish(.failure(.timedOut)) }] + (output.map { [$0] } ?? [])
        }
    }

    private func ended(exitCode: Int32?) {
        self.end = End(exitCode: exitCode)
        if case .open(let pipe) = self.output {
            self.output = .remaining(pipe, bytes: Int(linux_waiting_bytes(pipe)))
        }
        self.source = nil
        self.slots.ended(self.kind)
        self.wake()
    }

    private func close() {
        switch self.output {
        case .open(let pipe), .remaining(let pipe, _): Glibc.close(pipe)
        case .closed: break
        }
        self.output = .closed
    }

    isolated deinit { self.close() }

    /// Started, but it cannot be watched: kills it, and looks every 100 ms whether it can be reaped.
    private func abandon() {
        self.kill()
        EventLoop.spawn {
            var status: Int32 = 0
            while waitpid(self.process, &status, WNOHANG) == 0 {
                do throws(WaitError) {
                    try await EventLoop.sleep(for: .milliseconds(100))
                } catch {
                    // Nobody cancels this.
                }
            }
            self.end = End(exitCode: nil)
            self.slots.ended(self.kind)
        }
    }

    // MARK: - Starting

    private struct Started {
        let process: Int32
        /// The end of the pipe to read from.
        let output: Int32
    }

    private static func start(_ child: ChildProcess, taskLimit: Int) -> Result<Started, SystemError> {
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC | O_NONBLOCK) == 0 else { return .failure(SystemError(number: errno)) }
        // The writing end must block like any program's output.
        _ = fcntl(ends[1], F_SETFL, 0)
        // The child's own descriptor, by which its end is seen, is opened after it was started: whether there is one for it is
        // found out before.
        let duplicate = fcntl(ends[0], F_DUPFD_CLOEXEC, 0)
        var process = duplicate < 0 ? -errno : 0
        if process == 0 {
            let input = child.input.map(Self.file) ?? -1
            process =
                child.input != nil && input < 0
                ? input : Self.spawn(child, input: input, output: ends[1], taskLimit: taskLimit)
            if input >= 0 { Glibc.close(input) }
        }
        Glibc.close(ends[1])
        if duplicate >= 0 { Glibc.close(duplicate) }
        guard process > 0 else {
            Glibc.close(ends[0])
            return .failure(SystemError(number: -process))
        }
        return .success(Started(process: process, output: ends[0]))
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
                Glibc.close(descriptor)
                return -number
            }
            written += count
        }
        lseek(descriptor, 0, SEEK_SET)
        return descriptor
    }

    private static func spawn(_ child: ChildProcess, input: Int32, output: Int32, taskLimit: Int) -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] = child.command.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        return arguments.withUnsafeBufferPointer { arguments in
            guard let first = arguments.baseAddress else { return -EINVAL }
            var specification = linux_child(
                arguments: first, environment: environ, input: input, output: output, error: output,
                begin_by: child.notAfter?.beginBy ?? 0, alive_for: child.notAfter?.aliveFor.wholeMicroseconds ?? 0,
                without_rights: child.kind.hasRights ? 0 : 1, task_limit: Int64(taskLimit),
                action: child.action?.function, argument: child.action?.argument ?? 0)
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
