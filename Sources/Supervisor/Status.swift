// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import LenientJSON
import NetworkAddress
import Settings

extension SupervisorCore {
    /// Whether everything that is needed for a decision is in reach, and what is asked for comes back.
    var isHealthy: Bool { self.hasContact && self.unanswered.isEmpty }

    /// One line for `systemctl status`.
    func summary(of settings: Settings) -> String {
        var parts: [String] = []
        if self.hasContact, let view = self.believedSnapshot {
            parts.append(view.leader == settings.member ? "leader" : "leader is \(Wording.text(view.leader))")
            if view.patroni?.isPaused == true { parts.append("maintenance mode") }
        } else {
            parts.append("no contact with etcd")
        }
        for status in self.addressStatuses {
            parts.append("\(status.id) \(status.isHere ? "is here" : Wording.text(status.stance))")
        }
        return parts.joined(separator: "; ")
    }
}

extension Supervisor {
    /// The whole status as one JSON object, as `pharos status --json` prints it.
    func statusJSON() -> String {
        let view = self.core.believedSnapshot
        var fields: [String] = [
            Self.field("scope", self.settings.scope), Self.field("member", self.settings.member),
            Self.field("node", self.node),
            "\"uptime_seconds\": \((Instant.now - self.startedAt).components.seconds)",
            "\"has_contact\": \(self.core.hasContact)",
            "\"unanswered\": [\(self.core.unanswered.map { Self.json($0, at: .now) }.joined(separator: ", "))]",
            "\"leader\": \(Self.value(view?.leader))",
            "\"is_leader\": \(view?.leader == self.settings.member)",
            "\"etcd\": {\"endpoint\": \(JSON.quoted(self.etcdEndpoint)), \"cluster_id\": \(Self.value(view.map { "\($0.clusterID)" })), \"revision\": \(view?.revision ?? 0), \"is_quarantined\": \(view?.isQuarantined ?? false), \"is_watching\": \(self.isWatching), \"watch_interruption\": \(Self.value(self.watchInterruption))}",
            "\"paused\": \(view?.patroni?.isPaused ?? false)",
            "\"failsafe_mode\": \(view?.patroni?.isFailsafeEnabled ?? false)",
            "\"postgres\": \(Self.value(self.core.postgres.map { Wording.code($0) }))",
        ]
        let addresses = self.core.addressStatuses.map { status in
            let label = self.settings.addresses.first { $0.prefix.address.description == status.id }?.label
            return "{"
                + [
                    Self.field("address", status.id), Self.field("interface", status.interface),
                    "\"prefix_length\": \(status.prefixLength)", "\"label\": \(Self.value(label))",
                    "\"is_here\": \(status.isHere)", "\"holder\": \(Self.value(status.holder))",
                    Self.field("stance", Wording.code(status.stance)),
                    "\"reason\": \(Self.value(status.stance.reason.map { Wording.code($0) }))",
                    Self.field("explanation", Wording.text(status.stance)),
                    "\"lease\": \(Self.value(status.lease.map { String($0, radix: 16) }))",
                    "\"lifetime_seconds\": \(status.until.map { "\(max(0, ($0 - .now).components.seconds))" } ?? "null")",
                ].joined(separator: ", ") + "}"
        }
        fields.append("\"addresses\": [\(addresses.joined(separator: ",\n    "))]")
        if let citus = self.core.citusStatus { fields.append("\"citus\": \(Self.json(citus))") }
        if let detector = self.core.detectorStatus { fields.append("\"detector\": \(detector.json(at: .now))") }
        let turn = EventLoop.figures.longest
        fields.append(
            "\"loop\": {\"longest_turn_microseconds\": \(turn?.duration ?? 0), \"of_these_on_processor\": \(turn?.onProcessor ?? 0), \"seconds_ago\": \(turn.map { "\((BootClock.microseconds - $0.endedAt) / 1_000_000)" } ?? "null")}"
        )
        fields.append("\"stale_names\": [\(self.staleNames.joined(separator: ", "))]")
        let events = self.history.entries.map { entry in
            "{\"time\": \(entry.seconds), \"priority\": \(entry.priority.rawValue), \"message\": \(JSON.quoted(entry.message))}"
        }
        fields.append("\"events\": [\(events.joined(separator: ",\n    "))]")
        return self.redacted("{" + fields.joined(separator: ",\n  ") + "}\n")
    }

    /// At most 20.
    private var staleNames: [String] {
        var names: [String: HostResolver.StaleName] = [:]
        for name in self.resolvers.flatMap(\.staleNames) { names[name.name] = name }
        return names.values.sorted { ($0.at, $0.name) < ($1.at, $1.name) }.prefix(20).map { name in
            "{\(Self.field("name", name.name)), \"addresses\": [\(name.addresses.map { JSON.quoted($0) }.joined(separator: ", "))], \"age_seconds\": \((Instant.now - name.at).components.seconds), \(Self.field("reason", name.reason))}"
        }
    }

    private static func json(_ unanswered: Unanswered, at now: Instant) -> String {
        let seconds = max(0, (now - unanswered.since).components.seconds)
        return "{\(Self.field("request", Wording.text(unanswered.asked).what)), \"seconds\": \(seconds)}"
    }

    private static func json(_ citus: CitusStatus) -> String {
        let groups = citus.groups.map { group in
            "{\"group\": \(group.number), \"leader\": \(Self.value(group.leader)), \"endpoint\": \(Self.value(group.endpoint?.description)), \"is_switching_over\": \(group.isSwitchingOver)}"
        }
        let databases = citus.databases.map { database in
            let refusals = database.refusals.sorted { $0.key < $1.key }.map {
                "{\"group\": \($0.key), \(Self.field("reason", Wording.text($0.value, group: $0.key)))}"
            }
            return "{"
                + [
                    Self.field("database", database.name), "\"unreadable\": \(Self.value(database.unreadable))",
                    "\"rows\": \(database.rowCount.map { "\($0)" } ?? "null")",
                    "\"drifting_groups\": \(database.drifts)",
                    "\"needs_operator\": [\(refusals.joined(separator: ", "))]",
                    "\"held_group\": \(database.heldGroup.map { "\($0)" } ?? "null")",
                    "\"unsynchronized_groups\": \(database.unsynchronizedGroups)",
                ].joined(separator: ", ") + "}"
        }
        let rivals = citus.rivals.map { JSON.quoted("\($0)") }
        return "{"
            + [
                Self.field("mode", citus.mode.rawValue), "\"is_writer\": \(citus.isWriter)",
                "\"groups_read_seconds_ago\": \(citus.readAt.map { "\(max(0, (Instant.now - $0).components.seconds))" } ?? "null")",
                "\"groups\": [\(groups.joined(separator: ", "))]",
                "\"databases\": [\(databases.joined(separator: ", "))]",
                "\"rival_coordinators\": [\(rivals.joined(separator: ", "))]",
            ].joined(separator: ",\n    ") + "}"
    }

    private static func field(_ name: String, _ value: String) -> String { "\"\(name)\": \(JSON.quoted(value))" }
    private static func value(_ text: String?) -> String { text.map { JSON.quoted($0) } ?? "null" }
}
