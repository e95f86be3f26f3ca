// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing

/// A child that runs no program: it does one thing in a copy of this process, which may be kept waiting for it.
@Suite(.serialized)
struct ChildActionTests {
    init() { EventLoop.shared.executor.startThread() }

    private func child(_ milliseconds: Int32, timeout: Duration = .seconds(30)) -> ChildProcess {
        var child = ChildProcess(["wait"], timeout: timeout)
        child.action = .init(
            {
                usleep(UInt32($0) * 1000)
                return 3
            }, milliseconds)
        return child
    }

    /// What a child and this process both see.
    private nonisolated(unsafe) static let shared: UnsafeMutablePointer<Int32> = {
        guard
            let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, Int32(MAP_SHARED) | Int32(MAP_ANONYMOUS), -1, 0),
            page != MAP_FAILED
        else { preconditionFailure("no page") }
        return page.bindMemory(to: Int32.self, capacity: 1)
    }()

    @Test @EventLoop func `its answer is the exit status, and the loop turns meanwhile`() async throws {
        Self.shared.pointee = 0
        var child = ChildProcess(["wait"], timeout: .seconds(30))
        child.action = .init(
            { answer in
                while ChildActionTests.shared.pointee == 0 { usleep(1000) }
                return answer
            }, 3)
        let outcome = EventLoop.task { [child] () -> ChildProcess.Outcome? in
            do { return try await child.run() } catch { return nil }
        }
        // Were the loop waiting for the child, it would not come to this.
        try await EventLoop.sleep(for: .milliseconds(5))
        Self.shared.pointee = 1
        #expect(await outcome.value == .init(exitCode: 3, output: []))
    }

    @Test @EventLoop func `at its time limit it is killed`() async {
        let error = await #expect(throws: ChildProcessError.self) {
            _ = try await child(60_000, timeout: .milliseconds(50)).run()
        }
        #expect(error?.kind == .timedOut)
    }

    /// Nothing of ours stays open in it, from the moment when it was started.
    @Test @EventLoop func `it holds no descriptor of this process`() async throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let writing = ends[1]
        defer { close(writing) }
        let child = EventLoop.task { [child = child(400)] () -> Int32? in
            do { return try await child.run().exitCode } catch { return nil }
        }
        try await EventLoop.sleep(for: .milliseconds(20))
        close(ends[0])
        signal(SIGPIPE, SIG_IGN)
        #expect(write(writing, "x", 1) == -1 && errno == EPIPE)
        #expect(await child.value == 3)
    }
}
