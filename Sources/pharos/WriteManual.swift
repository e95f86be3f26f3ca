// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Settings

/// For `make`: what a node's manual says is made of the program that it is about.
struct WriteManual: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "write-manual",
        abstract: "Write the manual pages of the commands and of pharos.yml into a folder.",
        shouldDisplay: false)
    @Argument(help: "The folder, with its folders man5 and man8.", completion: .directory) var folder: String
    @Option(help: "config/pharos.yml, whose explanations are used.") var configuration: String

    func run() throws {
        let annotated: AnnotatedConfiguration
        switch SettingsEnvironment.system.read(self.configuration, Settings.fileLimit) {
        case .success(let file): annotated = AnnotatedConfiguration(String(decoding: file.contents, as: UTF8.self))
        case .failure(let error):
            complain("pharos: \(self.configuration): \(error)")
            throw ExitStatus.configuration
        }
        guard annotated.missing.isEmpty else {
            complain("pharos: \(self.configuration) explains no \(annotated.missing.joined(separator: ", "))")
            throw ExitStatus.configuration
        }
        var pages = CommandManual.all().map { (name: $0.file, text: $0.page) }
        pages.append((ConfigurationManual.file, ConfigurationManual(annotated: annotated).page))
        for page in pages {
            if let problem = NewFile.write(page.text, to: "\(self.folder)/\(page.name)", replacing: true) {
                complain("pharos: \(self.folder)/\(page.name): \(problem)")
                throw ExitStatus.configuration
            }
        }
    }
}
