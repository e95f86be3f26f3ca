// SPDX-License-Identifier: Apache-2.0
import Decision
import Foundation
import Testing

@testable import Simulation

/// The real detector against theory, and docs/detector.md against the detector.
struct DetectorFiguresTests {
    @Test func `false alarms are as rare as theory says`() {
        for cell in DetectorFigures.falseAlarms(samples: 1500) + [DetectorFigures.leakyFalseAlarms(samples: 1500)] {
            let place = "\(cell.detector), \(cell.channel): \(cell.measured), expected \(cell.expected)"
            if cell.expected == 0 {
                #expect(cell.measured < 1e-9, "\(place)")
            } else {
                #expect(abs(cell.measured / cell.expected - 1) <= 0.2, "\(place)")
            }
        }
    }

    @Test func `a failure is found within the promised time, and a gray one as fast as theory says`() {
        for span in DetectorFigures.spans() {
            #expect(span.isMet, "\(span.name): \(span.least) to \(span.most) s, mean \(span.mean); \(span.expectation)")
        }
    }

    @Test func `docs-detector is what the detector runs by`() throws {
        let here = "\(#filePath)".split(separator: "/", omittingEmptySubsequences: false)
        let path = here.dropLast(3).joined(separator: "/") + "/docs/detector.md"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text == DetectorDocument.markdown, "run make docs")
    }
}
