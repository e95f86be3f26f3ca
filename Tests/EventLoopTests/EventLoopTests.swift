// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing

@Suite(.serialized)
struct EventLoopTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `the longest turn is known, and how much of it was work`() async throws {
        let count = EventLoop.figures.count
        try await EventLoop.sleep(for: .milliseconds(1))
        #expect(EventLoop.figures.count > count)
        // A turn in which nothing is done but to wait; then one of work that is as long and a little.
        let idle = EventLoop.spawn { usleep(300_000) }
        await idle.value
        try await EventLoop.sleep(for: .milliseconds(1))
        let waited = try #require(EventLoop.figures.longest)
        #expect(waited.duration >= 300_000)
        let end = BootClock.microseconds + waited.duration + 200_000
        let busy = EventLoop.spawn { while BootClock.microseconds < end {} }
        await busy.value
        try await EventLoop.sleep(for: .milliseconds(1))
        let worked = try #require(EventLoop.figures.longest)
        #expect(worked.duration > waited.duration && worked.endedAt > waited.endedAt)
        #expect(worked.onProcessor > 0 && worked.onProcessor <= worked.duration)
    }

    @Test @EventLoop func `a sleep ends after its delay`() async throws {
        let clock = ContinuousClock()
        let took = try await clock.measure { try await EventLoop.sleep(for: .milliseconds(5)) }
        #expect(took >= .milliseconds(5))
    }

    @Test @EventLoop func `a cancelled sleep throws at once`() async throws {
        let task = EventLoop.spawn {
            await #expect(throws: WaitError.cancelled) { try await EventLoop.sleep(for: .seconds(60)) }
        }
        task.cancel()
        await task.value
    }

    @Test(arguments: [1, 2, 3]) @EventLoop func `a timeout is reported`(milliseconds: Int) async throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let end = ends[0]
        await #expect(throws: WaitError.timedOut) {
            _ = try await EventLoop.readiness(of: end, .read, timeout: .milliseconds(milliseconds))
        }
    }

    /// A copy of the descriptor, as a child holds it for a moment after it was started, keeps an epoll registration alive
    /// that nobody can remove any more.
    @Test @EventLoop func `a source that its handler lets go is unwatched before the handler closes its descriptor`()
        async throws
    {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let (end, copy) = (ends[0], dup(ends[0]))
        defer {
            close(copy)
            close(ends[1])
        }
        var source: EventSource?
        var fired = 0
        source = .descriptor(end, .read) { _ in
            fired += 1
            source = nil
            close(end)
        }
        #expect(source != nil)
        try #require(write(ends[1], "x", 1) == 1)
        try await EventLoop.sleep(for: .milliseconds(5))
        // Were it still watched, the loop would now meet a source that is gone.
        try #require(write(ends[1], "x", 1) == 1)
        try await EventLoop.sleep(for: .milliseconds(5))
        #expect(fired == 1)
    }

    /// What two tasks do that pass on both directions of one connection: one waits to read, the other to write.
    @Test(arguments: [EventSource.Readiness.read, .write], [false, true])
    @EventLoop func `two tasks wait for one socket, in either order, and each is served or leaves for itself`(
        first: EventSource.Readiness, isFirstCancelled: Bool
    ) async throws {
        var ends: [Int32] = [0, 0]
        // 1: SOCK_STREAM.
        try #require(socketpair(AF_UNIX, 1 | O_NONBLOCK | O_CLOEXEC, 0, &ends) == 0)
        let (own, peer) = (ends[0], ends[1])
        defer { for end in ends { close(end) } }
        // Nothing to read, and no room to write.
        let piece = [UInt8](repeating: 0, count: 4096)
        while write(own, piece, piece.count) > 0 {}
        var served: [UInt32] = []
        func wait(_ readiness: EventSource.Readiness) -> Task<Void, Never> {
            EventLoop.spawn {
                do throws(WaitError) {
                    let found = try await EventLoop.readiness(of: own, readiness, timeout: .seconds(30))
                    if found.contains(readiness) { served.append(readiness.rawValue) }
                } catch {
                    #expect(error == .cancelled)
                }
            }
        }
        let second: EventSource.Readiness = first == .read ? .write : .read
        let waiting = [(first, wait(first)), (second, wait(second))]
        try await EventLoop.sleep(for: .milliseconds(5))
        #expect(served.isEmpty && copies(of: own) == 2)
        let (cancelled, left) = isFirstCancelled ? (waiting[0], waiting[1]) : (waiting[1], waiting[0])
        cancelled.1.cancel()
        await cancelled.1.value
        func make(_ readiness: EventSource.Readiness) {
            var buffer = piece
            if readiness == .read { _ = write(peer, "x", 1) } else { while read(peer, &buffer, buffer.count) > 0 {} }
        }
        make(left.0)
        await left.1.value
        #expect(served == [left.0.rawValue])
        // Both at a time, and the copy of the descriptor goes with its waiter.
        served = []
        var byte: UInt8 = 0
        _ = read(own, &byte, 1)
        while write(own, piece, piece.count) > 0 {}
        let again = [wait(first), wait(second)]
        try await EventLoop.sleep(for: .milliseconds(5))
        make(second)
        await again[1].value
        make(first)
        await again[0].value
        #expect(served == [second.rawValue, first.rawValue])
        #expect(copies(of: own) == 1)
    }

    /// How many descriptors of this process are of the same file as this one.
    private func copies(of descriptor: CInt) -> Int {
        func file(_ number: Int) -> String? {
            var target = [CChar](repeating: 0, count: 100)
            let count = readlink("/proc/self/fd/\(number)", &target, target.count)
            return count > 0 ? String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
        }
        let own = file(Int(descriptor))
        return (0..<1024).count { own != nil && file($0) == own }
    }

    @Test @EventLoop func `a handler can watch its own descriptor anew`() async throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let end = ends[0]
        var source: EventSource?
        var fired: [String] = []
        source = .descriptor(end, .read) { _ in
            fired.append("first")
            source = nil
            source = .descriptor(end, .read) { _ in
                fired.append("second")
                source = nil
            }
        }
        #expect(source != nil)
        try #require(write(ends[1], "x", 1) == 1)
        let deadline = ContinuousClock.now + .seconds(30)
        while fired.count < 2, ContinuousClock.now < deadline { try await EventLoop.sleep(for: .milliseconds(5)) }
        #expect(fired == ["first", "second"])
        close(end)
        close(ends[1])
    }
}

