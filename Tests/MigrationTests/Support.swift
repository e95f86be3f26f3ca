// SPDX-License-Identifier: Apache-2.0
import Migration
import Settings
import Testing

/// Old files and Patroni's file of one node, and what is made of them.
struct Node {
    static let patroniPath = "/etc/patroni/config.yml"
    static let patroni = """
        scope: demo
        name: n1
        restapi: { listen: "0.0.0.0:8008", connect_address: "10.10.10.11:8008" }
        etcd3: { hosts: "10.10.10.11:2379,10.10.10.12:2379" }
        postgresql: { listen: "0.0.0.0:5432", connect_address: "10.10.10.11:5432", data_dir: /d }
        """

    /// By path.
    var files: [String: String] = [Self.patroniPath: Self.patroni]

    var environment: SettingsEnvironment {
        let files = self.files
        return SettingsEnvironment(read: { path, _ in
            files[path].map { .success(.init(contents: Array($0.utf8))) } ?? .failure(.system(2))
        })
    }

    func read(_ formers: [Former], output: String = "/etc/pharos/pharos.yml") throws -> Outcome {
        let files = self.files
        let target = MigrationPlan.Target(output: output, instance: DaemonInstance(configuration: output)) { path in
            files[path].map { Array($0.utf8) }
        }
        let bare = try renderConfiguration(
            try MigrationPlan.bare(formers, patroni: Self.patroniPath), environment: self.environment)
        let plan = try MigrationPlan(formers, patroni: Self.patroniPath, settings: bare.settings, target: target)
        let made = try renderConfiguration(plan.draft, origin: "--from", environment: self.environment)
        return Outcome(plan: plan, text: made.text, settings: made.settings, target: target)
    }

    struct Outcome {
        var plan: MigrationPlan
        var text: String
        var settings: Settings
        var target: MigrationPlan.Target

        /// The new file without its comments.
        var lines: [String] {
            self.text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)
        }

        func report(_ sight: MigrationSight? = nil, isDryRun: Bool = true) -> String {
            let none = MigrationSight(leader: .notAsked("in a test"), members: nil, isMarked: nil, standings: [])
            return MigrationText(
                self.plan, settings: self.settings, text: self.text, sight: sight ?? none, target: self.target
            ).lines(isDryRun: isDryRun).joined(separator: "\n")
        }
    }
}

/// A file of the corpus, which was written after the formats' documentation.
func fixture(_ name: String, at path: String? = nil) throws -> Former {
    let root = "\(#filePath)".split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
    let bytes = try SettingsEnvironment.system.read("\(root)/Fixtures/\(name)", 1 << 20).get().contents
    return try Former.read(bytes, file: path ?? "/old/\(name)")
}

/// Why a text is refused.
func refusal(
    _ text: String, tool: Former.Tool? = nil, _ location: Testing.SourceLocation = #_sourceLocation
) -> String {
    do throws(MigrationError) {
        let former = try Former.read(Array(text.utf8), file: "/f", tool: tool)
        Issue.record("understood: \(former)", sourceLocation: location)
        return ""
    } catch {
        return error.description
    }
}
