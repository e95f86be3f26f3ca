// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON

extension DetectorStatus {
    /// The object `detector` of the status.
    func document(at now: Instant) -> JSONDocument {
        let splits = self.splitBrains.sorted { $0.key < $1.key }.map { group, members -> JSONDocument in
            ["group": .number(group), "members": .list(members.map { .string($0.name) })]
        }
        return [
            "profile": self.profile.document, "is_isolated": .bool(self.isIsolated), "is_cut_off": .bool(self.isCutOff),
            "local_health": .number(self.multiplier),
            "reactions_paused": self.pause?.document(at: now) ?? .null,
            "no_switchover_because": .text(self.obstacle.map { Wording.text($0) }),
            "etcd": .string(Wording.text(self.etcd)), "etcd_condition": .string(Wording.code(self.etcd)),
            "is_etcd_well": .bool(self.etcd == .well || self.etcd == .unknown),
            "groups_read_seconds_ago": .seconds(self.viewReadAt.map { max(.zero, now - $0) }),
            "is_view_old": .bool(self.isViewOld), "split_brains": .list(splits),
            "targets": .list(self.targets.map { $0.document(self.profile, at: now) }),
        ]
    }
}

extension DetectorProfile {
    fileprivate var document: JSONDocument {
        [
            "interval_ms": .integer(self.interval.milliseconds), "timeout_ms": .integer(self.timeout.milliseconds),
            "threshold": .number(self.threshold), "leak": .fraction(self.leak), "rise": .number(self.rise),
            "agreement": .string(self.agreement.rawValue), "minimum_sources": .number(self.minimumSources),
        ]
    }
}

extension DetectorStatus.Target {
    fileprivate func document(_ profile: DetectorProfile, at now: Instant) -> JSONDocument {
        [
            "group": .number(self.id.group), "member": .string(self.id.name), "is_leader": .bool(self.isLeader),
            "verdict": .string(self.verdict.rawValue), "reason": .string(self.reason), "lag_bytes": .number(self.lag),
            "aspects": .list(self.aspects.map { $0.document(profile, at: now) }),
        ]
    }
}

extension DetectorStatus.Aspect {
    fileprivate func document(_ profile: DetectorProfile, at now: Instant) -> JSONDocument {
        let evidence = self.evidence.map { evidence -> JSONDocument in
            [
                "source": "\(evidence.source)", "state": .string(evidence.state.rawValue),
                "reason": .text(evidence.telling),
            ]
        }
        return [
            "aspect": .string(self.aspect.rawValue), "state": .string(self.state.rawValue),
            "for_seconds": .seconds(self.since.map { now - $0 }), "score": .fraction(self.score),
            "threshold": .fraction(self.threshold), "accusers": .number(self.accusers), "heard": .number(self.heard),
            "needed": .number(self.needed),
            "last_healthy_seconds_ago": .seconds(self.lastHealthyAt.map { now - $0 }),
            "first_failure_seconds_ago": .seconds(self.firstFailureAt.map { now - $0 }),
            "suppressed_for_seconds": .seconds(self.suppressedUntil.map { $0 - now }),
            "outlook": .string(Wording.outlook(of: self, profile, at: now)), "evidence": .list(evidence),
        ]
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { Int64(self / .milliseconds(1)) }
}

extension Evidence {
    /// Why, where there is anything against it.
    fileprivate var telling: String? { self.state == .healthy ? nil : self.reason }
}

extension Wording {
    /// What it would take to change what holds of an aspect.
    static func outlook(of aspect: DetectorStatus.Aspect, _ profile: DetectorProfile, at now: Instant) -> String {
        let agreement = "\(aspect.needed) of \(max(aspect.heard, aspect.needed)) sources"
        switch aspect.state {
        case .unknown: return "a first answer, or a first failure, decides"
        case .healthy, .suspect:
            let missing = Int(max(0, aspect.threshold - aspect.score).rounded(.up))
            let own =
                missing == 0
                ? "the probes here hold it failed"
                : "the probes here hold it failed after \(missing) more failures in a row (\(self.text(profile.spacing * missing)))"
            return
                "failed when \(agreement) hold it failed, \(aspect.accusers) do; \(own)"
        case .failed, .recovering:
            return
                "well when the probes here have succeeded \(profile.rise) times in a row and no source holds it failed"
        case .suppressed:
            let span = aspect.suppressedUntil.map { " in \(self.text($0 - now)), if it does not fail again" } ?? ""
            return "judged anew\(span); at once with: pharos acknowledge"
        }
    }
}