@Suite(.serialized)
struct ChildProcessTests {
    init() { EventLoop.shared.executor.startThread() }

    @Test @EventLoop func `a child's output and exit code arrive`() async throws {
        let outcome = try await ChildProcess(["/bin/sh", "-c", "echo one; echo two >&2; exit 3"]).run()
        #expect(outcome == .init(exitCode: 3, output: Array("one\ntwo\n".utf8)))
    }

    @Test @EventLoop func `a child that does not end is killed`() async {
        let error = await #expect(throws: ChildProcessError.self) {
            _ = try await ChildProcess(["/bin/sleep", "60"], timeout: .milliseconds(50)).run()
        }
        #expect(error?.kind == .timedOut)
    }

    @Test @EventLoop func `a program that does not exist is reported`() async {
        let error = await #expect(throws: ChildProcessError.self) { _ = try await ChildProcess(["/nonexistent"]).run() }
        #expect(error?.kind == .notStarted(2))
    }

    @Test @EventLoop func `a child inherits nothing but its input and output`() async throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        // The fourth is the folder that is being listed.
        let outcome = try await ChildProcess(["/bin/ls", "/proc/self/fd"]).run()
        #expect(outcome.text == "0\n1\n2\n3\n")
    }

    /// libcurl closes a socket that it still connects, and says so afterwards.
    @Test @EventLoop
    func `a descriptor closed while it is watched is watched no more, though a child was started before`()
        async throws
    {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let writing = ends[1]
        defer { close(writing) }
        var fired = 0
        var source: EventSource? = .descriptor(ends[0], .read) { _ in fired += 1 }
        let child = EventLoop.task {
            do { return try await ChildProcess(["/bin/sleep", "0.2"]).run().exitCode } catch { return nil }
        }
        // It has been started.
        try await EventLoop.sleep(for: .milliseconds(20))
        #expect(source != nil)
        close(ends[0])
        source = nil
        // Were the child's copy still there, the loop would meet a source that is gone. So nobody reads any more.
        signal(SIGPIPE, SIG_IGN)
        #expect(write(writing, "x", 1) == -1 && errno == EPIPE)
        #expect(await child.value == 0)
        #expect(fired == 0)
    }

    @Test @EventLoop func `too much output ends a child`() async {
        let error = await #expect(throws: ChildProcessError.self) {
            _ = try await ChildProcess(["/usr/bin/yes"], outputLimit: 1000).run()
        }
        #expect(error?.kind == .outputTooLong)
    }

    @Test @EventLoop func `a guarded child does not begin after its instant`() async throws {
        let outcome = try await ChildProcess(
            ["/bin/echo", "late"], notAfter: .init(beginBy: BootClock.microseconds - 1, aliveFor: .milliseconds(500))
        ).run()
        #expect(outcome == .init(exitCode: 125, output: []))
    }

    @Test @EventLoop func `a guarded child is killed by its own timer, even while stopped`() async throws {
        // The child stops itself; when continued after its time it must die before it can print.
        let outcome = try await ChildProcess(
            ["/bin/sh", "-c", "(sleep 0.6; kill -CONT $$) & kill -STOP $$; echo acted"],
            notAfter: .init(beginBy: BootClock.microseconds + 250_000, aliveFor: .milliseconds(200))
        ).run()
        #expect(outcome == .init(exitCode: nil, output: []))
    }
}
