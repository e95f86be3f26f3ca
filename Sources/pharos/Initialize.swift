// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Settings

struct Initialize: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Write a pharos.yml for a node whose Patroni is configured already.")
    @Option(
        name: .customLong("from-patroni"),
        help: "Patroni's configuration file, as an absolute path; with --cluster /etc/patroni/CLUSTER.yml unless said.",
        completion: .file())
    var patroni: String?
    @Option(help: "The virtual address with its prefix length, such as 10.10.10.3/24.") var address: String
    @Option(help: "The interface that it belongs on.") var interface: String
    @Option(
        help:
            "Of several clusters on this host, the one to write /etc/pharos/CLUSTER.yml for, such as Debian's 15-main.",
        completion: Completions.clusters)
    var cluster: String?
    @Option(help: "Where to write; - for standard output. Without it /etc/pharos/pharos.yml.") var output: String?
    @Flag(help: "Replace an existing file.") var force = false

    private var instance: DaemonInstance { self.cluster.flatMap(DaemonInstance.init(named:)) ?? DaemonInstance() }

    func validate() throws {
        try ClusterName.check(self.cluster)
        guard self.patroni != nil || self.cluster != nil else {
            throw ValidationError("say where Patroni's configuration is: --from-patroni FILE, or --cluster NAME")
        }
    }

    func run() throws {
        let output = self.output ?? self.instance.configuration
        let eyes = DaemonEyes(of: output)
        let patroni = self.patroni ?? self.instance.patroniConfiguration ?? ""
        let (result, notes) = eyes.look(isTrial: DaemonEyes.isTrial(output)) { environment throws(SettingsError) in
            try renderConfiguration(
                fromPatroni: patroni, address: self.address, interface: self.interface, environment: environment)
        }
        for note in notes { complain(note) }
        guard case .success(let (text, settings)) = result else {
            if case .failure(let error) = result { complain(error.description) }
            throw ExitStatus.configuration
        }
        for warning in settings.unseenEnvironment() { complain(warning.description) }
        for warning in eyes.warnings(settings) { complain(warning) }
        if output == "-" { return print(text, terminator: "") }
        if let problem = NewFile.write(text, to: output, replacing: self.force) {
            complain("pharos: \(output): \(problem)")
            throw ExitStatus.configuration
        }
        let instance = DaemonInstance(configuration: output)
        let option = instance.name.map { " --cluster \($0)" } ?? ""
        print("wrote \(output); next: pharos check-config\(option), then systemctl enable --now \(instance.unit)")
    }
}
