// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Decision
import EventLoop
import HTTPClient
import Journal
import LenientJSON
import Settings
import Shell

struct Repair: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair", abstract: "Put right what `pharos verify` has found, where that is safe.",
        discussion: """
            Shows each statement before it is run. The daemon of this node puts on record what was done. What may lose data or lets an older view win is refused, with the reason.
            Exit status: 0 done or nothing to do, 1 something was refused or failed, 69 it could not be looked for everywhere.
            """)
    @OptionGroup var file: ConfigurationOption
    @Argument(help: "The finding's code, as `pharos verify` prints it.", completion: Completions.findings)
    var code: String
    @Flag(name: .customLong("dry-run"), help: "Only show the statements.") var dryRun = false

    /// The code of this name, or what people call it who look for it at night.
    static func code(named name: String) -> Finding.Code? {
        name == "in-doubt" ? .orphanedPrepared : Finding.Code(rawValue: name)
    }

    func validate() throws {
        guard Self.code(named: self.code) != nil else {
            let codes = Finding.Code.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(self.code)' is no code; expected one of \(codes)")
        }
    }

    func run() throws {
        let isDry = self.dryRun
        guard let code = Self.code(named: self.code) else { throw ExitCode(64) }
        let settings = try loadCitusSettings(self.file.path)
        let status = runOnLoop {
            guard let verifier = ClusterVerifier(settings) else { return 78 }
            let daemon = OperationClient(socket: settings.status.socket, unit: settings.instance.unit)
            return await Self.repair(code, verifier, daemon, isDry: isDry)
        }
        guard status == .success else { throw status }
    }

    @EventLoop
    private static func repair(
        _ code: Finding.Code, _ verifier: ClusterVerifier, _ daemon: OperationClient, isDry: Bool
    ) async -> Int32 {
        var (count, status, isSeen): (Int, Int32, Bool) = (0, 0, true)
        let found = await verifier.verified(isDeep: code.isOfDeep, isAfterRestore: code.isOfRestore)
        for (facts, findings) in found {
            if let problem = facts.coordinatorProblem ?? facts.etcdProblem {
                let what = facts.coordinator == nil ? "the coordinator cannot be asked" : "etcd cannot be read"
                print(LogRecord.escaped("\(facts.database): nothing is repaired: \(what): \(problem)"))
                (status, isSeen) = (69, false)
                continue
            }
            let list = RepairList(code, facts, findings)
            for line in list.lines { print(LogRecord.escaped(line)) }
            count += list.found.count
            status = max(status, list.status)
            isSeen = isSeen && list.unseen.isEmpty
            let repairable = list.repairable
            guard !repairable.isEmpty else { continue }
            let what = repairable.count == 1 ? "" : ", all \(repairable.count) in one transaction"
            if isDry {
                print("  not run (--dry-run)\(what)")
            } else if let problem = await verifier.repair(repairable, in: facts) {
                print("  failed\(what): \(LogRecord.escaped(problem))")
                status = max(status, 1)
                await daemon.tell(Self.record(code, facts.database, "failed", problem))
            } else {
                print("  done\(what)")
                let text = "\(repairable.count) finding\(repairable.count == 1 ? "" : "s") put right"
                await daemon.tell(Self.record(code, facts.database, "done", text))
            }
        }
        if count == 0 {
            print(
                isSeen
                    ? "nothing to repair: no finding \(code.rawValue)"
                    : "\(code.rawValue): not found where it could be looked for")
        }
        return status
    }

    private static func record(_ code: Finding.Code, _ database: String, _ result: String, _ text: String)
        -> JSONDocument
    {
        [
            "operation": "repair", "code": .string(code.rawValue), "database": .string(database),
            "result": .string(result), "text": .string(String(text.prefix(500))),
        ]
    }
}
