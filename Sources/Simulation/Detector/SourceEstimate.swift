// SPDX-License-Identifier: Apache-2.0
public import Decision

/// How a detector schedules its probes.
public struct ProbeSchedule: Sendable {
    /// Seconds between two probes.
    public var interval: Double
    /// The same while the target is suspected; what others call fast interval. Ours does not do that: see the figures.
    public var suspectInterval: Double?
    public var profile: DetectorProfile

    /// - Parameter leak: nil: failures must be consecutive.
    public init(_ interval: Double, suspectInterval: Double? = nil, threshold: Int, leak: Double? = nil) {
        self.interval = interval
        self.suspectInterval = suspectInterval
        self.profile = DetectorProfile(
            interval: .milliseconds(Int64(interval * 1000)), timeout: .zero, threshold: threshold,
            leak: leak ?? Double(threshold), rise: 1, agreement: .all, minimumSources: 1)
    }

    func pause(in state: DetectorState) -> Double {
        state == .suspect ? self.suspectInterval ?? self.interval : self.interval
    }
}

/// What one source's real ``DetectorTrack`` makes of a target that never fails, over a lossy path.
///
/// What is rare is found by splitting: many tracks are started from the first lost probe; of those that reach the next
/// level of the score before they are cleared, as many are started again, and so on up to the threshold. The product of the
/// shares that got on is the probability of the whole way (fixed-effort multilevel splitting; Garvels 2000).
public struct SourceEstimate: Sendable {
    /// How often per second a track becomes failed.
    public var rate: Double
    /// Seconds for which it stays so, on average.
    public var span: Double
    /// How many verdicts there would be in that time, if each `threshold` further failures were another.
    public var verdicts: Double

    private struct Walker {
        var channel: LossChannel
        var track = DetectorTrack()

        /// One probe; answers the seconds until it.
        mutating func step(_ schedule: ProbeSchedule, _ randomness: inout Randomness) -> Double {
            let pause = schedule.pause(in: self.track.state)
            let isLost = self.channel.advance(pause, &randomness)
            self.track.record(isLost ? "lost" : nil, schedule.profile, at: Instant(sinceBoot: .zero))
            return pause
        }
    }

    /// - Parameter samples: how many tracks are to reach each level: the estimate's relative error falls with their root.
    public init(_ schedule: ProbeSchedule, _ model: LossModel, samples: Int = 2500, seed: UInt64 = 1) {
        var randomness = Randomness(seed: seed)
        // How often a healthy track sees its first lost probe, and the tracks that just have.
        var walker = Walker(channel: LossChannel(model, &randomness))
        var (population, seconds): ([Walker], Double) = ([], 0)
        while population.count < samples {
            let before = walker.track.state
            seconds += walker.step(schedule, &randomness)
            guard walker.track.state == .suspect, before == .healthy || before == .unknown else { continue }
            population.append(walker)
        }
        var rate = Double(samples) / seconds
        for level in stride(from: 2, through: schedule.profile.threshold, by: 1) {
            var (arrived, trials): ([Walker], Int) = ([], 0)
            while arrived.count < samples, trials < Self.trialLimit {
                var walker = population[trials % population.count]
                trials += 1
                while walker.track.score > 0, walker.track.score < Double(level) {
                    _ = walker.step(schedule, &randomness)
                }
                if walker.track.score >= Double(level) { arrived.append(walker) }
            }
            rate *= Double(arrived.count) / Double(trials)
            population = arrived
            if arrived.isEmpty { break }
        }
        self.rate = rate
        // How long they stay failed.
        var (span, verdicts) = (0.0, 0)
        for walker in population {
            var (walker, failures) = (walker, schedule.profile.threshold)
            while walker.track.state == .failed {
                span += walker.step(schedule, &randomness)
                if walker.track.state == .failed { failures += 1 }
            }
            verdicts += failures / schedule.profile.threshold
        }
        self.span = population.isEmpty ? 0 : span / Double(population.count)
        self.verdicts = population.isEmpty ? 0 : Double(verdicts) / Double(population.count)
    }

    private static let trialLimit = 3_000_000

    /// How often per second there is a verdict. Of one source: counted anew after every `threshold` failures of the same outage,
    /// as theory does. Of several: when at least `needed` of `count` hold the target failed at once, all of which probe at the same
    /// instants and are independent of each other: exact, from the probabilities that a source is failed at an instant and at
    /// the one before.
    public func rate(_ needed: Int, of count: Int, every interval: Double) -> Double {
        guard count > 1 else { return self.rate * self.verdicts }
        let enters = self.rate * interval
        let failed = self.rate * self.span
        // Of one source: not failed then and failed now, failed both times, failed then only, neither.
        let probabilities = [enters, max(0, failed - enters), enters, max(0, 1 - failed - enters)]
        var sum = 0.0
        var kinds = [Int](repeating: 0, count: count)
        while true {
            let before = kinds.count { $0 == 1 || $0 == 2 }
            let now = kinds.count { $0 == 0 || $0 == 1 }
            if before < needed, now >= needed { sum += kinds.reduce(1) { $0 * probabilities[$1] } }
            guard let position = kinds.firstIndex(where: { $0 < 3 }) else { break }
            kinds[position] += 1
            for earlier in 0..<position { kinds[earlier] = 0 }
        }
        return sum / interval
    }
}
