// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Decision
import EventLoop
import Glibc
import Journal
import LenientJSON
import Settings

struct Switchover: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Let another member lead, as planned: shows the plan, and what speaks against it, before it asks for your word.",
        discussion: """
            On any node of the group. Patroni does it; Pharos looks first, asks Patroni once, and follows it to its end. Each \
            objection can be overridden, by its name alone. You confirm by typing the name of the member that leads now, or \
            with --yes NAME where nobody types. A plan is valid for five minutes, and only while nothing that it rests on moves.
            Exit status: 0 done (or, with --dry-run, nothing speaks against it), 1 not done, 2 begun and its result is not known, \
            64 the confirmation does not name what it says yes to, 69 the daemon does not answer.
            """)
    @Option(help: "Its Citus group; without it this node's.", completion: Completions.groupNumbers) var group: Int?
    @Option(help: "The member that is to lead; without it the one that is fit best.", completion: Completions.members)
    var to: String?
    @Option(
        name: .customLong("override"),
        help: "An objection that you put up with, by the name that the plan gives it; may be repeated.",
        completion: .list(Objection.names))
    var overrides: [String] = []
    @Option(
        help: "Confirms without a question: the name of the member that leads now.", completion: Completions.members)
    var yes: String?
    @Flag(name: .customLong("dry-run"), help: "Only show the plan.") var dryRun = false
    @Flag(help: "Print plan and result as JSON; asks nothing.") var json = false
    @OptionGroup var daemon: SocketOption

    func validate() throws {
        if let group = self.group, group < 0 { throw ValidationError("--group: expected a number from 0") }
    }

    func run() throws {
        let command = self
        let code = runOnLoop {
            do throws(OperationClient.Failure) { return try await command.carryOut() } catch { return error.status }
        }
        guard code == .success else { throw code }
    }

    @EventLoop
    private func carryOut() async throws(OperationClient.Failure) -> Int32 {
        let instance = self.daemon.instance
        let client = OperationClient(socket: self.daemon.path, unit: instance.unit)
        let ticket = try await client.plan(
            .members(
                .init("operation", "switchover"), .init("group", .number(self.group)), .init("to", .text(self.to))))
        guard let plan = ticket["plan"].map(PlanText.init) else {
            complain("pharos: the daemon has made no plan: pharos operations")
            return 1
        }
        if !self.json { print(instance.addressed(plan.text), terminator: "") }
        let (open, unknown) = plan.judge(self.overrides)
        // Where nothing is done, the plan is all there is to print.
        if self.json, self.dryRun || plan.isHindered || !open.isEmpty || !unknown.isEmpty {
            print(Self.printed(ticket))
        }
        if plan.isHindered { return 1 }
        guard unknown.isEmpty else {
            complain("pharos: --override \(unknown[0]): the plan has no such objection")
            return 64
        }
        if self.dryRun { return open.isEmpty ? 0 : 1 }
        guard open.isEmpty else {
            let options = open.map { "--override \($0)" }.joined(separator: " ")
            complain("pharos: not done: objections stand against it. To put up with them, each by its name: \(options)")
            return 1
        }
        guard let name = self.confirmed(plan) else { return 64 }
        let isJSON = self.json
        let result = try await client.confirm(plan.digest, name: name, overrides: self.overrides) { state in
            if !isJSON, state == "under_way" { print("Patroni is asked …") }
        }
        if isJSON { print(Self.printed(result)) } else { self.tell(result) }
        return OperationOutcome.status(result)
    }

    private func tell(_ ticket: JSON) {
        for line in OperationOutcome.lines(ticket) {
            print(self.daemon.instance.addressed(LogRecord.escaped(line)))
        }
    }

    private static func printed(_ ticket: JSON) -> String { ticket.document.readable(lines: 3) }

    /// The name that says yes; nil where it does not, which has been said.
    private func confirmed(_ plan: PlanText) -> String? {
        guard let expected = plan.mustName else { return "" }
        if let yes = self.yes {
            if yes == expected { return yes }
            complain(
                "pharos: not done: --yes '\(LogRecord.escaped(yes))' does not name what it says yes to: expected --yes \(expected), the member that leads now"
            )
            return nil
        }
        guard !self.json, isatty(STDIN_FILENO) != 0, isatty(STDOUT_FILENO) != 0 else {
            complain(
                "pharos: not done: nobody can be asked here: expected --yes \(expected), the member that leads now")
            return nil
        }
        print("To do it, type the name of the member that leads now: ", terminator: "")
        fflush(nil)
        let typed = (readLine() ?? "").filter { $0 != " " }
        if typed == expected { return typed }
        complain("pharos: not done: '\(LogRecord.escaped(typed))' was typed; expected \(expected)")
        return nil
    }
}

/// What came of an operation, by the daemon's ticket.
enum OperationOutcome {
    /// 0 done, 1 not done, 2 begun and not known.
    static func status(_ ticket: JSON) -> Int32 {
        switch ticket["result"]?["outcome"]?.string {
        case "done": 0
        case "unanswered", nil: 2
        default: 1  // Text of the daemon's: refused, void, failed.
        }
    }

    static func lines(_ ticket: JSON) -> [String] {
        guard let result = ticket["result"] else { return ["it is not known what came of it: pharos operations"] }
        let word = result["outcome"]?.string ?? "?"
        let head = "\(word == "unanswered" ? "not known" : word): \(result["text"]?.string ?? "?")"
        return [head] + [result["advice"]?.string.map { "    \($0)" }].compactMap(\.self)
    }
}
