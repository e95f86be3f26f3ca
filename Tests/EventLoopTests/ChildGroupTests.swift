// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import TestSupport
import Testing

@testable import EventLoop

@_silgen_name("capset") private func capset(_ header: UnsafePointer<UInt32>, _ data: UnsafePointer<UInt32>) -> Int32
@_silgen_name("prctl")
private func prctl(_ option: Int32, _ two: UInt, _ three: UInt, _ four: UInt, _ five: UInt) -> Int32
@_silgen_name("unshare") private func unshare(_ flags: Int32) -> Int32

/// What children of each kind may do, what ends with them, and what becomes of those that find no room.
@Suite(.serialized)
struct ChildGroupTests {
    init() { EventLoop.shared.executor.startThread() }

    /// Whether the process is there and no zombie.
    private static func runs(_ process: Int32) -> Bool {
        guard let text = self.text("/proc/\(process)/stat"), let end = text.lastIndex(of: ")") else { return false }
        return !text[end...].hasPrefix(") Z")
    }

    private static func text(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(file, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }

    private static func number(_ bytes: [UInt8]) -> Int32? {
        Int32(String(decoding: bytes, as: UTF8.self).split(separator: "\n").first ?? "")
    }

    @Test @EventLoop func `the exit of the child ends the run: what it left behind is neither waited for nor killed`()
        async throws
    {
        // Both ends of the pipe stay open in the background process, which prints on.
        let script = "(while :; do sleep 0.01; echo noise; done) & echo $!; exit 0"
        let outcome = try await ChildProcess(["/bin/sh", "-c", script], kind: .alert, timeout: .seconds(30)).run()
        #expect(outcome.exitCode == 0)
        let left = try #require(Self.number(outcome.output))
        // Its next line would end it: nobody reads any more. That it was not killed shows in how it ends: by itself.
        defer { kill(left, SIGKILL) }
        let silent = "sleep 300 & echo $!; exit 0"
        let other = try await ChildProcess(["/bin/sh", "-c", silent], kind: .alert, timeout: .seconds(30)).run()
        let survivor = try #require(Self.number(other.output))
        defer { kill(survivor, SIGKILL) }
        #expect(Self.runs(survivor))
    }

    @Test @EventLoop func `what a child has printed by its exit arrives whole`() async throws {
        let folder = try TemporaryDirectory("whole")
        let script = "head -c 60000 /dev/zero | tr '\\0' x; sleep 300 & echo $! > $0/pid; exit 4"
        let outcome = try await ChildProcess(
            ["/bin/sh", "-c", script, folder.path], kind: .alert, timeout: .seconds(30)
        ).run()
        let left = try #require(Self.number(folder.read("pid")))
        defer { kill(left, SIGKILL) }
        #expect(outcome.exitCode == 4 && outcome.output.count == 60_000)
    }

    @Test @EventLoop func `at its time limit a child is killed with all that it started`() async throws {
        let folder = try TemporaryDirectory("group")
        let script = """
            sleep 1000 & echo $! >> $0/pids
            (trap '' TERM HUP; sleep 1001 & echo $! >> $0/pids; wait) &
            echo $$ >> $0/pids; touch $0/ready; sleep 1002
            """
        let child = ChildProcess(["/bin/sh", "-c", script, folder.path], kind: .alert, timeout: .seconds(60))
        let run = EventLoop.task { () -> ChildProcess.Outcome? in
            do { return try await child.run() } catch { return nil }
        }
        func pids() -> [Int32] {
            String(decoding: folder.read("pids"), as: UTF8.self).split(separator: "\n").compactMap { Int32($0) }
        }
        #expect(try await eventually(within: .seconds(20)) { pids().count == 3 })
        let started = pids()
        #expect(started.allSatisfy(Self.runs))
        // As the time limit does.
        run.cancel()
        #expect(await run.value == nil)
        #expect(try await eventually(within: .seconds(20)) { !started.contains(where: Self.runs) })
    }

    @Test @EventLoop func `only ip stays in the daemon's session; the others lead one of their own`() async throws {
        for kind in ChildKind.allCases {
            let outcome = try await ChildProcess(["/bin/cat", "/proc/self/stat"], kind: kind).run()
            let fields = outcome.text.split(separator: " ").map(String.init)
            // Process, program, state, parent, process group, session.
            #expect((fields[0] == fields[4] && fields[0] == fields[5]) == !kind.hasRights, "\(kind)")
        }
    }

    /// In the unit it is lower than others'; to test that it is not inherited, a higher one will do, for which nobody needs rights.
    @Test @EventLoop
    func `only ip has the daemon's OOM score, and the daemon keeps its own`() async throws {
        let own = try #require(Self.text("/proc/self/oom_score_adj"))
        func set(_ value: String) throws {
            let file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)
            try #require(file >= 0 && write(file, value, value.utf8.count) == value.utf8.count)
            close(file)
        }
        try set("17")
        for kind in ChildKind.allCases {
            let outcome = try await ChildProcess(["/bin/cat", "/proc/self/oom_score_adj"], kind: kind).run()
            #expect(outcome.text == (kind.hasRights ? "17\n" : "0\n"), "\(kind)")
        }
        #expect(Self.text("/proc/self/oom_score_adj") == "17\n")
        try set(own.split(separator: "\n").first.map(String.init) ?? "0")
    }

