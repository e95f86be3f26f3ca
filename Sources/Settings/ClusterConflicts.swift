// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// What two daemons of one host must not share, each with a configuration of its own in `/etc/pharos`.
public struct ClusterConflicts: Sendable {
    /// Other configurations that are looked at.
    private static let limit = 64

    /// What keeps this configuration from being used beside another one that is.
    public private(set) var errors: [String] = []
    /// The same beside one that is not in use, and what could not be compared.
    public private(set) var warnings: [String] = []

    /// Compares `settings`, read from `path`, with all others of this host; with none, if `path` is no place for a service's.
    ///
    /// - Parameter isTrial: it was named by its path, as a copy is that shall replace another file. Then nothing keeps it from being
    ///   used while its own unit is not.
    public init(
        _ settings: Settings, path: String, isTrial: Bool = false, environment: SettingsEnvironment = .system
    ) {
        let own = DaemonInstance(configuration: path)
        guard own.configuration == path else { return }
        let isOnlyTried = isTrial && !own.isInUse(environment)
        for other in DaemonInstance.all(environment).filter({ $0 != own }).prefix(Self.limit) {
            let name = other.configuration
            do throws(SettingsError) {
                let found = Self.shared(settings, try Settings.load(path: name, environment: environment))
                let lines = found.certain.map { "\($0): \(name) says the same" }
                if isOnlyTried {
                    self.warnings += lines.map { "\($0) (right for a copy; \(own.unit) must not be started with it)" }
                } else if other.isInUse(environment) {
                    self.errors += lines
                } else {
                    self.warnings += lines.map { "\($0) (\(other.unit) is not in use; it must not be started so)" }
                }
                self.warnings += found.doubtful.map { "\($0): \(name)" }
            } catch {
                let reason = error.diagnostics.first.map(\.description) ?? "it cannot be read"
                self.warnings.append("\(name) was not compared with this configuration: \(reason)")
            }
        }
    }

    /// What the two share: what both may not have, and what may be the same.
    static func shared(_ one: Settings, _ other: Settings) -> (certain: [String], doubtful: [String]) {
        var (certain, doubtful): ([String], [String]) = ([], [])
        let addresses = Set(other.addresses.map(\.prefix.address))
        for address in one.addresses.map(\.prefix.address) where addresses.contains(address) {
            certain.append("the address \(address)")
        }
        func keys(_ settings: Settings) -> String {
            "\(settings.lease.root)\(settings.scope)" + (settings.group.map { " of group \($0)" } ?? "")
        }
        if keys(one) == keys(other) {
            if Self.hasSameEtcd(one.etcd, other.etcd) {
                certain.append("the keys below \(keys(one)) in etcd (lease.root, scope)")
            } else {
                doubtful.append(
                    "the keys below \(keys(one)) are also another configuration's, in an etcd with other endpoints: if it is the "
                        + "same etcd, give one of them another scope or lease.root")
            }
        }
        if one.status.socket == other.status.socket { certain.append("the socket \(one.status.socket)") }
        // Neither is a wildcard: those are refused.
        if let listen = one.status.listen, listen == other.status.listen {
            certain.append("the port \(listen) (status.listen)")
        }
        if one.patroni.url == other.patroni.url { certain.append("Patroni at \(one.patroni.url) (patroni.url)") }
        if one.postgres.conninfo == other.postgres.conninfo {
            certain.append("PostgreSQL at '\(one.postgres.conninfo)' (postgres.conninfo)")
        }
        return (certain, doubtful)
    }

    private static func hasSameEtcd(_ one: Settings.Etcd, _ other: Settings.Etcd) -> Bool {
        if let discovery = one.discovery, discovery == other.discovery { return true }
        return !Set(one.endpoints).isDisjoint(with: other.endpoints)
    }
}
