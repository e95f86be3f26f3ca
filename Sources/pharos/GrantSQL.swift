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
    @Flag(
        help:
            "Only what restore points and `pharos verify --deep` need: to be run in each database on every node's leader."
    )
    var restore = false

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
        let statements: [(reason: String, sql: String)]
        if self.restore {
            guard let citus = settings.citus?.core else {
                complain("pharos: \(self.file.path) has no section 'citus'")
                throw ExitStatus.configuration
            }
            statements = CitusGrants.restoreStatements(role: self.role)
            print(
                "-- What restore points and `pharos verify --deep` need, on every node's leader, in: \(citus.databases.joined(separator: ", "))."
            )
        } else if let citus = settings.citus?.core {
            statements = CitusGrants(
                writes: citus.mode != .observe, secondaries: self.secondaries || citus.registersSecondaries,
                pools: !citus.poolInfo.isEmpty
            ).statements(role: self.role)
            print(
                "-- What Pharos needs in mode \(citus.mode.rawValue), in: \(citus.databases.joined(separator: ", ")).")
        } else {
            statements = CitusGrants(writes: false, secondaries: false, pools: false, citus: false)
                .statements(role: self.role)
            print("-- What Pharos needs without Citus.")
        }
        // All of it or nothing, whatever runs it.
        print("begin;")
        for statement in statements {
            if !statement.reason.isEmpty { print("\n-- \(statement.reason)") }
            print(statement.sql + ";")
        }
        print("\ncommit;")
    }
}
