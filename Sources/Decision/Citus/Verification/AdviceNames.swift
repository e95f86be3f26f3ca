// SPDX-License-Identifier: Apache-2.0

/// What `patronictl` is to be told of a group, so that it finds its cluster.
public enum PatroniLayout: Hashable, Sendable {
    /// Patroni's Citus mode: one scope, and a number for each group.
    case oneScope(String)
    /// Each group is a scope of its own.
    case scopes([Int: String])

    /// After `patronictl restart`: `app --group 1`, or `app-w1`; nil where the group is not known.
    func name(of group: Int) -> String? {
        switch self {
        case .oneScope(let scope): "\(shellWord(scope)) --group \(group)"
        case .scopes(let scopes): scopes[group].map { shellWord($0) }
        }
    }
}

/// The names in what an operator is to type.
public struct AdviceNames: Hashable, Sendable {
    public var database: String
    /// What patronictl calls the group's cluster; nil where that is not known.
    public var cluster: String?

    public init(database: String, cluster: String?) { (self.database, self.cluster) = (database, cluster) }

    init(_ settings: CitusSettings, _ database: String, of group: Int) {
        self.init(database: database, cluster: settings.layout.name(of: group))
    }

    init(_ facts: ClusterFacts, of group: Int) { self.init(facts.settings, facts.database, of: group) }

    /// Gives Pharos's role its rights, in the database.
    func grants(_ option: String? = nil) -> String {
        "pharos grant-sql\(option.map { " " + $0 } ?? "") | runuser -u postgres -- psql -d \(shellWord(self.database))"
    }

    func edit(_ setting: String, _ value: String) -> String {
        "patronictl edit-config\(self.cluster.map { " " + $0 } ?? "") --pg \(shellQuoted("\(setting)=\(value)"))"
    }

    /// The standbys first: where the primary is restarted first, they refuse settings that are lower than its own. None where it is not
    /// known what the cluster is called.
    var restart: [String] {
        self.cluster.map { ["patronictl restart \($0) --role replica; patronictl restart \($0)"] } ?? []
    }
}

/// A text as one word for a shell, quoted where it must be.
func shellWord(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false  // Any other byte.
        }
    }
    return isPlain && !text.isEmpty ? text : shellQuoted(text)
}

/// A text in single quotes.
func shellQuoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}
