// SPDX-License-Identifier: Apache-2.0
import CLinux
import CSystemd
import Glibc

/// A watched file descriptor, timer, signal or child: active until the last reference goes away.
///
/// Not `Sendable`: it lives and dies on the loop's thread.
public final class EventSource {
    public struct Readiness: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let read = Readiness(rawValue: EPOLLIN.rawValue)
        public static let write = Readiness(rawValue: EPOLLOUT.rawValue)
        public static let failed = Readiness(rawValue: EPOLLERR.rawValue | EPOLLHUP.rawValue)
    }

    private let handler: @EventLoop (Readiness) -> Void
    private var source: OpaquePointer?

    private convenience init(
        _ handler: @escaping @EventLoop (Readiness) -> Void,
        add: (OpaquePointer, UnsafeMutableRawPointer) -> (CInt, OpaquePointer?)
    ) {
        self.init(handler)
        let status = self.add(add)
        precondition(status >= 0, "sd_event_add: \(status)")
    }

    private init(_ handler: @escaping @EventLoop (Readiness) -> Void) { self.handler = handler }

    private func add(_ add: (OpaquePointer, UnsafeMutableRawPointer) -> (CInt, OpaquePointer?)) -> CInt {
        let (status, source) = add(EventLoop.shared.executor.event, Unmanaged.passUnretained(self).toOpaque())
        self.source = source
        return status
    }

    deinit {
        precondition(EventLoop.shared.executor.isOnLoopThread, "an event source let go on another thread")
        sd_event_source_disable_unref(self.source)
    }

    private static func fire(_ context: UnsafeMutableRawPointer?, _ readiness: Readiness = []) -> CInt {
        guard let context else { return 0 }
        // Not retained: a handler that lets its own source go must find the descriptor unwatched at once. It may be about
        // to close it, and a child that was just spawned may hold it open for another moment, and epoll with it.
        let handler = Unmanaged<EventSource>.fromOpaque(context)._withUnsafeGuaranteedRef { $0.handler }
        EventLoop.assumeIsolated { handler(readiness) }
        return 0
    }

    /// A descriptor that is watched already may be watched once more: epoll knows an open file by its number and refuses the same
    /// number twice, so that the second source watches a copy of its own. Until that source is gone, the copy keeps the file
    /// open though `descriptor` is closed. Traps where there is no descriptor left for the copy; of our own code nothing that
    /// runs in the daemon needs one.
    @EventLoop
    public static func descriptor(
        _ descriptor: CInt, _ readiness: Readiness, handler: @escaping @EventLoop (Readiness) -> Void
    ) -> EventSource {
        EventSource(handler) { event, context in
            func add(_ descriptor: CInt) -> (CInt, OpaquePointer?) {
                var source: OpaquePointer?
                let status = sd_event_add_io(
                    event, &source, descriptor, readiness.rawValue,
                    { _, _, events, context in
                        EventSource.fire(context, Readiness(rawValue: events))
                    }, context)
                return (status, source)
            }
            let first = add(descriptor)
            guard first.0 == -EEXIST else { return first }
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
            guard copy >= 0 else { return (-errno, nil) }
            let second = add(copy)
            if let source = second.1 { sd_event_source_set_io_fd_own(source, 1) } else { close(copy) }
            return second
        }
    }

    @EventLoop
    public static func timer(
        after delay: Duration, accuracy: Duration = .milliseconds(1), handler: @escaping @EventLoop () -> Void
    ) -> EventSource {
        EventSource({ _ in handler() }) { event, context in
            var source: OpaquePointer?
            let status = sd_event_add_time_relative(
                event, &source, CLOCK_BOOTTIME, delay.microseconds, max(accuracy.microseconds, 1),
                { _, _, context in EventSource.fire(context) }, context)
            return (status, source)
        }
    }

    /// The signal must already be blocked in every thread; see ``blockSignals(_:)``.
    @EventLoop
    public static func signal(_ number: CInt, handler: @escaping @EventLoop () -> Void) -> EventSource {
        EventSource({ _ in handler() }) { event, context in
            var source: OpaquePointer?
            let status = sd_event_add_signal(
                event, &source, number, { _, _, context in EventSource.fire(context) }, context)
            return (status, source)
        }
    }

    /// Calls `handler` with the exit code once the child has ended, or with nil if a signal ended it. The child is reaped right
    /// afterwards. Fails with an errno where it cannot be watched, as with EMFILE: the kernel wants a descriptor for it.
    @EventLoop
    static func child(
        _ process: Int32, handler: @escaping @EventLoop (CInt?) -> Void
    ) -> Result<EventSource, SystemError> {
        // sd-event reaps after the callback; the status travels in the readiness' bits.
        let source = EventSource { handler($0.rawValue == UInt32.max ? nil : CInt($0.rawValue)) }
        let status = source.add { event, context in
            var source: OpaquePointer?
            let status = sd_event_add_child(
                event, &source, process, WEXITED,
                { _, info, context in
                    guard let info = info?.pointee, info.si_code == CLD_EXITED else {
                        return EventSource.fire(context, Readiness(rawValue: .max))
                    }
                    return EventSource.fire(context, Readiness(rawValue: UInt32(info._sifields._sigchld.si_status)))
                }, context)
            return (status, source)
        }
        return status < 0 ? .failure(SystemError(number: -status)) : .success(source)
    }

    @EventLoop
    public func rearm(after delay: Duration) {
        sd_event_source_set_time_relative(self.source, delay.microseconds)
        sd_event_source_set_enabled(self.source, CInt(SD_EVENT_ONESHOT))
    }

    @EventLoop
    public func watch(_ readiness: Readiness) {
        sd_event_source_set_io_events(self.source, readiness.rawValue)
    }

    @EventLoop
    public func setEnabled(_ enabled: Bool) {
        sd_event_source_set_enabled(self.source, enabled ? CInt(SD_EVENT_ON) : CInt(SD_EVENT_OFF))
    }
}

/// An errno.
struct SystemError: Error {
    let number: Int32
}

/// To call first thing in `main`, before any thread exists.
public func blockSignals(_ numbers: CInt...) {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
}

extension Duration {
    var microseconds: UInt64 {
        let (seconds, attoseconds) = self.components
        return UInt64(max(0, seconds)) * 1_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000_000
    }
}