    /// The capabilities of the loop's thread, which alone starts children.
    @Test(.enabled(if: geteuid() == 0)) @EventLoop
    func `only ip has the daemon's capabilities`() async throws {
        let bit: UInt32 = 1 << 12  // CAP_NET_ADMIN
        var before = [UInt32](repeating: 0, count: 6)
        let status = Self.text("/proc/thread-self/status") ?? ""
        func mask(_ name: String) -> UInt64 {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
            return UInt64(line.split(whereSeparator: { $0 == "\t" || $0 == " " }).last ?? "", radix: 16) ?? 0
        }
        for (index, name) in ["CapEff:", "CapPrm:", "CapInh:"].enumerated() {
            before[index] = UInt32(truncatingIfNeeded: mask(name))
            before[index + 3] = UInt32(truncatingIfNeeded: mask(name) >> 32)
        }
        try #require(before[1] & bit != 0)
        let header: [UInt32] = [0x2008_0522, 0]
        var inheriting = before
        inheriting[2] |= bit
        try #require(capset(header, inheriting) == 0)
        defer { _ = capset(header, before) }
        try #require(prctl(47, 2, 12, 0, 0) == 0)  // PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE
        defer { _ = prctl(47, 4, 0, 0, 0) }  // PR_CAP_AMBIENT_CLEAR_ALL
        for kind in ChildKind.allCases {
            let outcome = try await ChildProcess(["/bin/grep", "CapAmb", "/proc/self/status"], kind: kind).run()
            #expect(outcome.text.contains(kind.hasRights ? "0000000000001000" : "0000000000000000"), "\(kind)")
        }
    }

    @Test @EventLoop func `who finds no slot waits, or is refused and told once; an end lets the next one in`()
        async throws
    {
        let folder = try TemporaryDirectory("slots")
        try #require(mkfifo(folder.file("fifo"), 0o600) == 0)
        let fifo = open(folder.file("fifo"), O_RDWR | O_CLOEXEC)
        defer { close(fifo) }
        let slots = ChildSlots(room: nil)
        var told: [ChildRefusal] = []
        slots.refused = { told.append($1) }
        func start(_ name: String) -> Task<ChildProcessError.Kind?, Never> {
            var child = ChildProcess(
                ["/bin/sh", "-c", "echo \(name) >> $0/started; read line < $0/fifo", folder.path], kind: .alert,
                timeout: .seconds(60))
            child.slots = slots
            let started = child
            return EventLoop.task { () -> ChildProcessError.Kind? in
                do throws(ChildProcessError) {
                    _ = try await started.run()
                    return nil
                } catch { return error.kind }
            }
        }
        func started() -> Int { folder.read("started").count { $0 == UInt8(ascii: "\n") } }
        let limit = ChildBudget.limit(of: .alert)
        let running = (0..<limit.running).map { start("r\($0)") }
        #expect(try await eventually(within: .seconds(20)) { started() == limit.running })
        let waiting = start("waits")
        let refusal = ChildRefusal.tooMany(.alert, running: limit.running, waiting: limit.waiting)
        for _ in 0..<3 { #expect(await start("refused").value == .refused(refusal)) }
        #expect(told == [refusal])
        #expect(started() == limit.running)
        for count in 1...limit.running {
            try #require(write(fifo, "x\n", 2) == 2)
            #expect(try await eventually(within: .seconds(20)) { started() == limit.running + min(count, 1) })
        }
        try #require(write(fifo, "x\n", 2) == 2)
        #expect(await waiting.value == nil)
        for task in running { #expect(await task.value == nil) }
    }

    @Test @EventLoop func `a wait for a slot ends with the time limit`() async throws {
        let slots = ChildSlots(room: nil)
        func child(_ command: [String], _ timeout: Duration) -> ChildProcess {
            var child = ChildProcess(command, kind: .alert, timeout: timeout)
            child.slots = slots
            return child
        }
        let running = (0..<ChildBudget.limit(of: .alert).running).map { _ in
            let sleeper = child(["/bin/sleep", "1000"], .seconds(60))
            return EventLoop.task { do { _ = try await sleeper.run() } catch {} }
        }
        await Task.yield()
        let error = await #expect(throws: ChildProcessError.self) {
            _ = try await child(["/bin/true"], .milliseconds(50)).run()
        }
        #expect(error?.kind == .refused(.waitedTooLong(.alert)))
        for task in running { task.cancel() }
        for task in running { await task.value }
        // Killed, and reaped a moment later: then there is room again.
        _ = try await child(["/bin/true"], .seconds(20)).run()
    }

    /// A thread with a table of descriptors of its own, filled to the limit: nobody else is disturbed.
    @Test func `a child that cannot be given its descriptors is told with the right error`() throws {
        var thread = pthread_t()
        let result = UnsafeMutablePointer<Int32>.allocate(capacity: 1)
        defer { result.deallocate() }
        result.pointee = 0
        pthread_create(
            &thread, nil,
            { context in
                guard unshare(0x400) == 0 else { return nil }  // CLONE_FILES
                while dup(2) >= 0 {}
                let words: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/true"), nil]
                defer { free(words[0]) }
                words.withUnsafeBufferPointer { words in
                    guard let first = words.baseAddress else { return }
                    var child = linux_child(
                        arguments: first, environment: environ, input: -1, output: 1, error: 2, begin_by: 0,
                        alive_for: 0, without_rights: 1, task_limit: 0, action: nil, argument: 0)
                    context?.assumingMemoryBound(to: Int32.self).pointee = linux_spawn(&child)
                }
                return nil
            }, result)
        pthread_join(thread, nil)
        #expect(result.pointee == -EMFILE)
    }

    @Test @EventLoop func `a process that cannot be watched is an error, not a crash`() {
        // Nobody's: the highest number there is, and not a child of this process.
        switch EventSource.child(4_194_303, handler: { _ in }) {
        case .success: Issue.record("it is watched")
        case .failure(let error): #expect(error.number == ESRCH)
        }
    }
}
