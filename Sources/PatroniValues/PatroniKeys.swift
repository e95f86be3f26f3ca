// SPDX-License-Identifier: Apache-2.0

/// Where Patroni keeps its values in etcd: `/<namespace>/<scope>/…`, in Citus mode `/<namespace>/<scope>/<group>/…`.
public struct PatroniKeys: Sendable, Hashable {
    /// What a key holds. Keys that Patroni does not document, or that only Patroni uses, are `other`.
    public enum Kind: Sendable, Hashable {
        case leader, config, status, sync, failsafe, history, failover, initialize
        case member(String)
        case other
    }

    /// What every key of the cluster (of the group, if one is given) begins with; ends with a slash.
    public let prefix: String

    /// `namespace` with or without slashes around it; `group` is nil outside Citus mode.
    public init(namespace: String = "/service/", scope: String, group: Int? = nil) {
        let namespace = namespace.split(separator: "/").joined(separator: "/")
        let parts = [namespace, scope, group.map(String.init) ?? ""].filter { !$0.isEmpty }
        self.prefix = "/" + parts.joined(separator: "/") + "/"
    }

    public var leader: String { self.prefix + "leader" }
    public var members: String { self.prefix + "members/" }
    public var config: String { self.prefix + "config" }
    public var status: String { self.prefix + "status" }
    public var sync: String { self.prefix + "sync" }
    public var failsafe: String { self.prefix + "failsafe" }
    public var history: String { self.prefix + "history" }
    public var failover: String { self.prefix + "failover" }
    public var initialize: String { self.prefix + "initialize" }

    public func member(_ name: String) -> String { self.members + name }

    /// What `key` holds; nil if it does not belong to this cluster.
    public func kind(of key: String) -> Kind? {
        guard key.hasPrefix(self.prefix) else { return nil }
        return Self.kind(of: key.dropFirst(self.prefix.count))
    }

    /// In Citus mode, for the keys of a whole cluster (this value made without a group): which group `key` belongs to,
    /// and what it holds there.
    public func groupAndKind(of key: String) -> (group: Int, kind: Kind)? {
        guard key.hasPrefix(self.prefix) else { return nil }
        let parts = key.dropFirst(self.prefix.count).split(
            separator: "/",
            maxSplits: 1,
            omittingEmptySubsequences: false
        )
        guard parts.count == 2, parts[0].utf8.allSatisfy({ (48...57).contains($0) }), let group = Int(parts[0])
        else { return nil }
        return (group, Self.kind(of: parts[1]))
    }

    private static func kind(of name: Substring) -> Kind {
        switch name {
        case "leader": return .leader
        case "config": return .config
        case "status": return .status
        case "sync": return .sync
        case "failsafe": return .failsafe
        case "history": return .history
        case "failover": return .failover
        case "initialize": return .initialize
        default:  // names are text: any other is possible
            let member = name.hasPrefix("members/") ? name.dropFirst("members/".count) : ""
            return member.isEmpty || member.contains("/") ? .other : .member(String(member))
        }
    }
}
