// SPDX-License-Identifier: Apache-2.0
import Glibc
import Settings

/// What a configuration is for the daemon: with its user's rights, in its groups, in its unit's sandbox.
struct DaemonEyes {
    let unit: DaemonUnit

    /// Those of the daemon that the configuration at `path` belongs to.
    init(of path: String) { self.unit = DaemonUnit(instance: DaemonInstance(configuration: path)) }

    /// Whether a file at `path` is no service's.
    static func isTrial(_ path: String) -> Bool { path != DaemonInstance(configuration: path).configuration }

    /// As the daemon would load it, and warnings about how that was found out.
    func load(_ path: String) -> (result: Result<Settings, SettingsError>, notes: [String]) {
        self.look(isTrial: Self.isTrial(path)) { environment throws(SettingsError) in
            try Settings.load(path: path, environment: environment)
        }
    }

    func look<Value>(
        isTrial: Bool, _ body: (SettingsEnvironment) throws(SettingsError) -> Value
    ) -> (result: Result<Value, SettingsError>, notes: [String]) {
        // With the rights at hand: what systemd copies for the daemon, it copies as root.
        let environment = self.unit.seen(.system, isTrial: isTrial)
        let (result, eyes) = DaemonUser.look(self.unit) { () -> Result<Value, SettingsError> in
            do throws(SettingsError) { return .success(try body(environment)) } catch { return .failure(error) }
        }
        return (result, self.notes(eyes, result))
    }

    private func notes<Value>(_ eyes: DaemonUser.Eyes, _ result: Result<Value, SettingsError>) -> [String] {
        var notes = DaemonUser.groups(self.unit.groups).missing.map { group in
            "warning: there is no group \(group), which \(self.unit.name).service names: the service does not start (216/GROUP). Make it "
                + "(groupadd --system \(group)), or name another: systemctl edit \(self.unit.name), then [Service], SupplementaryGroups= and "
                + "SupplementaryGroups=GROUP"
        }
        switch eyes {
        case .own(let whose): notes.append("warning: the files were read \(whose)")
        case .daemon:
            guard case .failure(let error) = result, error.isAboutRights else { break }
            let groups = DaemonUser.groupNames(self.unit).joined(separator: ", ")
            notes.append(
                "the daemon reads as user \(self.unit.user), in the groups: \(groups). What a group may read it reads as a member (usermod "
                    + "--append --groups GROUP \(self.unit.user), then systemctl restart \(self.unit.name)). A file that only postgres or root may read is handed "
                    + "to it with LoadCredential= (docs/operations.md, \"Files that only postgres or root may read\")")
        }
        return notes
    }

    /// What of the configuration the daemon could not reach.
    func warnings(_ settings: Settings) -> [String] {
        self.unit.warnings(files: settings).map { "warning: \($0)" }
            + self.unit.warnings(conninfo: settings.postgres.conninfo).map { "warning: postgres.conninfo: \($0)" }
    }
}

extension SettingsError {
    /// Whether a file is there, but not for the daemon.
    fileprivate var isAboutRights: Bool {
        let denied = String(cString: strerror(EACCES))
        return self.diagnostics.contains {
            $0.message.hasSuffix(denied) || $0.message.contains("the daemon does not see it")
        }
    }
}
