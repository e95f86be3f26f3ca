// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Journal
import TestSupport
import Testing
import VirtualAddress

@testable import Settings
@testable import Shell

/// A pager that does not answer, for as long as the incident lasts, in a control group such as the unit's.
@Suite(.serialized)
struct AlertFloodTests {
    init() { EventLoop.shared.executor.startThread() }

    /// As in the unit: what is kept for `ip`, and 60 tasks for all else.
    private static let tasks = ChildBudget.reservedTasks + 60

    @EventLoop
    private final class Told {
        var records: [LogRecord] = []
    }

    /// `ip` in the group, from a shell that must start it: answers what went wrong.
    @EventLoop
    private func ip(in group: TaskGroup, _ slots: ChildSlots) async -> String? {
        guard let ip = AddressCommands.findIP() else { return "there is no ip program" }
        let command = ["/bin/sh", "-c", "\(group.entrance); \(ip) -json address show > /dev/null; exit $?"]
        var child = ChildProcess(command, kind: .address, timeout: .seconds(20))
        child.slots = slots
        do throws(ChildProcessError) {
            let outcome = try await child.run()
            return outcome.exitCode == 0 ? nil : "exit status \(outcome.exitCode ?? -1): \(outcome.text)"
        } catch { return error.description }
    }

    @Test @EventLoop func `forty alerts that hang and start others leave nothing behind, and ip starts throughout`()
        async throws
    {
        let group = try #require(TaskGroup("alerts", limit: Self.tasks), "needs root's rights and the pids controller")
        let slots = ChildSlots(room: TaskRoom(folder: group.path))
        let folder = try TemporaryDirectory("alerts")
        let told = Told()
        // Each starts three that hang, says so, and hangs.
        let script = """
            \(group.entrance); for i in 1 2 3; do sleep 1000 & done
            echo hangs >> \(folder.file("hung")); wait
            """
        let alert = AlertCommand(
            Settings.Alert(command: ["/bin/sh", "-c", script], timeout: .milliseconds(300), priority: .error),
            scope: "demo",
            member: "n1", redact: { $0 }, slots: slots, failed: { told.records.append($0) })
        func hung() -> Int { folder.read("hung").count { $0 == UInt8(ascii: "\n") } }
        for number in 1...40 {
            alert.tell(LogRecord(.splitBrain, "\(number)"))
            #expect(try await eventually(within: .seconds(20)) { hung() >= number || !alert.isRunning }, "\(number)")
            if number % 4 == 0 { #expect(await self.ip(in: group, slots) == nil, "after \(number) alerts") }
        }
        #expect(try await eventually(within: .seconds(60)) { !alert.isRunning && group.processes.isEmpty })
        #expect(hung() > 30, "the test means those that hang")
        #expect(told.records.map(\.kind) == [.alertFailed])
        #expect(told.records.first?.message.contains("time limit") == true)
    }

    /// What a command leaves behind on purpose is left alone; it never takes what is kept for `ip`.
    @Test @EventLoop func `what alerts leave in the background fills the group only as far as ip's reserve`()
        async throws
    {
        let group = try #require(TaskGroup("leavers", limit: Self.tasks), "needs root's rights and the pids controller")
        let slots = ChildSlots(room: TaskRoom(folder: group.path))
        let told = Told()
        var refusals: [ChildRefusal] = []
        slots.refused = { refusals.append($1) }
        // Ended well, and nine are left behind each time.
        let script = "\(group.entrance); for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; exit 0"
        let alert = AlertCommand(
            Settings.Alert(command: ["/bin/sh", "-c", script], timeout: .seconds(20), priority: .error),
            scope: "demo",
            member: "n1", redact: { $0 }, slots: slots, failed: { told.records.append($0) })
        for _ in 0..<20 {
            alert.tell(LogRecord(.splitBrain, "x"))
            #expect(try await eventually(within: .seconds(20)) { !alert.isRunning })
        }
        let left = group.processes.count
        // The last that was started found one task more than is kept, and left nine.
        #expect(left >= 60 - 9 && left <= 60 + 9, "\(left)")
        #expect(refusals.count == 1 && told.records.map(\.kind) == [.alertFailed])
        #expect(told.records.first?.message.contains("kept for ip") == true)
        #expect(await self.ip(in: group, slots) == nil)
    }

    /// Root may start any number, so this one is nobody's.
    @Test @EventLoop func `a command that starts more and more is stopped by the kernel before ip's reserve`()
        async throws
    {
        let group = try #require(TaskGroup("forks", limit: Self.tasks), "needs root's rights and the pids controller")
        let slots = ChildSlots(room: TaskRoom(folder: group.path))
        let folder = try TemporaryDirectory("forks")
        try #require(chmod(folder.path, 0o777) == 0)
        let forks = "i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i + 1)); done; touch \(folder.path)/all; wait"
        let script = "\(group.entrance); exec setpriv --reuid 64321 --regid 64321 --clear-groups /bin/sh -c '\(forks)'"
        var child = ChildProcess(["/bin/sh", "-c", script], kind: .alert, timeout: .seconds(60))
        child.slots = slots
        let started = child
        let run = EventLoop.task {
            do throws(ChildProcessError) { return try await started.run().exitCode } catch { return nil }
        }
        // The shell gives up at the first that it may not start, and leaves the others behind.
        let code = await run.value
        #expect(code != 0 && folder.read("all").isEmpty && access(folder.file("all"), F_OK) != 0)
        let count = group.processes.count
        #expect(count > 30 && count <= Self.tasks - ChildBudget.reservedTasks, "\(count)")
        #expect(await self.ip(in: group, slots) == nil)
    }
}
