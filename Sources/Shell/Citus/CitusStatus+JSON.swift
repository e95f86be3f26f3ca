// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON

extension CitusStatus {
    /// The object `citus` of the status.
    func document(at now: Instant) -> JSONDocument {
        let groups = self.groups.map { group -> JSONDocument in
            [
                "group": .number(group.number), "leader": .text(group.leader),
                "endpoint": .text(group.endpoint?.description), "is_switching_over": .bool(group.isSwitchingOver),
            ]
        }
        return [
            "mode": .string(self.mode.rawValue), "is_writer": .bool(self.isWriter),
            "groups_read_seconds_ago": .seconds(self.readAt.map { max(.zero, now - $0) }), "groups": .list(groups),
            "databases": .list(self.databases.map(\.document)),
            "rival_coordinators": .list(self.rivals.map { "\($0)" }),
            "verification": self.verification?.document(at: now) ?? .null,
        ]
    }
}

extension ClusterVerification {
    fileprivate func document(at now: Instant) -> JSONDocument {
        [
            "seconds_ago": .number(Int(max(.zero, now - self.at) / .seconds(1))), "failure": .text(self.failure),
            "databases": .list(self.databases.map(\.document)),
        ]
    }
}

extension DatabaseVerification {
    fileprivate var document: JSONDocument {
        func count(_ severity: Finding.Severity) -> JSONDocument {
            .number(self.findings.count { $0.severity == severity })
        }
        let codes = Set(self.findings.filter { $0.severity > .note }.map(\.code.rawValue)).sorted()
        let unseen = self.findings.filter { $0.code.isOfTheUnseen && $0.severity > .note }.prefix(
            VerificationWatch.toldLimit)
        return [
            "database": .string(self.database), "critical": count(.critical), "warnings": count(.warning),
            "notes": count(.note), "codes": .list(codes.map { .string($0) }),
            "not_looked_at": .list(unseen.map { .string($0.evidence) }),
        ]
    }
}

extension CitusStatus.Database {
    fileprivate var document: JSONDocument {
        let refusals = self.refusals.sorted { $0.key < $1.key }.map { group, reason -> JSONDocument in
            ["group": .number(group), "reason": .string(Wording.text(reason, group: group))]
        }
        return [
            "database": .string(self.name), "unreadable": .text(self.unreadable), "rows": .number(self.rowCount),
            "drifting_groups": .list(self.drifts.map { .number($0) }), "needs_operator": .list(refusals),
            "held_group": .number(self.heldGroup),
            "unsynchronized_groups": .list(self.unsynchronizedGroups.map { .number($0) }),
            "citus_version": .text(self.versions?.citus), "postgres_version": .text(self.versions?.postgres),
        ]
    }
}
