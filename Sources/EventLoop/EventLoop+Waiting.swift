// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Why a wait on the loop ended early.
public enum WaitError: Error { case timedOut, cancelled }

/// One suspended task, resumed exactly once by whichever comes first: event, deadline or cancellation, also where that comes
/// before the task waits. (Between the call of an asynchronous function and its first instruction the loop may turn.)
@EventLoop
final class Waiter<Value: Sendable> {
    private typealias Outcome = Result<Value, WaitError>
    private enum State {
        case new
        case waiting(CheckedContinuation<Outcome, Never>)
        case finished(Outcome)
    }

    private var state = State.new
    private var sources: [EventSource] = []

    /// `register` registers what is waited for, and then looks whether it has happened already.
    func wait(on register: (Waiter) -> [EventSource]) async throws(WaitError) -> Value {
        let result: Result<Value, WaitError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if case .finished(let result) = self.state { return continuation.resume(returning: result) }
                self.state = .waiting(continuation)
                let sources = register(self)
                // Sources hold their waiter, so one that is done must not hold them.
                if case .waiting = self.state { self.sources = sources }
            }
        } onCancel: {
            EventLoop.spawn { self.finish(.failure(.cancelled)) }
        }
        return try result.get()
    }

    func finish(_ result: Result<Value, WaitError>) {
        self.sources = []
        let former = self.state
        switch former {
        case .new: self.state = .finished(result)
        case .waiting(let continuation):
            self.state = .finished(result)
            continuation.resume(returning: result)
        case .finished: break
        }
    }
}

extension EventLoop {
    @EventLoop public static func sleep(for delay: Duration) async throws(WaitError) {
        try await Waiter<Void>().wait { waiter in
            [.timer(after: delay) { waiter.finish(.success(())) }]
        }
    }

    /// Waits for what `task` comes to, at most for `limit`. The task goes on.
    @EventLoop public static func value<Value: Sendable>(
        of task: Task<Value, Never>, within limit: Duration
    ) async throws(WaitError) -> Value {
        try await Waiter<Value>().wait { waiter in
            EventLoop.spawn { waiter.finish(.success(await task.value)) }
            return [.timer(after: limit) { waiter.finish(.failure(.timedOut)) }]
        }
    }

    /// Waits until `descriptor` is ready, at most for `timeout`. Several tasks may wait for one descriptor at a time.
    @EventLoop public static func readiness(
        of descriptor: CInt, _ readiness: EventSource.Readiness, timeout: Duration
    ) async throws(WaitError) -> EventSource.Readiness {
        try await Waiter<EventSource.Readiness>().wait { waiter in
            [
                .descriptor(descriptor, readiness) { waiter.finish(.success($0)) },
                .timer(after: timeout) { waiter.finish(.failure(.timedOut)) },
            ]
        }
    }
}
