// SPDX-License-Identifier: Apache-2.0
public import Decision

/// What the real detector does, as numbers: false alarms per node and year over lossy paths, and the time it takes to find
/// real failures; each beside the figure that theory gives (exact Markov results, and the means of renewal processes).
public enum DetectorFigures {
    /// 365.25 days.
    static let year = 31_557_600.0

    public static let channels: [(name: String, model: LossModel)] = [
        ("random 1 %", .random(0.01)), ("random 5 %", .random(0.05)),
        ("bursts 5 s, 1 %", .bursts(mean: 5, share: 0.01)), ("bursts 5 s, 5 %", .bursts(mean: 5, share: 0.05)),
        ("bursts 20 s, 1 %", .bursts(mean: 20, share: 0.01)), ("bursts 20 s, 5 %", .bursts(mean: 20, share: 0.05)),
    ]

    public struct Detector: Sendable {
        public let name: String
        let schedule: ProbeSchedule
        let needed: Int
        let sources: Int
        /// Per channel, as theory gives them.
        public let expected: [Double]
    }

    public static let detectors: [Detector] = [
        Detector(
            name: "30 s x 5, one path", schedule: ProbeSchedule(30, threshold: 5), needed: 1, sources: 1,
            expected: [1.0e-4, 0.31, 2.4e-4, 0.36, 22, 145]),
        Detector(
            name: "30 s x 5, 2 of 3 sources (hyperscale)", schedule: ProbeSchedule(30, threshold: 5), needed: 2,
            // The third is 2e-13 in one digit.
            sources: 3, expected: [3e-14, 3e-7, 1.65e-13, 4e-7, 0.002, 0.10]),
        Detector(
            name: "30 s, then 5 s x 5 once suspicious, one path",
            schedule: ProbeSchedule(30, suspectInterval: 5, threshold: 5), needed: 1, sources: 1,
            expected: [1.0e-4, 0.33, 197, 1100, 3280, 16_400]),
        Detector(
            name: "2 s x 5, one path", schedule: ProbeSchedule(2, threshold: 5), needed: 1, sources: 1,
            expected: [0.0016, 4.7, 12_200, 61_500, 25_600, 1.3e5]),
        Detector(
            name: "2 s x 8, 3 of 3 (fast)", schedule: ProbeSchedule(2, threshold: 8), needed: 3, sources: 3,
            expected: [0, 0, 0.0025, 0.34, 0.50, 63]),
        Detector(
            name: "2 s x 15, 3 of 3", schedule: ProbeSchedule(2, threshold: 15), needed: 3, sources: 3,
            expected: [0, 0, 6e-7, 9e-5, 0.06, 7.7]),
    ]

    public struct Cell: Sendable {
        public let detector: String
        public let channel: String
        public let measured: Double
        public let expected: Double
    }

    /// False alarms per node and year.
    public static func falseAlarms(samples: Int = 2500, seed: UInt64 = 1) -> [Cell] {
        var estimates: [String: SourceEstimate] = [:]
        var cells: [Cell] = []
        for detector in self.detectors {
            for (index, channel) in self.channels.enumerated() {
                let schedule = detector.schedule
                let key = "\(schedule.interval) \(schedule.suspectInterval ?? 0) \(schedule.profile.threshold) \(index)"
                let estimate =
                    estimates[key] ?? SourceEstimate(schedule, channel.model, samples: samples, seed: seed)
                estimates[key] = estimate
                let rate = estimate.rate(detector.needed, of: detector.sources, every: schedule.interval)
                cells.append(
                    Cell(
                        detector: detector.name, channel: channel.name, measured: rate * self.year,
                        expected: detector.expected[index]))
            }
        }
        return cells
    }

    // MARK: - Time to a verdict

    public struct Span: Sendable {
        public let name: String
        /// Seconds, over all runs.
        public let least: Double
        public let mean: Double
        public let most: Double
        /// What is promised, or what theory gives for the mean.
        public let expectation: String
        public let isMet: Bool
    }

    /// From a failure at any instant between two probes to the end of the probe with which a source holds the target failed.
    public static func detection(_ name: String, _ profile: DetectorProfile, runs: Int = 10_000, seed: UInt64 = 1)
        -> Span
    {
        var randomness = Randomness(seed: seed)
        var spans: [Double] = []
        for _ in 0..<runs {
            // The last good probe began this long before the failure.
            let phase = randomness.unit() * self.seconds(profile.spacing)
            var track = DetectorTrack()
            track.record(nil, profile, at: Instant(sinceBoot: .zero))
            var probes = 0
            while track.state != .failed {
                probes += 1
                track.record("no answer", profile, at: Instant(sinceBoot: .zero))
            }
            spans.append(Double(probes) * self.seconds(profile.spacing) - phase + self.seconds(profile.timeout))
        }
        let limit = self.seconds(profile.window)
        return self.span(name, spans, "at most \(Int(limit)) s") { $0.most <= limit + 1e-9 }
    }

    /// A gray failure: each probe fails with this probability, from now on.
    public static func gray(_ name: String, _ profile: DetectorProfile, share: Double, mean: Double, runs: Int = 20_000)
        -> Span
    {
        var randomness = Randomness(seed: 7)
        var spans: [Double] = []
        for _ in 0..<runs {
            var track = DetectorTrack()
            track.record(nil, profile, at: Instant(sinceBoot: .zero))
            var span = 0.0
            while track.state != .failed {
                span += self.seconds(profile.interval)
                let isLost = randomness.unit() < share
                track.record(isLost ? "lost" : nil, profile, at: Instant(sinceBoot: .zero))
            }
            spans.append(span)
        }
        return self.span(name, spans, "mean \(Int(mean)) s") { abs($0.mean / mean - 1) <= 0.2 }
    }

    public static func spans() -> [Span] {
        var consecutive = DetectorProfile.hyperscale
        consecutive.leak = Double(consecutive.threshold)
        return [
            self.detection("failure, hyperscale", .hyperscale), self.detection("failure, fast", .fast),
            self.gray("50 % of probes fail, 5 in a row", consecutive, share: 0.5, mean: 1860),
            self.gray("50 % of probes fail, hyperscale (leaky)", .hyperscale, share: 0.5, mean: 526),
            self.gray("70 % of probes fail, 5 in a row", consecutive, share: 0.7, mean: 495),
            self.gray("70 % of probes fail, hyperscale (leaky)", .hyperscale, share: 0.7, mean: 270),
        ]
    }

    /// What the leaky score costs: false alarms per node and year at 5 % random loss, one path.
    public static func leakyFalseAlarms(samples: Int = 2500) -> Cell {
        let schedule = ProbeSchedule(30, threshold: 5, leak: DetectorProfile.hyperscale.leak)
        let estimate = SourceEstimate(schedule, .random(0.05), samples: samples)
        return Cell(
            detector: "30 s x 5 leaky, one path", channel: "random 5 %", measured: estimate.rate * self.year,
            expected: 0.61)
    }

    private static func span(
        _ name: String, _ spans: [Double], _ expectation: String, _ isMet: (Span) -> Bool
    ) -> Span {
        let (least, most) = (spans.min() ?? 0, spans.max() ?? 0)
        let mean = spans.reduce(0, +) / Double(max(1, spans.count))
        let span = Span(name: name, least: least, mean: mean, most: most, expectation: expectation, isMet: true)
        return Span(
            name: name, least: least, mean: mean, most: most, expectation: expectation, isMet: isMet(span))
    }

    private static func seconds(_ duration: Duration) -> Double { duration / .seconds(1) }
}
