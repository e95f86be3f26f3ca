// SPDX-License-Identifier: Apache-2.0

/// That a person wants Pharos to ask for no switchover by itself: by whom, why, and until when. Verdicts, alerts and addresses go on.
public struct ReactionPause: Hashable, Sendable {
    public let by: String
    public let reason: String
    /// Milliseconds since 1970, for people.
    public let endsAt: Int64
    /// By this node's clock.
    public let until: Instant

    public init(by: String, reason: String, endsAt: Int64, until: Instant) {
        (self.by, self.reason, self.endsAt, self.until) = (by, reason, endsAt, until)
    }

    /// Whether it is the same one, read again.
    func isSame(as other: ReactionPause) -> Bool {
        (self.by, self.reason, self.endsAt) == (other.by, other.reason, other.endsAt)
    }
}

extension DetectorCore {
    /// The pause that is in force: of several the one that ends last.
    var reactionPause: ReactionPause? {
        self.reactionPauses.values.max { ($0.until, $0.by) < ($1.until, $1.by) }
    }

    /// Lets pauses end, and tells when another one is in force, or none any more.
    mutating func notePauses(at now: Instant, _ reports: inout [DetectorReport]) {
        for (group, pause) in self.reactionPauses where pause.until <= now { self.reactionPauses[group] = nil }
        let pause = self.reactionPause
        switch (self.toldPause, pause) {
        case (nil, nil): return
        case (let told?, let now?) where told.isSame(as: now): return
        case (let told, _):
            self.toldPause = pause
            reports.append(.reactionsPaused(pause, before: told))
        }
    }
}
