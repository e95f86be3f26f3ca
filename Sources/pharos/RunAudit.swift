// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Audit
import EventLoop
import Glibc
import Settings
import Shell

struct RunAudit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract:
            "Show which single failures would be survived now, and what makes a failover unsafe, slow or impossible.",
        discussion: """
            To be run as root on each node: it looks at the whole cluster, and at the kernel, units and files of the node where it runs. \
            Changes nothing; takes a minute at most. Exit status: 0 nothing amber or red, 1 amber, 2 red, 3 nothing amber or red, but \
            something could not be looked at. docs/audit.md has all rules.
            """)
    @OptionGroup var file: ConfigurationOption
    @Flag(help: "Print everything as JSON.") var json = false
    @Option(
        name: .customLong("accept-file"),
        help: "The file of accepted findings; without it the one beside the configuration: /etc/pharos/pharos.accepted."
    )
    var acceptFile: String?

    func run() throws {
        let path = self.file.path
        let settings: Settings
        do throws(SettingsError) {
            settings = try Settings.load(path: path)
        } catch {
            complain(error.description)
            throw ExitStatus.configuration
        }
        let accepted: [AcceptedFinding]
        do throws(SettingsError) {
            accepted = try AcceptedFindings.read(self.acceptFile, beside: path)
        } catch {
            complain(error.description)
            throw ExitStatus.configuration
        }
        let isJSON = self.json
        let code = runOnLoop {
            // With root's rights, where there are any: some files are for PostgreSQL's user alone. A loop turns once in a process.
            let local = await LocalFacts(settings, configuration: path)
            if let problem = DaemonUser.become(DaemonUnit(instance: settings.instance)) {
                complain("pharos: \(problem)")
                return ExitStatus.configuration.rawValue
            }
            let facts = await AuditCollector(settings, local: local).facts()
            let report = AuditReport(
                facts, accepted: accepted, today: AuditDate(secondsSince1970: Int64(time(nil))))
            print(isJSON ? AuditJSON(facts, report).text : AuditText(facts, report).text, terminator: "")
            return report.exitStatus
        }
        guard code == .success else { throw code }
    }
}
