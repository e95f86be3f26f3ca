// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How probes of a healthy target get lost on one path.
public enum LossModel: Sendable, Hashable {
    /// Each probe by itself.
    case random(Double)
    /// All probes within a burst: a path that is bad for spells of mean length `mean` (seconds), and for `share` of all time.
    case bursts(mean: Double, share: Double)

    /// The probability that a probe is lost.
    var share: Double {
        switch self {
        case .random(let share), .bursts(_, let share): share
        }
    }
}

/// One path, as it is at the instant of a probe: a Markov chain in continuous time with two states (Gilbert 1960).
struct LossChannel {
    let model: LossModel
    private(set) var isBad: Bool

    init(_ model: LossModel, _ randomness: inout Randomness) {
        self.model = model
        self.isBad = randomness.unit() < model.share
    }

    /// Lets `seconds` pass; answers whether a probe is lost then.
    mutating func advance(_ seconds: Double, _ randomness: inout Randomness) -> Bool {
        switch self.model {
        case .random(let share): self.isBad = randomness.unit() < share
        case .bursts(let mean, let share):
            // P(bad after t) = share + (now - share) · e^(-t (1/mean + 1/good)), good = mean (1 - share) / share.
            let decay = exp(-seconds / (mean * (1 - share)))
            let probability = share + ((self.isBad ? 1 : 0) - share) * decay
            self.isBad = randomness.unit() < probability
        }
        return self.isBad
    }
}
