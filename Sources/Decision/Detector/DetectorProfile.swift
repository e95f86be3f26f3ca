// SPDX-License-Identifier: Apache-2.0

/// The numbers of the failure detector. What they mean for false alarms and for the time to a verdict is measured:
/// docs/detector.md.
public struct DetectorProfile: Hashable, Sendable {
    /// How many of the sources that can be heard must hold a target failed.
    public enum Agreement: String, Hashable, Sendable, CaseIterable {
        /// All of them.
        case all
        /// More than half of them.
        case majority
    }

    /// Between two probes of a target by one daemon.
    public var interval: Duration
    /// For one probe; it lies inside the interval.
    public var timeout: Duration
    /// Failures in a row that make a source hold a target failed.
    public var threshold: Int
    /// What a success takes off the score, to which a failure adds 1. As much as `threshold`: failures must be consecutive.
    /// Less: a target that fails every other time is found too (the leaky score).
    public var leak: Double
    /// Successes in a row after which a failed target is well again.
    public var rise: Int
    public var agreement: Agreement
    /// How many sources must agree at least. One is never enough for an action.
    public var minimumSources: Int

    public init(
        interval: Duration, timeout: Duration, threshold: Int, leak: Double, rise: Int, agreement: Agreement,
        minimumSources: Int
    ) {
        self.interval = interval
        self.timeout = timeout
        self.threshold = threshold
        self.leak = leak
        self.rise = rise
        self.agreement = agreement
        self.minimumSources = minimumSources
    }

    /// 30 s x 5: a verdict within 150 s.
    public static let hyperscale = DetectorProfile(
        interval: .seconds(30), timeout: .seconds(5), threshold: 5, leak: 0.5, rise: 2, agreement: .majority,
        minimumSources: 2)
    /// 2 s x 8, unanimous: a verdict within 16 s.
    public static let fast = DetectorProfile(
        interval: .seconds(2), timeout: .seconds(1), threshold: 8, leak: 0.5, rise: 3, agreement: .all,
        minimumSources: 2)

    /// From a failure to the verdict at the longest: `threshold` x `interval`.
    public var window: Duration { self.interval * self.threshold }

    /// How many sources must hold a target failed, where `heard` can be heard.
    public func needed(of heard: Int) -> Int {
        let needed =
            switch self.agreement {
            case .all: heard
            case .majority: heard / 2 + 1
            }
        return max(needed, self.minimumSources)
    }

    /// Between the beginnings of two probes. The last of `threshold` failing probes must end within the window, its timeout
    /// included, though the failure began right after a probe: `interval` - `timeout` / `threshold`.
    public var spacing: Duration { self.interval - self.timeout / self.threshold }

    /// What cannot be, each with the formula; empty: nothing.
    public var problems: [String] {
        var problems: [String] = []
        if self.interval < .milliseconds(500) { problems.append("interval must be at least 500 ms") }
        if self.timeout <= .zero || self.timeout >= self.interval {
            problems.append("timeout must be above 0 and below interval, or probes would overlap")
        }
        if !(2...100).contains(self.threshold) { problems.append("threshold must be from 2 to 100") }
        if !(self.leak > 0 && self.leak <= Double(self.threshold)) {
            problems.append("leak must be above 0 and at most threshold (then failures must be consecutive)")
        }
        if self.rise < 1 || self.rise > self.threshold { problems.append("rise must be from 1 to threshold") }
        if self.minimumSources < 2 {
            problems.append("minimum_sources must be at least 2: nothing is done on the word of one")
        }
        if self.window > .seconds(3600) {
            problems.append("interval x threshold must be at most 1 h: it is the time to a verdict")
        }
        return problems
    }
}
