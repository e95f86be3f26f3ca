// SPDX-License-Identifier: Apache-2.0
import CSystemd
import Glibc

/// The daemon's one thread of control: everything that is not a pure value runs here.
@globalActor
public actor EventLoop {
    public static let shared = EventLoop()
    public nonisolated let executor = EventLoopExecutor()
    public nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

    private init() {}

    /// Starts a task of the loop. A plain `Task` would bounce through Dispatch's threads at each resumption.
    @discardableResult
    public static func spawn(_ operation: @escaping @EventLoop () async -> Void) -> Task<Void, Never> {
        self.task(operation)
    }

    /// The same, for a task whose answer is awaited.
    public static func task<Value: Sendable>(
        _ operation: @escaping @EventLoop () async -> Value
    ) -> Task<Value, Never> {
        Task(executorPreference: self.shared.executor, operation: operation)
    }

    /// Runs `operation` now, from a C callback that the loop's thread made; crashes on any other thread.
    public static func assumeIsolated<Value: Sendable>(_ operation: @EventLoop () throws -> Value) rethrows -> Value {
        self.shared.executor.checkIsolated()
        return try withoutActuallyEscaping(operation) { operation in
            try unsafeBitCast(operation, to: (() throws -> Value).self)()
        }
    }

    @EventLoop public static var figures: LoopFigures { self.shared.executor.figures }

    @EventLoop public static func exit(code: CInt) {
        sd_event_exit(self.shared.executor.event, code)
    }
}
