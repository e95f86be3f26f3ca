// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CLinux

@main
struct PharosSimulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pharos-simulate",
        abstract: "Run the real core, and the real failure detector, in simulation.",
        subcommands: [Clusters.self, Detector.self],
        defaultSubcommand: Clusters.self)

    static func main() {
        linux_flush_lines()
        self.main(nil)
    }
}
