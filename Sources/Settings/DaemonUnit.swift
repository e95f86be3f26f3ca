// SPDX-License-Identifier: Apache-2.0

/// What the unit of the daemon gives it and keeps from it, drop-ins included: whoever judges a configuration in the daemon's place
/// has to look with its eyes.
public struct DaemonUnit: Sendable {
    /// As systemd is asked for it.
    public let name: String

    /// Whom the service runs as.
    public private(set) var user = "pharos"
    /// Folders that the daemon does not see, and the line of the unit that hides each.
    public private(set) var hidden: [(folder: String, directive: String)] = []
    /// The groups that it is in besides those of its user.
    public private(set) var groups: [String] = []
    /// Where each credential is copied from, by its path in the service.
    public private(set) var credentials: [String: String] = [:]

    /// As the unit is shipped.
    public static let shipped = DaemonUnit(lines: Self.shippedLines)
    private static let shippedLines = [
        ("PrivateTmp", "yes"), ("ProtectHome", "yes"),
    ]

    /// As it is installed on this machine; as it is shipped where it is not.
    public init(_ environment: SettingsEnvironment = .system, instance: DaemonInstance = DaemonInstance()) {
        let names = (instance.name == nil ? [] : ["pharos@.service"]) + ["\(instance.unit).service"]
        let files = names.flatMap { UnitFiles(environment: environment).files(of: $0) }
        let isInstalled = files.contains { file in names.contains { file.path.hasSuffix("/" + $0) } }
        let lines = files.flatMap {
            UnitText(String(decoding: $0.bytes, as: UTF8.self)).entries.map { ($0.key, $0.value) }
        }
        self.init(lines: (isInstalled ? [] : Self.shippedLines) + lines, name: instance.unit)
    }

    init(lines: [(key: String, value: String)], name: String = DaemonInstance().unit) {
        self.name = name
        var single: [String: String] = [:]
        var inaccessible: [String] = []
        for (key, value) in lines {
            switch key {
            case "PrivateTmp", "ProtectHome":
                single[key] = value.lowercased()
            case "User" where !value.isEmpty:
                self.user = value
            case "SupplementaryGroups":
                // An empty one forgets those before it, as in every list.
                self.groups = value.isEmpty ? [] : self.groups + UnitText.words(value)
            case "InaccessiblePaths":
                inaccessible = value.isEmpty ? [] : inaccessible + UnitText.words(value)
            case "LoadCredential", "LoadCredentialEncrypted":
                if value.isEmpty { self.credentials = [:] }
                let parts = value.split(separator: ":", maxSplits: 1)
                // The encrypted one only systemd can read.
                guard let id = parts.first, key == "LoadCredential", parts.count == 2, parts[1].hasPrefix("/") else {
                    break
                }
                self.credentials["/run/credentials/\(name).service/\(id)"] = String(parts[1])
            default:  // text, not cases of ours
                break
            }
        }
        if let value = single["PrivateTmp"], !Self.isOff(value) {
            self.hidden += ["/tmp", "/var/tmp"].map { ($0, "PrivateTmp=\(value)") }
        }
        if let value = single["ProtectHome"], !Self.isOff(value), value != "read-only" {
            self.hidden += ["/home", "/root", "/run/user"].map { ($0, "ProtectHome=\(value)") }
        }
        for path in inaccessible {
            let folder = String(path.drop { $0 == "-" || $0 == "+" })
            self.hidden.append((folder, "InaccessiblePaths=\(folder)"))
        }
    }

    private static func isOff(_ value: String) -> Bool { ["no", "n", "false", "f", "off", "0"].contains(value) }

    /// The line of the unit that hides `path` from the daemon; nil if it sees it, as far as the unit says.
    public func hides(_ path: String) -> String? {
        self.hidden.first { path == $0.folder || path.hasPrefix($0.folder + "/") }?.directive
    }

    /// Warnings of sockets in `conninfo` that the daemon does not see.
    public func warnings(conninfo: String) -> [String] {
        ConninfoRules.socketDirectories(in: conninfo).compactMap { folder in
            self.hides(folder).map { Self.way(around: $0, socketIn: folder) }
        }
    }

    /// Warnings of files that settings were made from and that the daemon does not see.
    public func warnings(files settings: Settings, environment: SettingsEnvironment = .system) -> [String] {
        let keys = ["patroni_config", "ca_file", "cert_file", "key_file"]
        return settings.provenance.filter { setting in
            keys.contains { setting.key.hasSuffix($0) } || setting.key.hasPrefix("patroni_environment[")
        }.compactMap { setting in
            self.hides(environment.resolve(setting.value)).map {
                "\(setting.key): the daemon does not see \(quoted(setting.value)): its unit says \($0)"
            }
        }
    }

    /// What to do where a socket is in a folder that is hidden.
    static func way(around directive: String, socketIn folder: String) -> String {
        let key = directive.split(separator: "=")[0]
        return
            "the daemon does not see PostgreSQL's socket in \(folder): its unit says \(directive). Move the socket, or say "
            + "'postgres: { conninfo: host=127.0.0.1 user=pharos dbname=postgres }' in pharos.yml (TCP), or \(key)=no in a drop-in "
            + "(systemctl edit pharos, section [Service])"
    }

    /// For the record of a connection that failed: what stands behind it where the shipped unit hides the socket; else nil.
    public static func hint(failedSocket message: String) -> String? {
        guard let start = message.firstRange(of: "socket \"")?.upperBound, message.contains("No such file") else {
            return nil
        }
        let path = String(message[start...].prefix { $0 != "\"" })
        guard let directive = self.shipped.hides(path) else { return nil }
        let folder = path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        return self.way(around: directive, socketIn: folder)
    }
}

extension DaemonUnit {
    /// `environment` as the daemon sees it: without what its unit hides, and with its credentials, which are there only while the
    /// service runs; here each is read from where it is copied from, now, with the rights of whoever calls this.
    ///
    /// `isTrial`: of a configuration that is not the service's own, for which nothing is hidden: ``warnings(files:environment:)``
    /// tell of it.
    public func seen(_ environment: SettingsEnvironment, isTrial: Bool) -> SettingsEnvironment {
        let copies = self.credentials.mapValues { source in environment.read(source, Settings.fileLimit) }
        return SettingsEnvironment(
            list: { path in
                if !isTrial, let directive = self.hides(environment.resolve(path)) {
                    return .failure(.hidden(by: directive))
                }
                return environment.list(path)
            },
            read: { path, limit in
                if let copy = copies[path] {
                    // systemd's copy is for the service's user alone.
                    return copy.map { .init(contents: $0.contents, mode: 0o400, owner: $0.owner) }
                }
                if !isTrial, let directive = self.hides(environment.resolve(path)) {
                    return .failure(.hidden(by: directive))
                }
                return environment.read(path, limit)
            },
            resolve: environment.resolve)
    }
}
