// SPDX-License-Identifier: Apache-2.0

/// The API of one of the daemons of a host, by its configuration: `/etc/pharos/api.yml` belongs to `pharos-api.service`, and
/// `/etc/pharos/api/NAME.yml` to `pharos-api@NAME.service`. (Each other `/etc/pharos/*.yml` is a daemon's.)
public struct APIInstance: Sendable, Hashable {
    /// Whose answers it hands on.
    public let daemon: DaemonInstance

    public init(_ daemon: DaemonInstance = DaemonInstance()) { self.daemon = daemon }

    /// The one that the file at `path` belongs to; one anywhere else is taken for `pharos-api.service`'s.
    public init(configuration path: String) {
        let (prefix, suffix) = ("\(DaemonInstance.folder)/api/", ".yml")
        guard path.hasPrefix(prefix), path.hasSuffix(suffix),
            let daemon = DaemonInstance(named: String(path.dropFirst(prefix.count).dropLast(suffix.count)))
        else {
            self.init()
            return
        }
        self.init(daemon)
    }

    private var folder: String { self.daemon.name == nil ? DaemonInstance.folder : "\(DaemonInstance.folder)/api" }
    public var configuration: String { "\(self.folder)/\(self.daemon.name ?? "api").yml" }
    /// Where `pharos token` writes.
    public var tokens: String { "\(self.folder)/\(self.daemon.name ?? "api").tokens" }
    /// As systemd is asked for it.
    public var unit: String { self.daemon.name.map { "pharos-api@\($0)" } ?? "pharos-api" }
    /// The folder of its socket.
    public var runtimeFolder: String { "/run/\(self.unit)" }
    public var socket: String { self.runtimeFolder + "/api.sock" }
}
