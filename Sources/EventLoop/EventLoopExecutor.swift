// SPDX-License-Identifier: Apache-2.0
import CLinux
import CSystemd
import Glibc
import Synchronization

/// Runs every job of the daemon on one thread, between the events of one `sd_event` loop.
///
/// Jobs may be enqueued from any thread; each runs on the thread that called ``run()``.
public final class EventLoopExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private struct Mailbox {
        var jobs: [UnownedJob] = []
        var isWakeupPending = false
    }

    /// Touched on the loop's thread only, as `sd_event` demands.
    let event: OpaquePointer
    private let wakeup: CInt
    private let mailbox = Mutex(Mailbox())
    private let thread = Atomic<UInt>(0)
    private let hasThread = Atomic<Bool>(false)
    private var batch: [UnownedJob] = []
    /// Touched on the loop's thread only.
    private(set) var figures = LoopFigures()

    init() {
        var event: OpaquePointer?
        let status = sd_event_new(&event)
        guard status >= 0, let event else { fatalError("sd_event_new: \(status)") }
        self.event = event
        self.wakeup = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        precondition(self.wakeup >= 0, "eventfd: \(errno)")
        let added = sd_event_add_io(
            event, nil, self.wakeup, EPOLLIN.rawValue,
            { _, _, _, context in
                guard let context else { return 0 }
                Unmanaged<EventLoopExecutor>.fromOpaque(context).takeUnretainedValue().acknowledgeWakeup()
                return 0
            }, Unmanaged.passUnretained(self).toOpaque())
        precondition(added >= 0, "sd_event_add_io: \(added)")
    }

    var isOnLoopThread: Bool { self.thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let onLoopThread = self.isOnLoopThread
        let mustWake = self.mailbox.withLock { mailbox in
            mailbox.jobs.append(job)
            guard !onLoopThread, !mailbox.isWakeupPending else { return false }
            mailbox.isWakeupPending = true
            return true
        }
        if mustWake { eventfd_write(self.wakeup, 1) }
    }

    public func isIsolatingCurrentContext() -> Bool? { self.isOnLoopThread }

    public func checkIsolated() {
        precondition(self.isOnLoopThread, "not on the event loop's thread")
    }

    /// Runs jobs and events on the calling thread until ``EventLoop/exit(code:)``; answers its code.
    ///
    /// Once in a process: a loop that has ended does not turn again, and would answer the former code at once, as if all that was
    /// asked for since had been done.
    public func run() -> CInt {
        guard sd_event_get_state(self.event) != CInt(SD_EVENT_FINISHED) else {
            // Our own mistake, which no input brings about.
            fatalError("the event loop of this process has ended: it runs once; put both operations into one run")
        }
        self.thread.store(UInt(pthread_self()), ordering: .relaxed)
        // sd-event watches children only where SIGCHLD is blocked.
        blockSignals(SIGCHLD)
        while true {
            let isIdle = self.runReadyJobs()
            self.figures.turnEnds(at: BootClock.microseconds, processor: Self.processorTime)
            // As sd_event_run(3) does, with the wait told apart from the rest.
            var status = sd_event_prepare(self.event)
            if status == 0 { status = sd_event_wait(self.event, isIdle ? UInt64.max : 0) }
            self.figures.turnBegins(at: BootClock.microseconds, processor: Self.processorTime)
            if status > 0 { status = sd_event_dispatch(self.event) }
            if sd_event_get_state(self.event) == CInt(SD_EVENT_FINISHED) { break }
            precondition(status >= 0, "sd_event: \(status)")
        }
        var code: CInt = 0
        sd_event_get_exit_code(self.event, &code)
        return code
    }

    /// Of this thread, in microseconds.
    private static var processorTime: Int64 { linux_clock_microseconds(CLOCK_THREAD_CPUTIME_ID) }

    /// For tests, whose main thread is not ours: runs the loop on a thread of its own.
    public func startThread() {
        guard self.hasThread.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else {
            return
        }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                _ = Unmanaged<EventLoopExecutor>.fromOpaque(context).takeUnretainedValue().run()
                return nil
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Runs what is enqueued now, but not what that enqueues, so that events are never starved.
    private func runReadyJobs() -> Bool {
        self.mailbox.withLock { swap(&$0.jobs, &self.batch) }
        for job in self.batch {
            job.runSynchronously(isolatedTo: self.asUnownedSerialExecutor(), taskExecutor: self.asUnownedTaskExecutor())
        }
        self.batch.removeAll(keepingCapacity: true)
        return self.mailbox.withLock { $0.jobs.isEmpty }
    }

    private func acknowledgeWakeup() {
        var count: eventfd_t = 0
        eventfd_read(self.wakeup, &count)
        self.mailbox.withLock { $0.isWakeupPending = false }
    }
}
