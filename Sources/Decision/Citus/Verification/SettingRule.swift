// SPDX-License-Identifier: Apache-2.0

/// What one server says of the settings that a failover depends on.
public struct ServerSettings: Hashable, Sendable {
    /// By name, with the unit (`30000ms`). What does not exist is absent.
    public var values: [String: String]
    /// Those that the role may not see.
    public var hidden: [String]
    /// Nil where it could not be looked at.
    public var room: ServerRoom?
    /// Why something, or all of it, could not be looked at; nil if it could.
    public var problem: String?

    public init(
        values: [String: String] = [:], hidden: [String] = [], room: ServerRoom? = nil, problem: String? = nil
    ) {
        (self.values, self.hidden, self.room, self.problem) = (values, hidden, room, problem)
    }
}

/// What a server has left for a failover.
public struct ServerRoom: Hashable, Sendable {
    /// `max_worker_processes`, and how many of these run.
    public var workers: Int
    public var workersInUse: Int
    /// Nil where it concerns nobody: before PostgreSQL 16, and for a superuser.
    public var reserve: Reserve?
    /// Whether the role is one.
    public var isSuperuser = false

    /// Connections that others cannot use up.
    public struct Reserve: Hashable, Sendable {
        /// `reserved_connections`.
        public var connections: Int
        /// Whether the role is a member of `pg_use_reserved_connections`.
        public var isMember: Bool

        public init(connections: Int, isMember: Bool) { (self.connections, self.isMember) = (connections, isMember) }
    }

    public init(workers: Int, workersInUse: Int, reserve: Reserve? = nil) {
        (self.workers, self.workersInUse, self.reserve) = (workers, workersInUse, reserve)
    }
}

/// Something under which a failover hangs or fails. One table for `pharos verify`, which looks at every node, and for the daemon, which
/// looks at its own when it becomes the writer.
public enum SettingRule: String, Hashable, Sendable, CaseIterable {
    case nodeConninfo = "citus.node_conninfo"
    case connectionTimeout = "citus.node_connection_timeout"
    case checkInterval = "client_connection_check_interval"
    case workers = "max_worker_processes"
    case reserve = "reserved_connections"
    case clientLimit = "citus.max_client_connections"

    /// Whether it matters on the coordinator alone.
    var isOfCoordinator: Bool {
        switch self {
        case .nodeConninfo, .connectionTimeout, .checkInterval: false
        case .workers, .reserve, .clientLimit: true
        }
    }

    /// The settings that are read for it by their names; the others are of ``ServerRoom``.
    public static let names = [nodeConninfo, connectionTimeout, checkInterval, clientLimit].map(\.rawValue)

    /// For the longest that connecting to a dead node should take.
    static let longestConnecting = 3000

    /// What is wrong by it; nil where nothing is, or nothing was seen of it.
    func problem(_ seen: ServerSettings, _ names: AdviceNames) -> SettingProblem? {
        switch self {
        case .nodeConninfo:
            guard let value = seen.values[self.rawValue],
                ["tcp_user_timeout", "keepalives_idle"].contains(where: { !value.contains($0) })
            else { return nil }
            return self.problem(
                names,
                "citus.node_conninfo lacks tcp_user_timeout or keepalives_idle: a query to a node whose power is gone hangs for minutes, and so does whatever waits for its locks (135 s measured)",
                set: Self.withTimeouts(value))
        case .connectionTimeout:
            guard let value = seen.values[self.rawValue], milliseconds(value) ?? 0 > Self.longestConnecting else {
                return nil
            }
            return self.problem(
                names,
                "citus.node_connection_timeout is \(value): connecting to a dead node takes as long, and Citus keeps pg_dist_node locked meanwhile",
                set: "3s")
        case .checkInterval:
            guard let value = seen.values[self.rawValue], milliseconds(value) == 0 else { return nil }
            return self.problem(
                names,
                "client_connection_check_interval is 0: a call that was abandoned goes on, and commits later. Pharos sets it for its own",
                .note, set: "1s")
        case .workers:
            guard let room = seen.room, room.workers - room.workersInUse < 2 else { return nil }
            return self.problem(
                names,
                "max_worker_processes is \(room.workers), and \(room.workersInUse) run: without a free one Citus can neither terminate sessions in a failover's way nor bring pg_dist_node to the workers",
                set: "\(max(16, 2 * min(room.workers, 1 << 16)))", restarts: true)
        case .reserve:
            guard let reserve = seen.room?.reserve, reserve.connections == 0 || !reserve.isMember else { return nil }
            return self.problem(
                names,
                "no connection is reserved for Pharos (reserved_connections is \(reserve.connections), and its role is \(reserve.isMember ? "" : "not ")a member of pg_use_reserved_connections): the sessions that pile up in a failover may use all of them",
                set: reserve.connections == 0 ? "3" : nil, restarts: true, grants: !reserve.isMember)
        case .clientLimit:
            guard let value = seen.values[self.rawValue].flatMap({ Int($0) }), value >= 0,
                seen.room?.isSuperuser != true
            else { return nil }
            return self.problem(
                names,
                "citus.max_client_connections is \(value): sessions that pile up in a failover use these up, and then Pharos is not let in. Reserved connections do not count: Citus lets in nobody but superusers beyond it",
                set: "-1")
        }
    }

    /// What it is set to, and what it lacks. A password has no place in it, and none in what is told.
    private static func withTimeouts(_ value: String) -> String {
        let wanted = ["tcp_user_timeout=3000", "keepalives_idle=2", "keepalives_interval=1", "keepalives_count=3"]
        let lacking = wanted.filter { option in !value.contains(option.prefix { $0 != "=" }) }
        let isOpen = !value.lowercased().contains("password")
        return ([isOpen ? value : "…"] + lacking).filter { !$0.isEmpty }.joined(separator: " ")
    }

    private func problem(
        _ names: AdviceNames, _ text: String, _ severity: Finding.Severity = .warning, set value: String?,
        restarts: Bool = false, grants: Bool = false
    ) -> SettingProblem {
        var commands: [String] = []
        if let value {
            commands.append(names.edit(self.rawValue, value))
            if restarts { commands += names.restart }
        }
        if grants { commands.append(names.grants()) }
        return SettingProblem(rule: self, severity: severity, text: text, commands: commands)
    }
}

/// What is wrong with a setting, or why it could not be looked at.
public struct SettingProblem: Hashable, Sendable {
    /// Nil where nothing at all could be looked at.
    public let rule: SettingRule?
    public let severity: Finding.Severity
    /// What is, and what follows.
    public let text: String
    /// What to type.
    public internal(set) var commands: [String]

    public init(rule: SettingRule?, severity: Finding.Severity = .warning, text: String, commands: [String] = []) {
        (self.rule, self.severity, self.text, self.commands) = (rule, severity, text, commands)
    }
}

/// All that is wrong with the coordinator's settings, and what could not be looked at.
public func settingProblems(_ seen: ServerSettings, _ names: AdviceNames) -> [SettingProblem] {
    var problems = SettingRule.allCases.compactMap { $0.problem(seen, names) }
    for rule in SettingRule.allCases where seen.hidden.contains(rule.rawValue) {
        problems.append(
            SettingProblem(
                rule: rule,
                text: "\(rule.rawValue) could not be looked at: it is shown only to members of pg_read_all_settings",
                commands: [names.grants()]))
    }
    if let problem = seen.problem {
        problems.append(SettingProblem(rule: nil, text: "not all of them could be looked at: \(problem)"))
    }
    return problems
}
