// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Decision
import EventLoop
import HTTPClient
import Journal
import LenientJSON
import Settings
import Shell

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Compare Citus's metadata with Patroni's leaders and with every node.",
        discussion: "Exit status: 0 all is as it should be, 1 warnings, 2 something is critical.")
    @OptionGroup var file: ConfigurationOption
    @Flag(help: "Print the findings as JSON.") var json = false
    @Flag(help: "Also look for the table of every shard on every node, and compare the contents of reference tables.")
    var deep = false
    @Flag(
        name: .customLong("after-restore"),
        help: "Walk through what must hold before a restored cluster is opened (docs/restore.md).") var afterRestore =
        false

    @Option(
        help:
            "With --after-restore: a file with the record of the restore point, as `pharos restore-point --json` printed it, where etcd has lost it."
    ) var record: String?

    @Option(
        name: .customLong("switched-off"),
        help:
            "With --after-restore: HOST:PORT where a member was, and of which you have seen that the server is switched off. May be given again."
    ) var switchedOff: [String] = []

    func validate() throws {
        guard self.afterRestore || self.switchedOff.isEmpty else {
            throw ValidationError("--switched-off is for --after-restore: nothing else waits for it")
        }
        for text in self.switchedOff where NodeEndpoint(text) == nil {
            throw ValidationError(
                "--switched-off: '\(text)' is no place; expected HOST:PORT as the finding not-looked-at names it, such as 10.0.0.7:5432"
            )
        }
    }

    func run() throws {
        let (json, isAfterRestore) = (self.json, self.afterRestore)
        var said = PriorKnowledge()
        said.points = try self.record.map { try Self.records($0) } ?? []
        said.switchedOff = Set(self.switchedOff.compactMap { NodeEndpoint($0) })
        let known = said
        let isDeep = self.deep || isAfterRestore
        let settings = try loadCitusSettings(self.file.path)
        let code = runOnLoop {
            guard let verifier = ClusterVerifier(settings) else { return 78 }
            var knowledge = known
            await knowledge.askDaemon(settings)
            knowledge.places = RememberedPlaces(settings)
            let found = await verifier.verified(isDeep: isDeep, isAfterRestore: isAfterRestore, knowing: knowledge)
            let reports = found.map { VerificationReport($0.facts, $0.findings) }
            if json {
                print("[" + reports.map(\.json).joined(separator: ",\n ") + "]")
            } else if isAfterRestore {
                for report in reports {
                    print(settings.instance.addressed(RestoreWalk(report).text), terminator: "")
                }
            } else {
                for report in reports { print(settings.instance.addressed(report.text), terminator: "") }
            }
            return reports.map(\.exitCode).max() ?? 0
        }
        guard code == .success else { throw code }
    }
}

extension Verify {
    private static func records(_ path: String) throws -> [RestorePoint] {
        switch SettingsEnvironment.system.read(path, 4 << 20) {
        case .success(let file):
            if let points = RestorePoint.records(Array(file.contents)) { return points }
            complain(
                "pharos: \(path) is no record of a restore point: expected what pharos restore-point --json prints")
        case .failure(let error): complain("pharos: \(path) cannot be read: \(error)")
        }
        throw ExitStatus.configuration
    }
}

extension PriorKnowledge {
    /// What this node's daemon has found; nothing where it does not run.
    @EventLoop
    fileprivate mutating func askDaemon(_ settings: Settings) async {
        do throws(HTTPError) {
            self.learn(JSON.parse(try await ShowStatus.ask(settings.status.socket).body)?["citus"])
        } catch {
            // What etcd and the databases say must do.
        }
    }

    /// The object `citus` of the daemon's status.
    mutating func learn(_ citus: JSON?) {
        self.suspects = (citus?["rival_coordinators"]?.array ?? []).compactMap {
            $0.string.flatMap { NodeEndpoint($0) }
        }
        for database in citus?["verification"]?["databases"]?.array ?? [] {
            let codes = (database["codes"]?.array ?? []).compactMap(\.string)
            // It counts among the codes from the time on when it is more than a note.
            if let name = database["database"]?.string, codes.contains(Finding.Code.cleanupPending.rawValue) {
                self.oldCleanups.insert(name)
            }
        }
    }
}

/// The configuration, which must follow Citus. From then on this process has the daemon's rights, not root's.
func loadCitusSettings(_ path: String) throws -> Settings {
    let settings = try loadSettings(path)
    guard settings.citus != nil else {
        complain("pharos: \(path) has no section 'citus'")
        throw ExitStatus.configuration
    }
    return settings
}

