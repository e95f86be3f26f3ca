// SPDX-License-Identifier: Apache-2.0

/// What can be the matter with a target, each judged on its own.
public enum DetectorAspect: String, Sendable, Hashable, CaseIterable {
    /// Patroni's REST API answers; its member key is there.
    case patroni
    /// PostgreSQL answers a query; on a primary it also takes a write.
    case postgres
}

/// Who says something of a target.
public enum DetectorSource: Hashable, Sendable, CustomStringConvertible {
    /// This daemon's own probes.
    case own
    /// etcd, whose keys outlive a silent owner by its time to live only.
    case etcd
    /// Another daemon's published observation.
    case peer(MemberID)
    /// The standby's WAL receiver, of the primary it streams from.
    case walReceiver

    public var description: String {
        switch self {
        case .own: "own probes"
        case .etcd: "etcd"
        case .peer(let member): "the daemon of \(member.name)"
        case .walReceiver: "the WAL receiver"
        }
    }
}

/// What all sources together hold of one aspect of one target.
public struct DetectorConsensus: Sendable {
    public private(set) var state = DetectorState.unknown
    /// The state without regard to flaps: what is the matter, also while nothing is done about it.
    public private(set) var bare = DetectorState.unknown
    public private(set) var penalty = FlapPenalty()
    /// Since when the state is what it is.
    public private(set) var since: Instant?
    /// The sources that hold it failed, at the last look.
    public private(set) var accusers = 0
    /// The sources that can be heard, at the last look.
    public private(set) var heard = 0

    public init() {}

    /// What the sources' states amount to. A source that holds nothing, or has not been heard for a window, does not count.
    ///
    /// Failed means that enough of those that can be heard agree, and never fewer than ``DetectorProfile/minimumSources``: one
    /// source alone makes a suspect, whatever it has seen.
    public static func input(
        of states: some Sequence<DetectorState>, _ profile: DetectorProfile
    ) -> (input: DetectorInput, accusers: Int, heard: Int) {
        var (heard, accusers, doubters) = (0, 0, 0)
        for state in states {
            switch state {
            case .unknown, .suppressed: continue
            case .failed: accusers += 1
            case .suspect, .recovering: doubters += 1
            case .healthy: break
            }
            heard += 1
        }
        let input: DetectorInput =
            if heard == 0 {
                .silent
            } else if accusers >= profile.needed(of: heard) {
                .exhausted
            } else if accusers > 0 {
                .missed
            } else if doubters > 0 {
                .answered
            } else {
                .cleared
            }
        return (input, accusers, heard)
    }

    /// Looks at the sources again; answers the effects of every transition that follows, in order.
    public mutating func look(
        at states: some Sequence<DetectorState>, _ profile: DetectorProfile, at now: Instant
    ) -> [DetectorEffect] {
        var effects: [DetectorEffect] = []
        if self.penalty.decay(at: now) { self.follow(.settled, at: now, into: &effects) }
        let (input, accusers, heard) = Self.input(of: states, profile)
        (self.accusers, self.heard) = (accusers, heard)
        self.follow(input, at: now, into: &effects)
        let transition = DetectorTransition.from(self.bare, on: input)
        self.bare = transition.next
        if transition.effects.contains(.tellFailed), self.penalty.flap(at: now) {
            self.follow(.flapped, at: now, into: &effects)
        }
        return effects
    }

    /// An operator vouches for it.
    public mutating func acknowledge(at now: Instant) -> [DetectorEffect] {
        var effects: [DetectorEffect] = []
        self.penalty.acknowledge()
        self.follow(.acknowledged, at: now, into: &effects)
        return effects
    }

    private mutating func follow(_ input: DetectorInput, at now: Instant, into effects: inout [DetectorEffect]) {
        let transition = DetectorTransition.from(self.state, on: input)
        effects += transition.effects
        guard transition.next != self.state else { return }
        self.state = transition.next
        self.since = now
    }
}
