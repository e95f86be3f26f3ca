// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Settings

/// The configuration as the daemon reads it. From then on this process has the daemon's rights, not root's.
func loadSettings(_ path: String) throws -> Settings {
    let settings: Settings
    do throws(SettingsError) {
        settings = try Settings.load(path: path)
    } catch {
        complain(error.description)
        throw ExitStatus.configuration
    }
    if let problem = DaemonUser.become() {
        complain("pharos: \(problem)")
        throw ExitStatus.configuration
    }
    return settings
}
