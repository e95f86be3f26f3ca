// SPDX-License-Identifier: Apache-2.0

/// A Citus cluster in the lab: group 0, the coordinator's (n1, n2), and group 1, a worker's (n3, n4). n5 is a witness that
/// runs etcd alone, so that two nodes may fail at once. With three workers there are group 2 (n6, n7) and group 3 (n8) too.
public struct LabCitus: Codable, Sendable, Equatable {
    /// How Patroni sees the groups.
    public enum Layout: String, Codable, Sendable, CaseIterable {
        /// Patroni's Citus mode: one scope, and a group number per node. Patroni writes pg_dist_node too.
        case mode = "citus-mode"
        /// Each group is a Patroni scope of its own; Patroni knows nothing of Citus.
        case scopes
    }
    public var layout: Layout
    /// How many groups of workers there are: 1 or 3.
    public var workers = 1
    /// The folder of the scripts that make a stand-in for the extension, or give the real one the stand-in's names.
    public var scripts = "Tests/CitusStandIn"
    /// Lines of pharos.yml's section `citus`, beside databases, groups and node_conninfo.
    public var settings: [String] = []

    public init(_ layout: Layout, workers: Int = 1) {
        self.layout = layout
        self.workers = workers
    }

    /// Both have the extension and the table `items`, whose shards are all in group 1. Patroni's Citus mode knows of the
    /// first alone.
    public static let databases = ["app", "reports"]

    /// The lines of pharos.yml, on every node of every group.
    var configuration: String {
        var lines = ["databases: [\(Self.databases.joined(separator: ", "))]", "node_conninfo: \"user=pharos\""]
        if self.layout == .scopes {
            let scopes = LabGroup.all(self).map { "\($0.number): \($0.scope)" }
            lines.append("groups: { \(scopes.joined(separator: ", ")) }")
        }
        return "citus:\n" + (lines + self.settings).map { "  \($0)\n" }.joined()
    }
}

/// The nodes of one Patroni cluster of the lab.
public struct LabGroup: Sendable, Equatable {
    /// Citus's number; 0 without Citus.
    public let number: Int
    public let nodes: [String]
    /// Patroni's name for the cluster.
    public let scope: String
    /// Patroni's leader key in etcd.
    let leaderKey: String

    static func all(_ citus: LabCitus) -> [LabGroup] {
        let nodes = [["n1", "n2"], ["n3", "n4"], ["n6", "n7"], ["n8"]]
        return nodes.prefix(citus.workers + 1).enumerated().map { number, nodes in
            switch citus.layout {
            case .mode:
                LabGroup(number: number, nodes: nodes, scope: "demo", leaderKey: "/service/demo/\(number)/leader")
            case .scopes:
                self.ofScope(number == 0 ? "demo" : "demo-w\(number)", number, nodes)
            }
        }
    }

    private static func ofScope(_ scope: String, _ number: Int, _ nodes: [String]) -> LabGroup {
        LabGroup(number: number, nodes: nodes, scope: scope, leaderKey: "/service/\(scope)/leader")
    }
}
