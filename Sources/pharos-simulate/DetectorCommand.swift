// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Simulation

/// What the failure detector does, as numbers.
struct Detector: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detector",
        abstract: "False alarms and times to a verdict of the real failure detector, beside what theory gives.",
        discussion: "Exit status 1: a figure is further than 20 % from what is expected.")
    @Option(help: "Tracks that are to reach each level of the score: more of them, closer figures.") var samples =
        20_000
    @Option(help: "Measure nothing; write docs/detector.md, which is made from the detector's tables, to this file.")
    var write: String?

    func run() throws {
        if let path = self.write {
            return try DetectorDocument.markdown.write(toFile: path, atomically: true, encoding: .utf8)
        }
        guard self.samples >= 100 else { throw ValidationError("--samples expects at least 100") }
        var isMet = true
        print("False alarms per node and year over lossy paths, measured (expected):")
        let cells =
            DetectorFigures.falseAlarms(samples: self.samples) + [
                DetectorFigures.leakyFalseAlarms(samples: self.samples)
            ]
        var last = ""
        for cell in cells {
            if cell.detector != last { print("\n  \(cell.detector)") }
            last = cell.detector
            let isClose = cell.expected == 0 ? cell.measured < 1e-9 : abs(cell.measured / cell.expected - 1) <= 0.2
            if !isClose { isMet = false }
            print(
                "    \(Self.padded(cell.channel, 18)) \(Self.figure(cell.measured)) (\(Self.figure(cell.expected)))\(isClose ? "" : "  !")"
            )
        }
        print("\nSeconds from a failure to the verdict of one source, least, mean, most:\n")
        for span in DetectorFigures.spans() {
            if !span.isMet { isMet = false }
            print(
                "    \(Self.padded(span.name, 44)) \(Self.figure(span.least))  \(Self.figure(span.mean))  \(Self.figure(span.most))  (\(span.expectation))\(span.isMet ? "" : "  !")"
            )
        }
        guard isMet else { throw ExitCode.failure }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func figure(_ value: Double) -> String { String(format: "%.3g", value) }
}
