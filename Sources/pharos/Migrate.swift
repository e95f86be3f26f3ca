// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
import Glibc
import Journal
import Migration
import Settings

struct Migrate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a pharos.yml from the configuration of vip-manager or keepalived, and print the change-over.",
        discussion: """
            Prints the new file, what is carried over from which line, what is left behind and why, what etcd and this node say now, the \
            steps of the change-over in their order, and the way back. It changes nothing but the files that it writes, and with \
            --dry-run not even those. Exit status: 0 written (or would be), 78 a file cannot be used or written.
            """)
    @Option(
        name: .customLong("from"),
        help: ArgumentHelp(
            "The old program's file: vip-manager's YAML or environment file, or keepalived.conf. Again for each further address of the same cluster.",
            valueName: "file"), completion: .file())
    var sources: [String]
    @Option(help: "Which program's file it is (vip-manager or keepalived); without it the file tells.") var kind:
        Former.Tool?
    @Option(
        name: .customLong("from-patroni"),
        help: ArgumentHelp(
            "Patroni's configuration file, as an absolute path; without it the one that is found below /etc/patroni.",
            valueName: "file"),
        completion: .file())
    var patroni: String?
    @Option(
        help:
            "Of several clusters on this host, the one to write /etc/pharos/CLUSTER.yml for, such as Debian's 15-main.",
        completion: Completions.clusters)
    var cluster: String?
    @Option(
        help:
            "Where to write; - for standard output, with the report on standard error. Without it /etc/pharos/pharos.yml."
    )
    var output: String?
    @Flag(name: .customLong("dry-run"), help: "Write nothing.") var isDryRun = false
    @Flag(help: "Replace existing files.") var force = false

    func validate() throws {
        try ClusterName.check(self.cluster)
        guard !self.sources.isEmpty, self.sources.count <= Former.filesLimit else {
            throw ValidationError("say which file: --from FILE, at most \(Former.filesLimit) times")
        }
    }

    func run() throws {
        let instance = ClusterName.instance(self.cluster)
        let output = self.output ?? instance.configuration
        let target = MigrationPlan.Target(
            output: output, instance: DaemonInstance(configuration: output == "-" ? instance.configuration : output)
        ) { path in
            switch SettingsEnvironment.system.read(path, Former.fileLimit) {
            case .success(let file): file.contents
            case .failure: nil
            }
        }
        let made: (plan: MigrationPlan, text: String, settings: Settings)
        do throws(MigrationError) {
            made = try self.make(target)
        } catch {
            for line in error.lines { complain(LogRecord.escaped(line)) }
            throw ExitStatus.configuration
        }
        let sight = MigrationLook.sight(made.settings)
        let text = MigrationText(made.plan, settings: made.settings, text: made.text, sight: sight, target: target)
        for line in text.lines(isDryRun: self.isDryRun).map(LogRecord.escaped) {
            if output == "-" { complain(line.isEmpty ? "\n" : line) } else { print(line) }
        }
        if output == "-" { print(made.text, terminator: "") }
        guard !self.isDryRun else { return }
        try self.write(made.plan, made.text, target)
    }

    /// The old files are read with the rights at hand, what the daemon needs as the daemon will read it.
    private func make(
        _ target: MigrationPlan.Target
    ) throws(MigrationError) -> (plan: MigrationPlan, text: String, settings: Settings) {
        var formers: [Former] = []
        for path in self.sources {
            switch SettingsEnvironment.system.read(path, Former.fileLimit) {
            case .success(let file): formers.append(try Former.read(file.contents, file: path, tool: self.kind))
            case .failure(let error):
                throw MigrationError([
                    "\(path): cannot be read: \(error). Expected a file of vip-manager or keepalived; run this as root"
                ])
            }
        }
        let patroni = try self.patroniFile(formers)
        let bare = try self.render(try MigrationPlan.bare(formers, patroni: patroni), target).settings
        let plan = try MigrationPlan(formers, patroni: patroni, settings: bare, target: target)
        let (text, settings, notes) = try self.render(plan.draft, target)
        for note in notes { complain(note) }
        return (plan, text, settings)
    }

    /// The text of the new file, loaded as the daemon would load it, and what it deserves to be warned of.
    private func render(
        _ draft: ConfigurationDraft, _ target: MigrationPlan.Target
    ) throws(MigrationError) -> (text: String, settings: Settings, notes: [String]) {
        let path = target.output == "-" ? target.instance.configuration : target.output
        let eyes = DaemonEyes(of: path)
        let (result, notes) = eyes.look(isTrial: DaemonEyes.isTrial(path)) { environment throws(SettingsError) in
            try renderConfiguration(draft, origin: "--from", environment: environment)
        }
        switch result {
        case .success(let (text, settings)):
            let warnings = settings.warnings + settings.unseenEnvironment()
            return (text, settings, notes + warnings.map(\.description) + eyes.warnings(settings))
        case .failure(let error):
            throw MigrationError(error.description.split(separator: "\n").map(String.init) + notes)
        }
    }

    /// Patroni's file of the cluster that is named, or where packages and installers put it.
    private func patroniFile(_ formers: [Former]) throws(MigrationError) -> String {
        if let patroni = self.patroni { return patroni }
        let clusters = [ClusterName.instance(self.cluster).name] + formers.map(\.debianCluster)
        let named = clusters.compactMap(\.self).map { "/etc/patroni/\($0).yml" }
        let candidates = named + ["/etc/patroni/config.yml", "/etc/patroni/patroni.yml", "/etc/patroni.yml"]
        if let found = candidates.first(where: { access($0, F_OK) == 0 }) { return found }
        throw MigrationError([
            "--from-patroni: there is none of \(candidates.joined(separator: ", ")); say where Patroni's configuration is: --from-patroni FILE"
        ])
    }

    private func write(_ plan: MigrationPlan, _ text: String, _ target: MigrationPlan.Target) throws {
        // The secrets first: the new file names them.
        let entry = getpwnam(DaemonUnit(instance: target.instance).user)
        let owner: (user: uid_t, group: gid_t)? = entry.map { (user: $0.pointee.pw_uid, group: $0.pointee.pw_gid) }
        var files = plan.secretFiles.map { (path: $0.path, contents: $0.contents, mode: mode_t(0o600)) }
        if target.output != "-" { files.append((path: target.output, contents: Array(text.utf8), mode: 0o644)) }
        if !self.force, let existing = files.first(where: { access($0.path, F_OK) == 0 }) {
            complain("pharos: \(existing.path): exists already; --force replaces it. Nothing was written")
            throw ExitStatus.configuration
        }
        for file in files {
            let isSecret = file.mode == 0o600
            if let problem = NewFile.write(
                file.contents, to: file.path, replacing: self.force, mode: file.mode, owner: isSecret ? owner : nil)
            {
                complain("pharos: \(file.path): \(problem)")
                throw ExitStatus.configuration
            }
            if target.output != "-" { print("wrote \(file.path)") }
        }
    }
}

extension Former.Tool: ExpressibleByArgument {}
