// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON
import Settings

extension Shell {
    /// All groups as one JSON object, as `pharos cluster --json` prints it.
    func clusterJSON() -> String {
        let now = Instant.now
        guard let status = self.wholeClusterStatus else { return "null\n" }
        return self.outward(
            JSONDocument.members(
                .init("scope", .string(self.settings.scope)), .init("seen_by", .string(self.settings.member)),
                .init("time", .integer(WallClock.seconds)), .init("is_current", .bool(status.isCurrent)),
                .init("read_seconds_ago", .seconds(status.readAt.map { max(.zero, now - $0) })),
                .init("is_paused", .bool(status.isPaused)), .init("is_cut_off", .bool(status.isCutOff)),
                .init("reactions_paused", status.reactionPause?.document(at: now) ?? .null),
                .init("failover", status.failover?.underWay(at: now) ?? .null),
                .init("problems", .list(status.problems.map { $0.document(status, at: now) })),
                .init("audit", self.audit.document(at: now)),
                .init(
                    "groups",
                    .list(
                        status.groups.map {
                            $0.document(readiness: self.audit.readiness(of: $0.number, at: now), at: now)
                        }))
            ).readable(lines: 3) + "\n")
    }
}

extension FailoverRecord {
    /// What goes on.
    fileprivate func underWay(at now: Instant) -> JSONDocument {
        [
            "id": .integer(self.revision), "group": .number(self.group), "from": .text(self.from),
            "to": .string(self.to), "spans": self.spans(at: now),
        ]
    }

    /// Each span with its budget, and how long it took, or has taken until `now`.
    func spans(at now: Instant) -> JSONDocument {
        let spans = FailoverSpan.allCases.compactMap { span -> JSONDocument? in
            let (length, isOver): (Duration, Bool)
            switch span.length(in: self) {
            case .unknown: return nil
            case .took(let took): (length, isOver) = (took, true)
            case .notFinished:
                let start = span.from.compactMap { self.phases[$0] }.first ?? now
                (length, isOver) = (max(.zero, now - start), false)
            }
            let budget = span.budget ?? self.detectionBudget
            return [
                "span": .string(span.name), "milliseconds": .integer(Int64(length / .milliseconds(1))),
                "is_over": .bool(isOver), "budget_milliseconds": .integer(Int64(budget / .milliseconds(1))),
            ]
        }
        return .list(spans)
    }
}

extension ClusterProblem {
    func document(_ status: ClusterStatus, at now: Instant) -> JSONDocument {
        [
            "severity": self.severity == .critical ? "critical" : "warning", "code": .string(Wording.code(self)),
            "group": .number(self.group),
            "text": .string(Wording.text(self, age: status.readAt.map { max(.zero, now - $0) }, at: now)),
            "advice": .string(Wording.advice(self)),
        ]
    }
}

extension ClusterStatus.Group {
    fileprivate func document(readiness: JSONDocument, at now: Instant) -> JSONDocument {
        [
            "group": .number(self.number), "leader": .text(self.leader),
            "leader_for_seconds": .seconds(self.leaderSeenAt.map { max(.zero, now - $0) }),
            "is_switching_over": .bool(self.isSwitchingOver), "is_standby_cluster": .bool(self.isStandbyCluster),
            "readiness": readiness, "addresses": .list(self.addresses.map(\.document)),
            "members": .list(self.members.map { $0.document(at: now) }),
        ]
    }
}

extension ClusterStatus.Address {
    fileprivate var document: JSONDocument {
        [
            "address": .string(self.id), "holder": .text(self.holder),
            "looked_after_by": .list(self.lookedAfterBy.map { .string($0) }),
        ]
    }
}

extension ClusterStatus.Member {
    fileprivate func document(at now: Instant) -> JSONDocument {
        let opinions = self.opinions.map { opinion -> JSONDocument in
            [
                "of": .string(opinion.of.name), "of_group": .number(opinion.of.group),
                "patroni": .string(opinion.patroni.rawValue), "postgres": .string(opinion.postgres.rawValue),
            ]
        }
        return [
            "member": .string(self.id.name), "role": .string(self.role.rawValue),
            "endpoint": .text(self.endpoint?.description), "is_running": .bool(self.isRunning),
            "may_lead": .bool(self.mayLead),
            "is_synchronous": self.isSynchronous.map { .bool($0) } ?? .null,
            "verdict": .string(self.verdict.rawValue), "reason": .string(self.reason),
            "for_seconds": .seconds(self.since.map { max(.zero, now - $0) }), "lag_bytes": .number(self.lag),
            "is_probed": .bool(self.isProbed), "is_suppressed": .bool(self.isSuppressed),
            "has_daemon": .bool(self.hasDaemon), "version": .text(self.version),
            "opinions": .list(opinions),
        ]
    }
}
