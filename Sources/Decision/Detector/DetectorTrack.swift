// SPDX-License-Identifier: Apache-2.0

/// What one source holds of one aspect of one target: the score of its own probes, taken through the table.
///
/// A failure adds 1 to the score, a success takes ``DetectorProfile/leak`` off it. At the threshold the target has failed.
public struct DetectorTrack: Sendable {
    public private(set) var state = DetectorState.unknown
    public private(set) var score = 0.0
    /// Successes in a row since it failed.
    private var risen = 0
    /// Failures in a row, up to now.
    public private(set) var misses = 0
    public private(set) var lastHealthyAt: Instant?
    /// The first failure of those that have not been forgotten.
    public private(set) var firstFailureAt: Instant?
    public private(set) var heardAt: Instant?
    /// Why the last probe failed.
    public private(set) var reason: String?

    public init() {}

    /// Takes a probe's outcome over. `scale`: the local-health multiplier + 1, by which the threshold grows.
    @discardableResult
    public mutating func record(
        _ failure: String?, _ profile: DetectorProfile, scale: Int = 1, at now: Instant
    ) -> DetectorTransition {
        self.heardAt = now
        let input: DetectorInput
        if let failure {
            self.reason = failure
            self.risen = 0
            self.misses = min(self.misses + 1, profile.threshold)
            self.firstFailureAt = self.firstFailureAt ?? now
            let threshold = Double(profile.threshold * scale)
            self.score = min(self.score + 1, threshold)
            input = self.score >= threshold ? .exhausted : .missed
        } else {
            self.lastHealthyAt = now
            self.score = max(0, self.score - profile.leak)
            self.risen += 1
            self.misses = 0
            let isOut = self.state == .failed || self.state == .recovering
            input = (isOut ? self.risen >= profile.rise : self.score == 0) ? .cleared : .answered
        }
        return self.follow(input)
    }

    /// Takes over what came of a question.
    public mutating func record(
        _ outcome: ProbeOutcome, _ profile: DetectorProfile, scale: Int = 1, at now: Instant
    ) {
        switch outcome {
        case .answered: self.record(nil, profile, scale: scale, at: now)
        case .failed(let reason): self.record(reason, profile, scale: scale, at: now)
        case .unasked(let reason):
            // What was heard before counts for a window. Then nothing is known, also not that it had failed.
            if let heardAt = self.heardAt, now - heardAt < profile.window { return }
            self = DetectorTrack()
            self.reason = reason
        }
    }

    /// Takes over for how long nothing has come from a source that speaks by itself. What lasts for a window, less the time until
    /// it is looked at again, has failed; below `patience` nothing is wrong.
    @discardableResult
    public mutating func record(
        silence: Duration, patience: Duration, reason: String, _ profile: DetectorProfile, at now: Instant
    ) -> DetectorTransition {
        guard silence > patience else { return self.record(nil, profile, at: now) }
        (self.heardAt, self.reason, self.risen) = (now, reason, 0)
        self.firstFailureAt = self.firstFailureAt ?? now
        return self.follow(silence >= profile.window - profile.interval ? .exhausted : .missed)
    }

    /// Nothing was heard for a whole window.
    @discardableResult
    public mutating func fallSilent() -> DetectorTransition { self.follow(.silent) }

    private mutating func follow(_ input: DetectorInput) -> DetectorTransition {
        let transition = DetectorTransition.from(self.state, on: input)
        self.state = transition.next
        if transition.effects.contains(.forget) {
            (self.score, self.risen, self.firstFailureAt) = (0, 0, nil)
        }
        return transition
    }
}
