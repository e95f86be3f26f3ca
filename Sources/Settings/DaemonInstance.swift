// SPDX-License-Identifier: Apache-2.0

/// One of the daemons of a host, by its configuration: `/etc/pharos/pharos.yml` belongs to `pharos.service`, and
/// `/etc/pharos/NAME.yml` to `pharos@NAME.service`. What a daemon has for itself alone follows from that.
///
/// A file anywhere else is taken for one of `pharos.service`: whoever starts a daemon with it says where its socket is.
public struct DaemonInstance: Sendable, Hashable {
    static let folder = "/etc/pharos"
    static let plain = "pharos"
    /// Whose file would be the API's: see ``APIInstance``.
    private static let reserved = [plain, "api"]
    /// So that the socket's path has room in an address of its kind.
    private static let nameLimit = 64

    /// Of the cluster, as the file is called; nil: of `pharos.service`.
    public let name: String?

    /// The daemon of `pharos.service`.
    public init() { self.name = nil }

    /// Nil if a file and a unit cannot be called so.
    public init?(named name: String) {
        let isGood = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."): true
            default: false  // bytes, not cases of ours
            }
        }
        guard isGood, (1...Self.nameLimit).contains(name.utf8.count), !name.hasPrefix("."),
            !Self.reserved.contains(name)
        else {
            return nil
        }
        self.name = name
    }

    /// The one that the file at `path` belongs to.
    public init(configuration path: String) {
        let (prefix, suffix) = (Self.folder + "/", ".yml")
        guard path.hasPrefix(prefix), path.hasSuffix(suffix), path.utf8.count > prefix.utf8.count + suffix.utf8.count,
            let instance = DaemonInstance(named: String(path.dropFirst(prefix.count).dropLast(suffix.count)))
        else {
            self.init()
            return
        }
        self = instance
    }

    public var configuration: String { "\(Self.folder)/\(self.name ?? Self.plain).yml" }
    /// As systemd is asked for it.
    public var unit: String { self.name.map { "pharos@\($0)" } ?? Self.plain }
    /// The folder of the socket and the lock.
    public var runtimeFolder: String { "/run/\(self.unit)" }
    public var socket: String { self.runtimeFolder + "/pharos.sock" }
    /// What is remembered from one start to the next.
    public var stateFolder: String { "/var/lib/pharos" + (self.name.map { "/\($0)" } ?? "") }
    /// Patroni's file of the same cluster, where Debian has it.
    public var patroniConfiguration: String? { self.name.map { "/etc/patroni/\($0).yml" } }

    /// All that this host has a configuration for, in the order of their files' names.
    static func all(_ environment: SettingsEnvironment) -> [DaemonInstance] {
        guard case .success(let names) = environment.list(Self.folder) else { return [] }
        return names.sorted().compactMap { name in
            guard name.hasSuffix(".yml") else { return nil }
            let instance = DaemonInstance(configuration: "\(Self.folder)/\(name)")
            return instance.configuration == "\(Self.folder)/\(name)" ? instance : nil
        }
    }

    /// The names of the clusters of this host that have a configuration of their own.
    public static func names(_ environment: SettingsEnvironment = .system) -> [String] {
        self.all(environment).compactMap(\.name)
    }

    /// Whether systemd starts it at a boot, or it has been started since.
    func isInUse(_ environment: SettingsEnvironment) -> Bool {
        let wanted = "/etc/systemd/system/multi-user.target.wants"
        if case .success(let names) = environment.list(wanted), names.contains("\(self.unit).service") { return true }
        guard case .success(let names) = environment.list(self.runtimeFolder) else { return false }
        return names.contains("pharos.lock")
    }
}
