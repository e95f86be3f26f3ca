// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Lab

struct WriteThrough: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "writers",
        abstract: "Write through the first address from many sessions; print what they saw, as JSON.",
        shouldDisplay: false
    )
    @Option(help: "Sessions at once.") var sessions = 50
    @Option(help: "For how long, in seconds.") var seconds = 10

    func run() {
        let (sessions, seconds) = (self.sessions, self.seconds)
        runOnLoop { () async throws(LabError) in
            let lab = try Lab.running()
            let writers = Writers(lab.options.plainAddresses[0], isCitus: lab.options.citus != nil)
            print(try await writers.run(sessions: sessions, for: .seconds(seconds)).json())
            return 0
        }
    }
}