extension Finding.Remedy {
    /// The statements and where to run them, then the commands.
    var lines: [String] {
        let statements = (self.changes.map(\.sql) + self.sql).map { "\($0);" }
        let place = self.place.map { ["on \($0):"] } ?? []
        return place + statements + self.commands
    }
}

/// What is told of one database.
struct VerificationReport {
    let database: String
    let findings: [Finding]
    var restorePoint: RestorePointProof?
    /// Which shards each group takes along that is lost.
    var losses: [Int: ShardLoss] = [:]
    /// Places where a member was that were not asked, because a person says that the servers there are switched off.
    var switchedOff: [NodeEndpoint] = []
    /// Why nobody was asked where members were before; nil where somebody was, or could have been.
    var forgotten: String?

    var exitCode: Int32 {
        switch self.findings.map(\.severity).max() {
        case .critical: 2
        case .warning: 1
        case .note, nil: 0
        }
    }

    var text: String {
        var lines: [String] = []
        for finding in self.findings {
            let place = [finding.group.map { "group \($0)" }, finding.node.map { "\($0)" }].compactMap { $0 }
            lines.append(
                "\(Self.mark(finding.severity)) \(self.database): \(finding.code.rawValue)\(place.isEmpty ? "" : " (\(place.joined(separator: ", ")))")"
            )
            lines.append("    \(finding.evidence)")
            lines.append("    remedy: \(finding.remedy.text)")
            for line in finding.remedy.lines { lines.append("        \(line)") }
            if finding.remedy.refusal == nil { lines.append("    or: pharos repair \(finding.code.rawValue)") }
        }
        let worst = self.findings.filter { $0.severity > .note }.count
        let limit = self.findings.contains { $0.code.isOfTheUnseen } ? ", as far as it was looked at" : ""
        lines.append("\(self.database): \(worst == 0 ? "pg_dist_node is true\(limit)" : "\(worst) findings")")
        return lines.map { LogRecord.escaped($0) + "\n" }.joined()
    }

    init(_ facts: ClusterFacts, _ findings: [Finding]) {
        self.init(
            database: facts.database, findings: findings, restorePoint: facts.restorePoint,
            losses: facts.coordinator?.losses ?? [:], switchedOff: facts.switchedOff.sorted { "\($0)" < "\($1)" },
            forgotten: facts.forgotten)
    }

    init(
        database: String, findings: [Finding], restorePoint: RestorePointProof? = nil, losses: [Int: ShardLoss] = [:],
        switchedOff: [NodeEndpoint] = [], forgotten: String? = nil
    ) {
        (self.database, self.findings, self.restorePoint) = (database, findings, restorePoint)
        (self.losses, self.switchedOff, self.forgotten) = (losses, switchedOff, forgotten)
    }

    private static func mark(_ severity: Finding.Severity) -> String {
        switch severity {
        case .critical: "CRITICAL"
        case .warning: "WARNING "
        case .note: "note    "
        }
    }

    var json: String {
        let findings = self.findings.map { finding in
            [
                "code": .string(finding.code.rawValue), "severity": "\(finding.severity)",
                "group": .number(finding.group), "node": .text(finding.node.map { "\($0)" }),
                "evidence": .string(finding.evidence), "remedy": .string(finding.remedy.text),
                "sql": .list((finding.remedy.changes.map(\.sql) + finding.remedy.sql).map { .string($0) }),
                "run_on": .text(finding.remedy.place.map { "\($0)" }),
                "commands": .list(finding.remedy.commands.map { .string($0) }),
                "refusal": .text(finding.remedy.refusal),
            ] as JSONDocument
        }
        let document: JSONDocument = [
            "database": .string(self.database), "status": .number(self.exitCode), "findings": .list(findings),
            "shards_out_of_reach": .list(self.losses.sorted { $0.key < $1.key }.map { $0.value.document(of: $0.key) }),
        ]
        return document.readable(lines: 2)
    }
}

extension ShardLoss {
    func document(of group: Int) -> JSONDocument {
        let tables = self.tables.map { table in
            [
                "table": .string(table.name), "shards": .number(table.shards), "bytes": .number(table.bytes),
                "examples": .list(table.examples.map { .number($0) }),
            ] as JSONDocument
        }
        return [
            "group": .number(group), "shards": .number(self.shards), "elsewhere": .number(self.elsewhere),
            "bytes": .number(self.bytes), "table_count": .number(self.tableCount), "tables": .list(tables),
        ]
    }
}
