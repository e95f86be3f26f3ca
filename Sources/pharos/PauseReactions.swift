// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Journal
import LenientJSON
import Settings

struct PauseReactions: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Let Pharos ask for no switchover by itself, until an end that you set: for work during which failures are expected.",
        discussion: """
            For every daemon of the cluster, from any node. Verdicts, alerts, addresses and Citus's metadata go on. It is not \
            Patroni's maintenance mode (patronictl pause): Patroni still fails over by itself. It ends by itself, after a day at \
            the latest.
            Exit status: 0 paused, 1 not, 2 not known, 69 the daemon does not answer.
            """)
    @Option(
        name: .customLong("for"), help: "For how long: a number of minutes or hours such as 30m or 2h, at most 24h.")
    var span: String
    @Option(help: "Why, in one line: whoever is paged reads it.") var reason: String
    @OptionGroup var daemon: SocketOption

    /// Minutes or hours, a day at most.
    static func seconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["m": 60, "h": 3600]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int64(text.dropLast()), number > 0,
            text.utf8.first != UInt8(ascii: "+"), number <= 86_400 / unit
        else { return nil }
        return number * unit
    }

    func validate() throws {
        guard Self.seconds(self.span) != nil else {
            throw ValidationError("--for: expected a time such as 30m or 2h, at most 24h, not '\(self.span)'")
        }
        let scalars = self.reason.unicodeScalars
        guard self.reason.first != " ", (1...200).contains(scalars.count),
            scalars.allSatisfy({ $0.value >= 32 && $0.value != 127 })
        else {
            throw ValidationError("--reason: expected a text of 1 to 200 characters in one line, the first not a blank")
        }
    }

    func run() throws {
        let operation: JSONDocument = [
            "operation": "pause_reactions", "seconds": .number(Self.seconds(self.span)), "reason": .string(self.reason),
        ]
        try carryOutAtOnce(operation, self.daemon)
    }
}

struct ResumeReactions: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "End the pause that `pharos pause-reactions` has begun, for every daemon.",
        discussion: "Exit status: 0 ended, 1 not, or there was none, 2 not known, 69 the daemon does not answer.")
    @OptionGroup var daemon: SocketOption

    func run() throws { try carryOutAtOnce(["operation": "resume_reactions"], self.daemon) }
}

/// What the command itself names and confirms.
private func carryOutAtOnce(_ operation: JSONDocument, _ daemon: SocketOption) throws {
    let (socket, instance) = (daemon.path, daemon.instance)
    let code = runOnLoop {
        do throws(OperationClient.Failure) {
            let client = OperationClient(socket: socket, unit: instance.unit)
            guard let plan = try await client.plan(operation)["plan"].map(PlanText.init), !plan.isHindered else {
                complain("pharos: not done: there is nothing to end, or the daemon follows no groups: pharos why")
                return 1
            }
            let result = try await client.confirm(plan.digest, name: plan.mustName, overrides: [])
            for line in OperationOutcome.lines(result) { print(instance.addressed(LogRecord.escaped(line))) }
            return OperationOutcome.status(result)
        } catch { return error.status }
    }
    guard code == .success else { throw code }
}

struct Operations: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List what persons have asked for in this cluster: who, when, what, and what came of it.",
        discussion: "The last 100. Exit status: 0, 1 they are not known yet, 69 the daemon does not answer.")
    @Flag(help: "Print the daemon's answer as JSON.") var json = false
    @OptionGroup var daemon: SocketOption

    func run() throws {
        let (socket, instance, isJSON) = (self.daemon.path, self.daemon.instance, self.json)
        let code = runOnLoop {
            do throws(OperationClient.Failure) {
                let client = OperationClient(socket: socket, unit: instance.unit)
                var answer = try await client.get("/operations")
                // The daemon reads etcd because it is asked, and answers at once with what it has.
                for _ in 0..<20 where answer["operations"] == nil || answer["read_seconds_ago"]?.int64 ?? 0 > 10 {
                    do { try await EventLoop.sleep(for: .milliseconds(200)) } catch { break }
                    answer = try await client.get("/operations")
                }
                print(
                    isJSON
                        ? answer.document.readable(lines: 3) + "\n" : instance.addressed(OperationsText(answer).text),
                    terminator: "")
                return answer["operations"] == nil ? 1 : 0
            } catch { return error.status }
        }
        guard code == .success else { throw code }
    }
}
