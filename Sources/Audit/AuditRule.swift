// SPDX-License-Identifier: Apache-2.0

/// How grave a finding is.
public enum AuditGrade: String, Sendable, Comparable, CaseIterable {
    /// Good to know.
    case note
    /// It could not be looked at.
    case unlooked
    /// A failure would hurt more, or take longer.
    case amber
    /// A single failure would not be survived, or data or clients are at risk.
    case red

    private var rank: Int {
        switch self {
        case .note: 0
        case .unlooked: 1
        case .amber: 2
        case .red: 3
        }
    }

    public static func < (a: AuditGrade, b: AuditGrade) -> Bool { a.rank < b.rank }
}

/// What to type, and where.
public struct AuditStep: Hashable, Sendable {
    /// A member's name, `any node`, `each node`, or a group's node in words.
    public let place: String
    public let command: String

    init(_ place: String, _ command: String) {
        self.place = place
        self.command = command
    }

    /// With what `patronictl` has to be told on these nodes: its file, and the group in Patroni's Citus mode.
    func completed(_ facts: AuditFacts) -> AuditStep {
        var parts = self.command.split(separator: "patronictl ", omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 1 else { return self }
        let file = facts.patroniConfig.map { "-c \($0) " } ?? ""
        let group = facts.group.map { " --group \($0)" } ?? ""
        for index in parts.indices.dropFirst() {
            let word = parts[index].prefix { $0 != " " && $0 != ";" && $0 != "," }
            parts[index] = "\(file)\(word)\(group)\(parts[index].dropFirst(word.count))"
        }
        return AuditStep(self.place, parts.joined(separator: "patronictl "))
    }

    /// A change of Patroni's dynamic configuration.
    static func set(_ assignment: String) -> AuditStep {
        AuditStep("any node", "patronictl edit-config --set '\(assignment)'")
    }

    /// A change of a setting of PostgreSQL's, through Patroni.
    static func postgres(_ assignment: String) -> AuditStep {
        AuditStep("any node", "patronictl edit-config --pg '\(assignment)'")
    }

    /// Restarts what waits for it, standbys first.
    static func restart(_ scope: String) -> AuditStep {
        AuditStep(
            "any node",
            "patronictl restart \(scope) --pending --role replica; patronictl restart \(scope) --pending")
    }
}

/// Something that a rule has found, or could not look at.
public struct AuditFinding: Hashable, Sendable {
    /// The rule's: stable, for scripts and for accepting it.
    public let code: String
    public let grade: AuditGrade
    /// What is, with the node where it is so.
    public let what: String
    public let should: String
    public let why: String
    public let steps: [AuditStep]
    /// Documentation, by name.
    public let source: String
}

/// What a rule says of some facts.
struct Judgement {
    struct Found {
        let grade: AuditGrade?
        let what: String
        let should: String
        let steps: [AuditStep]
    }

    private(set) var found: [Found] = []
    private(set) var unseen: [String] = []

    /// `grade`: where it is not the rule's usual one.
    mutating func find(_ what: String, should: String, _ steps: AuditStep..., as grade: AuditGrade? = nil) {
        self.found.append(Found(grade: grade, what: what, should: should, steps: steps))
    }

    /// A part could not be looked at.
    mutating func unseen(_ why: String) {
        if !self.unseen.contains(why) { self.unseen.append(why) }
    }

    /// Does what may fail for one part only, such as one member.
    mutating func part(_ name: String, _ body: (inout Judgement) throws(Unlooked) -> Void) {
        do throws(Unlooked) { try body(&self) } catch { self.unseen("\(name): \(error.why)") }
    }
}

extension Judgement {
    /// Does what may fail for one member only with each server that answered; what did not is noted as unseen. `except`: a member that is left out.
    mutating func eachServer(
        of facts: AuditFacts, except: String? = nil,
        _ body: (String, AuditFacts.Server, inout Judgement) throws(Unlooked) -> Void
    ) throws(Unlooked) {
        for (name, server) in try facts.knownServers(&self) where name != except {
            self.part(name) { say throws(Unlooked) in try body(name, server, &say) }
        }
    }

    /// The same where Citus is followed; nothing where it is not.
    mutating func eachCitusServer(
        of facts: AuditFacts, _ body: (String, AuditFacts.Server, inout Judgement) throws(Unlooked) -> Void
    ) throws(Unlooked) {
        if facts.citus != nil { try self.eachServer(of: facts, body) }
    }
}

/// One thing that makes a failover unsafe, slow or impossible: facts in, findings out.
public struct AuditRule: Sendable {
    public enum Area: String, Sendable, CaseIterable {
        case time = "Time settings of Patroni"
        case candidates = "Who may take over"
        case comeback = "Return of the old primary"
        case postgres = "PostgreSQL"
        case patroni = "Patroni and its unit"
        case etcd = "etcd"
        case citus = "Citus"
        case node = "Kernel, systemd, Pharos"
        case headroom = "Headroom"
    }

    public let code: String
    public let area: Area
    /// What its findings usually have.
    public let grade: AuditGrade
    /// What it looks for, in one line.
    public let looksFor: String
    public let why: String
    public let source: String
    private let judge: @Sendable (AuditFacts, inout Judgement) throws(Unlooked) -> Void

    init(
        _ code: String, _ area: Area, _ grade: AuditGrade, _ looksFor: String, why: String, source: String,
        _ judge: @escaping @Sendable (AuditFacts, inout Judgement) throws(Unlooked) -> Void
    ) {
        self.code = code
        self.area = area
        self.grade = grade
        self.looksFor = looksFor
        self.why = why
        self.source = source
        self.judge = judge
    }

    /// What it finds in `facts`. What could not be looked at is a finding too.
    public func findings(in facts: AuditFacts) -> [AuditFinding] {
        var judgement = Judgement()
        do throws(Unlooked) { try self.judge(facts, &judgement) } catch { judgement.unseen(error.why) }
        var findings = judgement.found.map { found in
            AuditFinding(
                code: self.code, grade: found.grade ?? self.grade, what: found.what, should: found.should,
                why: self.why,
                steps: found.steps.map { $0.completed(facts) }, source: self.source)
        }
        for why in judgement.unseen {
            findings.append(
                AuditFinding(
                    code: self.code, grade: .unlooked, what: why, should: self.looksFor, why: self.why, steps: [],
                    source: self.source))
        }
        return findings
    }

    /// Every rule, in the order of its area.
    public static let all: [AuditRule] =
        [time, candidates, comeback, postgres, patroni, etcd, citus, node, headroom].flatMap(\.self)

    /// The names of documents that the rules are from.
    enum Source {
        static let dynamic = "Patroni documentation, Dynamic Configuration Settings"
        static let patroniFile = "Patroni documentation, YAML Configuration Settings"
        static let replication = "Patroni documentation, Replication modes"
        static let failsafe = "Patroni documentation, DCS Failsafe Mode"
        static let watchdog = "Patroni documentation, Watchdog support"
        static let rest = "Patroni documentation, Patroni REST API"
        static let pause = "Patroni documentation, Pause/Resume mode for the cluster"
        static let postgres = "PostgreSQL documentation, Server Configuration"
        static let rewind = "PostgreSQL documentation, pg_rewind"
        static let slots = "PostgreSQL documentation, Replication (max_slot_wal_keep_size)"
        static let etcd = "etcd documentation, Operations guide"
        static let citus = "Citus documentation, Configuration Reference"
        static let debian = "Debian package patroni, README.Debian"
        static let pharos = "docs/operations.md"
        static let kernel = "Linux kernel documentation, ip-sysctl"
    }
}
