// SPDX-License-Identifier: Apache-2.0
import Audit
import Decision
import EventLoop
import Journal
import Settings

/// What the daemon makes of what it knows anyway: which single failures would be survived now, and which rules of the audit find something.
/// Judged once a minute, and soon after something has changed; in a turn that comes for another reason, so that it wakes nobody.
@EventLoop
final class ContinuousAudit {
    /// Nil until it has been judged once.
    private(set) var report: AuditReport?
    private(set) var judgedAt: Instant?
    private var watch = AuditWatch()
    private var accepted: [AcceptedFinding] = []
    private var dueAt: Instant
    private var stirs: UInt64 = 0
    /// The group of this node.
    private let own: Int

    nonisolated static let period: Duration = .seconds(60)
    /// From a change to the judgement: what changes with it comes along.
    nonisolated static let delay: Duration = .seconds(1)
    /// Between two judgements, whatever changes.
    nonisolated static let pause: Duration = .seconds(5)
    /// At a start the members have to be asked first.
    private static let first: Duration = .seconds(10)

    init(own: Int, at now: Instant) {
        self.own = own
        self.dueAt = now + Self.first
    }

    /// `stirs`: grows with each change that may matter.
    func isDue(_ stirs: UInt64, at now: Instant) -> Bool {
        if stirs != self.stirs {
            self.stirs = stirs
            if let judgedAt = self.judgedAt {
                self.dueAt = min(self.dueAt, max(now + Self.delay, judgedAt + Self.pause))
            }
        }
        return now >= self.dueAt
    }

    /// Nothing can be judged yet.
    func putOff(at now: Instant) { self.dueAt = now + Self.pause }

    /// Judges, and answers what is to be told. `day`: for acceptances.
    func judge(_ facts: AuditFacts, day: AuditDate, at now: Instant) -> [LogRecord] {
        let report = AuditReport(facts, accepted: self.accepted, today: day, rules: AuditRule.ofDaemon)
        self.report = report
        self.judgedAt = now
        let news = self.watch.look(report, own: self.own, at: now.sinceBoot)
        let settled = self.watch.due.map { max(Instant(sinceBoot: $0), now + Self.delay) } ?? .distantFuture
        self.dueAt = min(now + Self.period, settled)
        return LogRecord.records(of: news, leader: report.readiness.first { $0.group == self.own }?.leader)
    }

    /// Since when a failure would not be survived; nil: it would be, or that is not known.
    func since(_ line: Readiness.Line, group: Int) -> Instant? {
        self.watch.since(line, group: group).map { Instant(sinceBoot: $0) }
    }

    /// Reads the file of accepted findings; one that cannot be used is told, and what was accepted before stays.
    func readAccepted(beside configuration: String) -> LogRecord? {
        do throws(SettingsError) {
            self.accepted = try AcceptedFindings.read(beside: configuration)
            // What is accepted now counts from the next look on.
            self.dueAt = min(self.dueAt, max(.now, (self.judgedAt ?? self.dueAt) + Self.pause))
            return nil
        } catch {
            return LogRecord(
                .configurationRefused,
                "the accepted findings cannot be used, and what was accepted before stays so:\n\(error.description)",
                priority: .warning)
        }
    }

    // MARK: - What it comes to in the status of the cluster

    /// Adds a problem for each group of which a failure would not be survived that nobody has accepted, and that no other problem tells.
    func complete(_ status: ClusterStatus) -> ClusterStatus {
        guard let report = self.report else { return status }
        var status = status
        let more = report.readiness.compactMap { readiness in
            Self.problem(of: readiness.group, readiness.lines.filter { report.acceptance(of: $0) == nil })
        }
        let all = status.problems + more
        status.problems = all.filter { $0.severity == .critical } + all.filter { $0.severity != .critical }
        return status
    }

    /// Those that the view of the groups tells by itself.
    private static let toldElsewhere: Set<String> = ["no-candidate", "paused"]

    private static func problem(of group: Int, _ lines: [Readiness.Line]) -> ClusterProblem? {
        let lost = lines.filter { line in
            guard case .notSurvived = line.outcome else { return false }
            return line.code.map { !Self.toldElsewhere.contains($0) } ?? true
        }
        guard let first = lost.first else { return nil }
        let step = first.step.map { "on \($0.place): \($0.command)" } ?? "pharos audit"
        return .notSurvived(
            group: group, failures: lost.map(\.text), reason: first.outcome.reason, advice: step)
    }
}

extension Shell {
    /// At the start, and with each reload.
    func readAccepted() {
        guard let path = self.services.configuration else { return }
        if let record = self.audit.readAccepted(beside: path) { self.log(record) }
    }

    /// In the turn of whatever has happened.
    func turnAudit() {
        let now = Instant.now
        guard self.audit.isDue(self.core.stirs &+ self.groups.own.changes, at: now), !self.core.isStopping else {
            return
        }
        guard let facts = self.auditFacts() else { return self.audit.putOff(at: now) }
        let day = AuditDate(secondsSince1970: WallClock.seconds)
        for record in self.audit.judge(facts, day: day, at: now) { self.log(record) }
    }

    /// With what would not be survived among its problems.
    var wholeClusterStatus: ClusterStatus? { self.core.clusterStatus.map { self.audit.complete($0) } }
}
