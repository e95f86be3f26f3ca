// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import Journal
import LenientJSON
import NetworkAddress
import Settings

extension Shell {
    /// The whole status as one JSON object, as `pharos status --json` prints it.
    func statusJSON() -> String {
        let now = Instant.now
        let view = self.core.believedSnapshot
        let document = JSONDocument.members(
            .init("scope", .string(self.settings.scope)), .init("member", .string(self.settings.member)),
            .init("node", .string(self.node)), .init("version", .string(Version.text)),
            .init("uptime_seconds", .seconds(now - self.startedAt)),
            .init("has_contact", .bool(self.core.hasContact)),
            .init("unanswered", .list(self.core.unanswered.map { $0.document(at: now) })),
            .init("leader", .text(view?.leader)), .init("is_leader", .bool(view?.leader == self.settings.member)),
            .init(
                "etcd",
                [
                    "endpoint": .string(self.etcdEndpoint), "endpoints": .list(self.etcdEndpoints.map(\.document)),
                    "cluster_id": .text(view.map { "\($0.clusterID)" }),
                    "revision": .integer(view?.revision ?? 0), "is_quarantined": .bool(view?.isQuarantined ?? false),
                    "is_watching": .bool(self.isWatching), "watch_interruption": .text(self.watchInterruption),
                ]),
            .init("paused", .bool(view?.patroni?.isPaused ?? false)),
            .init("failsafe_mode", .bool(view?.patroni?.isFailsafeEnabled ?? false)),
            .init("postgres", .text(self.core.postgres.map { Wording.code($0) })),
            .init("listing_failure", .text(self.core.listingFailure)),
            .init("addresses", .list(self.core.addressStatuses.map { self.document($0, at: now) })),
            .init(
                "readiness",
                [
                    "group": .number(self.settings.memberID.group),
                    "failures": self.audit.readiness(of: self.settings.memberID.group, at: now),
                ]), .init("audit", self.audit.document(at: now)),
            self.core.citusStatus.map { .init("citus", $0.document(at: now)) },
            self.core.detectorStatus.map { .init("detector", $0.document(at: now)) },
            .init("records", self.recordCounts), .init("loop", self.loopDocument),
            .init("stale_names", .list(self.staleNames(at: now))),
            .init(
                "events",
                .list(
                    self.history.entries.suffix(RecentRecords.statusLimit).map { entry in
                        [
                            "time": .integer(entry.seconds), "priority": .number(entry.priority.rawValue),
                            "message": .string(entry.message),
                        ]
                    })))
        return self.outward(document.readable(lines: 2) + "\n")
    }

    private func document(_ status: AddressStatus, at now: Instant) -> JSONDocument {
        [
            "address": .string(status.id), "interface": .string(status.interface),
            "interface_state": .string(Wording.code(status.interfaceState)),
            "prefix_length": .number(status.prefixLength),
            "label": .text(self.settings.addresses.first { $0.prefix.address.description == status.id }?.label),
            "is_here": .bool(status.isHere), "holder": .text(status.holder),
            "stance": .string(Wording.code(status.stance)),
            "reason": .text(status.stance.reason.map { Wording.code($0) }),
            "explanation": .string(Wording.explanation(status)),
            "lease": .text(status.lease.map { String($0, radix: 16) }),
            "lifetime_seconds": .seconds(status.until.map { max(.zero, $0 - now) }),
            "port": status.port?.document(at: now) ?? .null,
        ]
    }

    /// Of those kinds of which there was one.
    private var recordCounts: JSONDocument {
        let counts = self.history.counts.map { JSONDocument.Member("\($0.key)", .number($0.value)) }
        return .object(counts.sorted { $0.name < $1.name })
    }

    private var loopDocument: JSONDocument {
        let (figures, now) = (EventLoop.figures, BootClock.microseconds)
        return [
            "last_10_minutes": self.document(figures.longestLately(at: now), at: now),
            "since_start": self.document(figures.longest, at: now),
        ]
    }

    private func document(_ turn: LoopFigures.Turn?, at now: Int64) -> JSONDocument {
        [
            "longest_turn_microseconds": .integer(turn?.duration ?? 0),
            "of_these_on_processor": .integer(turn?.onProcessor ?? 0),
            "seconds_ago": .number(turn.map { (now - $0.endedAt) / 1_000_000 }),
        ]
    }

    private static let staleNameLimit = 20

    private func staleNames(at now: Instant) -> [JSONDocument] {
        var names: [String: HostResolver.StaleName] = [:]
        for name in self.resolvers.flatMap(\.staleNames) { names[name.name] = name }
        let oldest = names.values.sorted { ($0.at, $0.name) < ($1.at, $1.name) }.prefix(Self.staleNameLimit)
        return oldest.map { name in
            [
                "name": .string(name.name), "addresses": .list(name.addresses.map { .string($0) }),
                "age_seconds": .seconds(now - name.at), "reason": .string(name.reason),
            ]
        }
    }
}

extension EtcdClient.EndpointState {
    fileprivate var document: JSONDocument {
        [
            "url": .string(self.url), "source": .string(self.isConfigured ? "configuration" : "etcd"),
            "is_in_use": .bool(self.isInUse), "has_failed": .bool(self.hasFailed),
            "cluster_id": .text(self.cluster.map { "\($0)" }), "is_foreign": .bool(self.isForeign),
        ]
    }
}

extension Unanswered {
    fileprivate func document(at now: Instant) -> JSONDocument {
        [
            "request": .string(Wording.text(self.asked).what), "seconds": .seconds(max(.zero, now - self.since)),
        ]
    }
}

extension JSONDocument {
    /// Whole seconds; nil: null.
    static func seconds(_ span: Duration?) -> JSONDocument { .number(span?.components.seconds) }
}
