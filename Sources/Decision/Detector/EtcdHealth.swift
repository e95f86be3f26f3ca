// SPDX-License-Identifier: Apache-2.0

/// What one of etcd's endpoints said when it was asked for its health.
public struct EtcdEndpointFinding: Hashable, Sendable {
    public let endpoint: String
    /// ``ProbeOutcome/answered``: it is healthy, which means that it has a leader and takes part in a quorum.
    public let outcome: ProbeOutcome
    /// How long the answer took.
    public let elapsed: Duration
    /// Whether the configuration names it. One that etcd has told says only whether there is a quorum: nobody has promised that this
    /// node reaches it.
    public let isConfigured: Bool
    /// The alarms that etcd has raised, such as `NOSPACE`, for which it calls itself unhealthy though it has a quorum.
    public let alarms: [String]

    public init(
        endpoint: String, _ outcome: ProbeOutcome, elapsed: Duration, isConfigured: Bool = true, alarms: [String] = []
    ) {
        self.alarms = alarms
        self.endpoint = endpoint
        self.isConfigured = isConfigured
        self.outcome = outcome
        self.elapsed = elapsed
    }
}

/// How etcd is, all in all.
public enum EtcdCondition: Hashable, Sendable {
    case unknown
    case well
    /// These endpoints take long to answer.
    case slow([String])
    /// These endpoints have failed, of so many.
    case degraded([String], of: Int)
    /// None is healthy.
    case noQuorum
    /// It has raised these alarms, as when its database is full: a fact, which nobody has to second.
    case alarm([String])
}

/// The failure detector's view of etcd's endpoints, each judged by its own score like any other target. It takes no second opinion:
/// nothing is done about etcd but telling.
struct EtcdHealth: Sendable {
    private(set) var condition = EtcdCondition.unknown
    private var reachable: [String: DetectorTrack] = [:]
    private var prompt: [String: DetectorTrack] = [:]
    /// What each endpoint that still answers has said last of alarms: that it could not be asked once is no all-clear.
    private var alarms: [String: [String]] = [:]
    var question: Question

    /// Half of the time after which etcd's members elect another leader, by default.
    static let slowAfter: Duration = .milliseconds(500)

    init(at now: Instant) { self.question = Question(due: now) }

    /// Answers the condition if it is another one.
    mutating func record(
        _ findings: [EtcdEndpointFinding], _ profile: DetectorProfile, scale: Int, at now: Instant
    ) -> EtcdCondition? {
        let names = Set(findings.map(\.endpoint))
        let configured = Set(findings.filter(\.isConfigured).map(\.endpoint))
        self.reachable = self.reachable.filter { names.contains($0.key) }
        self.prompt = self.prompt.filter { names.contains($0.key) }
        for finding in findings {
            self.reachable[finding.endpoint, default: DetectorTrack()].record(
                finding.outcome, profile, scale: scale, at: now)
            if !finding.alarms.isEmpty { self.alarms[finding.endpoint] = finding.alarms }
            guard finding.outcome == .answered else { continue }
            self.alarms[finding.endpoint] = finding.alarms
            self.prompt[finding.endpoint, default: DetectorTrack()].record(
                finding.elapsed > Self.slowAfter ? "slow" : nil, profile, scale: scale, at: now)
        }
        let all = Self.failed(self.reachable)
        let lost = all.filter(configured.contains)
        let slow = Self.failed(self.prompt).filter(configured.contains)
        self.alarms = self.alarms.filter { names.contains($0.key) && !all.contains($0.key) }
        let alarms = Set(self.alarms.values.joined()).sorted()
        let condition: EtcdCondition =
            if !names.isEmpty, all.count == names.count {
                .noQuorum
            } else if !names.isEmpty, self.reachable.values.allSatisfy({ $0.state == .unknown }) {
                // None could be asked, for as long as what was heard before counts.
                .unknown
            } else if !alarms.isEmpty {
                .alarm(alarms)
            } else if !lost.isEmpty {
                .degraded(lost, of: configured.count)
            } else if !slow.isEmpty {
                .slow(slow)
            } else {
                .well
            }
        guard condition != self.condition else { return nil }
        defer { self.condition = condition }
        // That all is well from the start is no news.
        return self.condition == .unknown && condition == .well ? nil : condition
    }

    /// The endpoints that did not answer when they were asked last.
    var silent: Set<String> { Set(self.reachable.lazy.filter { $0.value.misses > 0 }.map(\.key)) }

    /// What each endpoint answered last, sorted.
    var endpoints: [EtcdEndpointState] {
        self.reachable.sorted { $0.key < $1.key }.map { endpoint, track in
            EtcdEndpointState(
                endpoint: endpoint, answers: track.heardAt == nil ? nil : track.misses == 0,
                reason: track.misses > 0 ? track.reason : nil, alarms: self.alarms[endpoint] ?? [])
        }
    }

    private static func failed(_ tracks: [String: DetectorTrack]) -> [String] {
        tracks.filter { [.failed, .recovering].contains($0.value.state) }.map(\.key).sorted()
    }
}

/// What came of the last question to one endpoint of etcd: undamped, unlike a verdict.
public struct EtcdEndpointState: Hashable, Sendable {
    public let endpoint: String
    /// Nil: it has not been asked, or could not be.
    public let answers: Bool?
    /// Why it does not.
    public let reason: String?
    /// Raised there, as far as it was told.
    public let alarms: [String]
}

extension Core {
    /// Empty where nobody asks them.
    public var etcdEndpointStates: [EtcdEndpointState] { self.detector?.etcd.endpoints ?? [] }
}
