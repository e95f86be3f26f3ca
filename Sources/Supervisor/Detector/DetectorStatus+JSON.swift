// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON

extension DetectorStatus {
    /// The object `detector` of the status.
    func json(at now: Instant) -> String {
        let profile = self.profile
        let splits = self.splitBrains.sorted { $0.key < $1.key }.map { group, members in
            "{\"group\": \(group), \"members\": [\(members.map { JSON.quoted($0.name) }.joined(separator: ", "))]}"
        }
        return "{"
            + [
                "\"profile\": {\"interval_ms\": \(profile.interval.milliseconds), \"timeout_ms\": \(profile.timeout.milliseconds), \"threshold\": \(profile.threshold), \"leak\": \(profile.leak), \"rise\": \(profile.rise), \"agreement\": \"\(profile.agreement.rawValue)\", \"minimum_sources\": \(profile.minimumSources)}",
                "\"is_isolated\": \(self.isIsolated)", "\"is_cut_off\": \(self.isCutOff)",
                "\"local_health\": \(self.multiplier)",
                "\"no_switchover_because\": \(self.obstacle.map { JSON.quoted(Wording.text($0)) } ?? "null")",
                "\"etcd\": \(JSON.quoted(Wording.text(self.etcd)))",
                "\"is_etcd_well\": \(self.etcd == .well || self.etcd == .unknown)",
                "\"groups_read_seconds_ago\": \(self.viewReadAt.map { "\(max(0, (now - $0).components.seconds))" } ?? "null")",
                "\"is_view_old\": \(self.isViewOld)",
                "\"split_brains\": [\(splits.joined(separator: ", "))]",
                "\"targets\": [\(self.targets.map { $0.json(self.profile, at: now) }.joined(separator: ",\n    "))]",
            ].joined(separator: ",\n    ") + "}"
    }
}

extension DetectorStatus.Target {
    fileprivate func json(_ profile: DetectorProfile, at now: Instant) -> String {
        "{"
            + [
                "\"group\": \(self.id.group)", "\"member\": \(JSON.quoted(self.id.name))",
                "\"is_leader\": \(self.isLeader)", "\"verdict\": \(JSON.quoted(self.verdict.rawValue))",
                "\"reason\": \(JSON.quoted(self.reason))",
                "\"lag_bytes\": \(self.lag.map { "\($0)" } ?? "null")",
                "\"aspects\": [\(self.aspects.map { $0.json(profile, at: now) }.joined(separator: ", "))]",
            ].joined(separator: ", ") + "}"
    }
}

extension DetectorStatus.Aspect {
    fileprivate func json(_ profile: DetectorProfile, at now: Instant) -> String {
        func seconds(_ span: Duration?) -> String { span.map { "\($0.components.seconds)" } ?? "null" }
        let evidence = self.evidence.map {
            "{\"source\": \(JSON.quoted("\($0.source)")), \"state\": \"\($0.state.rawValue)\", \"reason\": \($0.telling.map { JSON.quoted($0) } ?? "null")}"
        }
        return "{"
            + [
                "\"aspect\": \"\(self.aspect.rawValue)\"", "\"state\": \"\(self.state.rawValue)\"",
                "\"for_seconds\": \(seconds(self.since.map { now - $0 }))",
                "\"score\": \(self.score)", "\"threshold\": \(self.threshold)",
                "\"accusers\": \(self.accusers)", "\"heard\": \(self.heard)", "\"needed\": \(self.needed)",
                "\"last_healthy_seconds_ago\": \(seconds(self.lastHealthyAt.map { now - $0 }))",
                "\"first_failure_seconds_ago\": \(seconds(self.firstFailureAt.map { now - $0 }))",
                "\"suppressed_for_seconds\": \(seconds(self.suppressedUntil.map { $0 - now }))",
                "\"outlook\": \(JSON.quoted(Wording.outlook(of: self, profile, at: now)))",
                "\"evidence\": [\(evidence.joined(separator: ", "))]",
            ].joined(separator: ", ") + "}"
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
