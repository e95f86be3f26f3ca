// SPDX-License-Identifier: Apache-2.0

/// What is held of one thing that may fail. The same machine serves two layers: what one source's evidence says of one aspect
/// of a target, and what all sources together say of it.
public enum DetectorState: String, Sendable, Hashable, CaseIterable {
    /// Nothing has been heard, or not for long.
    case unknown
    case healthy
    /// Something failed, not often enough or not for enough sources.
    case suspect
    case failed
    /// It answers again; whether that lasts is not known yet.
    case recovering
    /// It has failed and come back too often: nothing is done about it until that has been forgotten.
    case suppressed
}

/// What a new piece of evidence amounts to, once the score (one source) or the agreement (all sources) has been taken.
public enum DetectorInput: String, Sendable, Hashable, CaseIterable {
    /// One source: a success. All sources: some hold it well, some do not.
    case answered
    /// One source: a success with which nothing is left of the score. All: no source holds anything against it.
    case cleared
    /// One source: a failure below the threshold. All: a source holds it failed, too few second that.
    case missed
    /// One source: a failure with which the score reaches the threshold. All: enough sources hold it failed.
    case exhausted
    /// No evidence for a whole window.
    case silent
    /// The flap penalty has reached the limit of suppression.
    case flapped
    /// The flap penalty has decayed to the limit of reuse.
    case settled
    /// An operator has acknowledged it.
    case acknowledged
}

/// What follows from a transition, beside the next state.
public enum DetectorEffect: String, Sendable, Hashable, CaseIterable {
    /// The failure is a verdict: it is told, counts as a flap, and may have consequences.
    case tellFailed = "tell failed"
    case tellRecovered = "tell recovered"
    case tellSuppressed = "tell suppressed"
    case tellReleased = "tell released"
    /// What was scored so far counts no more.
    case forget
}

/// One row of the table: in `state`, on any of `inputs`, to `next`.
public struct DetectorTransition: Sendable {
    public let state: DetectorState
    public let inputs: [DetectorInput]
    public let next: DetectorState
    public let effects: [DetectorEffect]
    public let reason: String

    init(
        _ state: DetectorState, _ inputs: [DetectorInput], _ next: DetectorState, _ effects: [DetectorEffect] = [],
        _ reason: String
    ) {
        self.state = state
        self.inputs = inputs
        self.next = next
        self.effects = effects
        self.reason = reason
    }

    /// Every state and every input, once. The detector, docs/detector.md and the tests are made from this.
    public static let table: [DetectorTransition] = [
        .init(.unknown, [.answered, .cleared], .healthy, [.forget], "it answers"),
        .init(.unknown, [.missed], .suspect, [], "the first evidence is a failure"),
        .init(.unknown, [.exhausted], .failed, [.tellFailed], "it has failed for the whole window"),
        .init(.unknown, [.silent, .settled, .acknowledged], .unknown, [], "nothing is known"),
        .init(.unknown, [.flapped], .suppressed, [.tellSuppressed], "it comes and goes"),

        .init(.healthy, [.answered, .cleared, .settled, .acknowledged], .healthy, [], "it answers"),
        .init(.healthy, [.missed], .suspect, [], "a failure; more must follow"),
        .init(.healthy, [.exhausted], .failed, [.tellFailed], "it has failed for the whole window"),
        .init(.healthy, [.silent], .unknown, [.forget], "nobody speaks of it any more"),
        .init(.healthy, [.flapped], .suppressed, [.tellSuppressed], "it comes and goes"),

        .init(.suspect, [.answered, .missed, .settled, .acknowledged], .suspect, [], "neither failed nor cleared"),
        .init(.suspect, [.cleared], .healthy, [.forget], "it was not for long"),
        .init(.suspect, [.exhausted], .failed, [.tellFailed], "it has failed for the whole window"),
        .init(.suspect, [.silent], .unknown, [.forget], "nobody speaks of it any more"),
        .init(.suspect, [.flapped], .suppressed, [.tellSuppressed], "it comes and goes"),

        .init(.failed, [.missed, .exhausted, .settled, .acknowledged], .failed, [], "it still fails"),
        .init(.failed, [.silent], .failed, [], "silence is no recovery"),
        .init(.failed, [.answered], .recovering, [], "it answers; that must last"),
        .init(.failed, [.cleared], .healthy, [.tellRecovered, .forget], "it is well again"),
        .init(.failed, [.flapped], .suppressed, [.tellSuppressed], "it comes and goes"),

        .init(.recovering, [.answered, .settled, .acknowledged], .recovering, [], "it answers; that must last"),
        .init(.recovering, [.cleared], .healthy, [.tellRecovered, .forget], "it is well again"),
        .init(.recovering, [.missed, .exhausted], .failed, [], "it has fallen back"),
        .init(.recovering, [.silent], .unknown, [.forget], "nobody speaks of it any more"),
        .init(.recovering, [.flapped], .suppressed, [.tellSuppressed], "it comes and goes"),

        .init(
            .suppressed, [.answered, .cleared, .missed, .exhausted, .silent, .flapped], .suppressed, [],
            "nothing is done about it for now"),
        .init(.suppressed, [.settled], .unknown, [.tellReleased, .forget], "that was long ago; it is judged anew"),
        .init(.suppressed, [.acknowledged], .unknown, [.tellReleased, .forget], "an operator vouches for it"),
    ]

    private static let index: [DetectorState: [DetectorInput: DetectorTransition]] = {
        var index: [DetectorState: [DetectorInput: DetectorTransition]] = [:]
        for row in table {
            for input in row.inputs { index[row.state, default: [:]][input] = row }
        }
        return index
    }()

    /// The row for a state and an input. That there is one for each is tested.
    static func from(_ state: DetectorState, on input: DetectorInput) -> DetectorTransition {
        guard let row = self.index[state]?[input] else { preconditionFailure("no row for \(state) on \(input)") }
        return row
    }
}
