// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Settings

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config", abstract: "Check the configuration; show every setting in effect and its source.")
    @OptionGroup var file: ConfigurationOption

    func run() throws {
        do throws(SettingsError) {
            let settings = try Settings.load(path: self.file.path)
            for setting in settings.provenance { print(setting.description) }
            for warning in settings.warnings { complain(warning.description) }
        } catch {
            complain(error.description)
            throw ExitStatus.configuration
        }
    }
}

struct Initialize: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Write a pharos.yml for a node whose Patroni is configured already.")
    @Option(name: .customLong("from-patroni"), help: "Patroni's configuration file, as an absolute path.")
    var patroni: String
    @Option(help: "The virtual address with its prefix length, such as 10.10.10.3/24.") var address: String
    @Option(help: "The interface that it belongs on.") var interface: String
    @Option(help: "Where to write; - for standard output.") var output = "/etc/pharos/pharos.yml"
    @Flag(help: "Replace an existing file.") var force = false

    func run() throws {
        let text: String
        do throws(SettingsError) {
            text = try renderConfiguration(
                fromPatroni: self.patroni, address: self.address, interface: self.interface)
        } catch {
            complain(error.description)
            throw ExitStatus.configuration
        }
        if self.output == "-" { return print(text, terminator: "") }
        if let problem = NewFile.write(text, to: self.output, replacing: self.force) {
            complain("pharos: \(self.output): \(problem)")
            throw ExitStatus.configuration
        }
        print("wrote \(self.output); next: pharos check-config, then systemctl enable --now pharos")
    }
}
