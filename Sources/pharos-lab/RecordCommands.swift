// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Lab

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "timeline",
        abstract: "Print what the observer recorded, and the numbers that matter."
    )
    @Option(help: "Begin at the last mark that contains this text; without it, at the last mark.")
    var since: String?
    @Flag(help: "Print everything since the lab was started.") var all = false

    func run() {
        let (since, all) = (self.since, self.all)
        runOnLoop { () async throws(LabError) in
            let timeline = try Lab.running().timeline()
            let marks = timeline.events.filter { event in
                event.kind == .mark && (since.map { (event.text ?? "").contains($0) } ?? true)
            }
            let start = (all ? timeline.events.first : marks.last)?.at ?? 0
            print(timeline.render(since: start, until: Lab.now), terminator: "")
            return 0
        }
    }
}

struct Observe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What up starts to watch the lab; of no use on its own.",
        shouldDisplay: false
    )

    func run() {
        runOnLoop { () async throws(LabError) in try await Observer.run() }
    }
}
