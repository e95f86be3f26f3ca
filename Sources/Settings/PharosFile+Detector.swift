// SPDX-License-Identifier: Apache-2.0
import Decision

/// The section `detector`, as it is said.
struct PharosDetector {
    /// The profiles that have a name.
    enum Profile: String, CaseIterable {
        case hyperscale, fast

        var numbers: DetectorProfile {
            switch self {
            case .hyperscale: .hyperscale
            case .fast: .fast
            }
        }
    }

    var position: Position
    var profile: Sourced<Profile>?
    var interval: Sourced<Duration>?
    var timeout: Sourced<Duration>?
    var threshold: Sourced<Int>?
    var leak: Sourced<Double>?
    var rise: Sourced<Int>?
    var agreement: Sourced<DetectorProfile.Agreement>?
    var minimumSources: Sourced<Int>?
    var lagLimit: Sourced<Int64>?
    var nodeConninfo: Sourced<String>?
    var onGrayFailure: Sourced<GrayPolicy>?

    init(_ fields: SectionKeys, _ reader: inout PharosFileReader) {
        self.position = Position(file: reader.file, mark: fields.mark)
        self.profile = reader.value(fields, "profile", ValueParsers.choice)
        self.interval = reader.value(fields, "interval", ValueParsers.duration)
        self.timeout = reader.value(fields, "timeout", ValueParsers.duration)
        self.threshold = reader.value(fields, "threshold", Self.count)
        self.leak = reader.value(fields, "leak") { text throws(InvalidValue) in
            guard let leak = Double(text), leak.isFinite else { throw .expected("a number such as 0.5", not: text) }
            return leak
        }
        self.rise = reader.value(fields, "rise", Self.count)
        self.agreement = reader.value(fields, "agreement", ValueParsers.choice)
        self.minimumSources = reader.value(fields, "minimum_sources", Self.count)
        self.lagLimit = reader.value(fields, "lag_limit", ValueParsers.bytes)
        self.onGrayFailure = reader.value(fields, "on_gray_failure", ValueParsers.choice)
        self.nodeConninfo = reader.nodeConninfo(fields)
    }

    private static func count(_ text: String) throws(InvalidValue) -> Int {
        guard let number = Int(text), (0...1000).contains(number) else {
            throw .expected("a whole number up to 1000", not: text)
        }
        return number
    }
}
