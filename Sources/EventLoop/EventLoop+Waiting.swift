// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Why a wait on the loop ended early.
public enum WaitError: Error { case timedOut, cancelled }

/// One suspended task, resumed at most once by whichever comes first: event, deadline or cancellation.
@EventLoop
private final class Waiter<Value: Sendable> {
    private var continuation: CheckedContinuation<Result<Value, WaitError>, Never>?
    private var sources: [EventSource] = []
    private var isCancelled = false

    func wait(on arm: (Waiter) -> [EventSource]) async throws(WaitError) -> Value {
        let result: Result<Value, WaitError> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard !self.isCancelled else { return continuation.resume(returning: .failure(.cancelled)) }
                self.continuation = continuation
                self.sources = arm(self)
            }
        } onCancel: {
            EventLoop.spawn { self.cancel() }
        }
        return try result.get()
    }

    private func cancel() {
        self.isCancelled = true
        self.finish(.failure(.cancelled))
    }

    func finish(_ result: Result<Value, WaitError>) {
        self.sources = []
        self.continuation.take()?.resume(returning: result)
    }
}

extension EventLoop {
    @EventLoop public static func exitCode(of process: Int32, timeout: Duration) async throws(WaitError) -> CInt? {
        try await Waiter<CInt?>().wait { waiter in
            [
                .child(process) { waiter.finish(.success($0)) },
                .timer(after: timeout) { waiter.finish(.failure(.timedOut)) },
            ]
        }
    }

    /// Waits for the end of a child that was killed. In a task that nobody cancels, this has no limit.
    @EventLoop static func end(of process: Int32) async {
        do throws(WaitError) {
            _ = try await Waiter<CInt?>().wait { waiter in [.child(process) { waiter.finish(.success($0)) }] }
        } catch {
            // Cancelled: nobody is left who would want to know.
        }
    }

    @EventLoop public static func sleep(for delay: Duration) async throws(WaitError) {
        try await Waiter<Void>().wait { waiter in
            [.timer(after: delay) { waiter.finish(.success(())) }]
        }
    }

    /// Waits until `descriptor` is ready, at most for `timeout`.
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
