// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal
import LenientJSON
import TestSupport
import Testing

@testable import Settings
@testable import Shell

/// The operator's command for grave records.
struct AlertCommandTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop
    private final class Told {
        var records: [LogRecord] = []
    }

    @EventLoop
    private func command(_ command: [String], timeout: Duration = .seconds(20)) -> (AlertCommand, Told) {
        let told = Told()
        let alert = AlertCommand(
            Settings.Alert(command: command, timeout: timeout, priority: .error), scope: "demo", member: "n1",
            redact: { $0.split(separator: "secret", omittingEmptySubsequences: false).joined(separator: "…") },
            // Of its own: those of the process are shared with whatever other tests run at the same time.
            slots: ChildSlots(room: nil),
            failed: { told.records.append($0) })
        return (alert, told)
    }

    private static let grave = LogRecord(.splitBrain, "two \"primaries\" secret", ["GROUP": "0", "MEMBERS": "a b"])

    @Test @EventLoop
    func `the record comes as JSON on standard input, without secrets, and what is not grave does not`()
        async throws
    {
        let folder = try TemporaryDirectory("alert")
        // No shell: what looks like one is an argument.
        let (alert, told) = self.command(["/usr/bin/tee", folder.file("event"), folder.file("$(id)")])
        alert.tell(LogRecord(.leaderChanged, "nothing grave"))
        alert.tell(Self.grave)
        var json: JSON?
        let isTold = try await eventually(within: .seconds(20)) {
            json = JSON.parse(folder.read("event"))
            return json != nil
        }
        #expect(isTold)
        let event = try #require(json)
        #expect(event["kind"]?.string == "splitBrain" && event["priority"]?.int64 == 2)
        #expect(event["message"]?.string == "two \"primaries\" …" && event["scope"]?.string == "demo")
        #expect(event["fields"]?["members"]?.string == "a b" && event["member"]?.string == "n1")
        #expect(event["message_id"]?.string == LogKind.splitBrain.messageID)
        #expect(folder.read("$(id)") == folder.read("event"))
        #expect(told.records.isEmpty)
    }

    @Test(arguments: [
        (["/bin/sh", "-c", "echo no pager >&2; exit 3"], "exit status 3: no pager"),
        (["/nonexistent/pager"], "cannot start: No such file or directory"), (["/bin/sleep", "60"], "time limit"),
    ]) @EventLoop func `a command that does not work is told once, and holds nothing up`(
        words: [String], reason: String
    ) async throws {
        let (alert, told) = self.command(words, timeout: .seconds(1))
        for _ in 0..<2 { alert.tell(Self.grave) }
        #expect(try await eventually(within: .seconds(30)) { !told.records.isEmpty })
        #expect(told.records.map(\.kind) == [.alertFailed])
        #expect(told.records[0].message.contains(reason), "\(told.records[0].message)")
        // That it has failed is no reason to run it again.
        alert.tell(told.records[0])
        try await EventLoop.sleep(for: .milliseconds(50))
        #expect(told.records.count == 1)
    }

    @Test @EventLoop func `of a flood no more wait than there is room for`() async throws {
        let folder = try TemporaryDirectory("alert")
        let (alert, _) = self.command(["/usr/bin/tee", "-a", folder.file("events")])
        for _ in 0..<1000 { alert.tell(Self.grave) }
        try await EventLoop.sleep(for: .milliseconds(500))
        _ = try await eventually(within: .seconds(20)) {
            folder.read("events").count { $0 == UInt8(ascii: "\n") } >= 33
        }
        try await EventLoop.sleep(for: .milliseconds(100))
        #expect(folder.read("events").count { $0 == UInt8(ascii: "\n") } == 33)
    }
}
