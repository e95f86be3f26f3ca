// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import CitusCatalog
import Decision
import Settings

struct GrantSQL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant-sql", abstract: "Print the SQL that gives a role exactly what the configuration needs.",
        discussion: """
            Run it as a superuser on the primary; with Citus on the coordinator's, in each database with the extension:
                pharos grant-sql --role pharos | psql -d app
            """)
    @OptionGroup var file: ConfigurationOption
    @Option(help: "The role that the daemon uses.") var role = "pharos"
    @Flag(help: "Also what registering secondaries needs, whatever the configuration says.") var secondaries = false

    func validate() throws {
        guard !self.role.isEmpty, self.role.utf8.count <= 63, !self.role.utf8.contains(where: { $0 < 32 }) else {
            throw ValidationError("--role expects a role's name, of at most 63 bytes")
        }
    }

    func run() throws {
        let settings: Settings
        do throws(SettingsError) {
            settings = try Settings.load(path: self.file.path)
        } catch {
            complain(error.description)
            throw ExitStatus.configuration
        }
        let grants: CitusGrants
        if let citus = settings.citus?.core {
            grants = CitusGrants(
                writes: citus.mode != .observe, secondaries: self.secondaries || citus.registersSecondaries,
                pools: !citus.poolInfo.isEmpty)
            print(
                "-- What Pharos needs in mode \(citus.mode.rawValue), in: \(citus.databases.joined(separator: ", ")).")
        } else {
            grants = CitusGrants(writes: false, secondaries: false, pools: false, citus: false)
            print("-- What Pharos needs without Citus.")
        }
        // All of it or nothing, whatever runs it.
        print("begin;")
        for statement in grants.statements(role: self.role) {
            if !statement.reason.isEmpty { print("\n-- \(statement.reason)") }
            print(statement.sql + ";")
        }
        print("\ncommit;")
    }
}
