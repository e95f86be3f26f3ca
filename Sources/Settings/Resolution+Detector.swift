// SPDX-License-Identifier: Apache-2.0
import Decision

extension Resolution {
    static let defaultLagLimit: Int64 = 16 << 20

    /// How other members are watched: a profile with a name, and what is said otherwise. What does not fit together is refused.
    mutating func detector() -> Settings.Detector {
        let said = self.pharos.detector
        let named = self.noted("detector.profile", said?.profile, .hyperscale, \.rawValue)
        var profile = named.numbers
        profile.interval = self.noted("detector.interval", said?.interval, profile.interval, DurationText.text)
        profile.timeout = self.noted("detector.timeout", said?.timeout, profile.timeout, DurationText.text)
        profile.threshold = self.noted("detector.threshold", said?.threshold, profile.threshold) { "\($0)" }
        profile.leak = self.noted("detector.leak", said?.leak, profile.leak) { "\($0)" }
        profile.rise = self.noted("detector.rise", said?.rise, profile.rise) { "\($0)" }
        profile.agreement = self.noted("detector.agreement", said?.agreement, profile.agreement, \.rawValue)
        profile.minimumSources = self.noted(
            "detector.minimum_sources", said?.minimumSources, profile.minimumSources
        ) { "\($0)" }
        let lagLimit = self.noted("detector.lag_limit", said?.lagLimit, Self.defaultLagLimit) {
            ValueParsers.text(bytes: $0)
        }
        let policy = self.noted("detector.on_gray_failure", said?.onGrayFailure, .alert, \.rawValue)
        let conninfo = self.noted(
            "detector.node_conninfo", said?.nodeConninfo ?? self.pharos.citus?.nodeConninfo, Self.defaultNodeConninfo
        ) { $0 }
        if let said { for problem in profile.problems { self.problems.error(said.position, "'detector': \(problem)") } }
        return Settings.Detector(profile: profile, lagLimit: lagLimit, onGrayFailure: policy, nodeConninfo: conninfo)
    }
}
