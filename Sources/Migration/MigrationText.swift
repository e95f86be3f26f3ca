// SPDX-License-Identifier: Apache-2.0
public import Settings

/// The report of `pharos migrate`, for people. Nothing in it is a secret.
public struct MigrationText {
    private let plan: MigrationPlan
    private let settings: Settings
    private let text: String
    private let sight: MigrationSight
    private let target: MigrationPlan.Target

    /// - Parameter text: the new file.
    public init(
        _ plan: MigrationPlan, settings: Settings, text: String, sight: MigrationSight, target: MigrationPlan.Target
    ) {
        (self.plan, self.settings, self.text) = (plan, settings, text)
        (self.sight, self.target) = (sight, target)
    }

    /// Whole, and in the order in which it is needed. Texts of the old files may hold anything: whoever prints this escapes it.
    public func lines(isDryRun: Bool) -> [String] {
        var lines = self.plan.formers.map { "\($0.file): \($0.tool.rawValue), \($0.dialect)" }
        if self.target.output != "-" {
            lines += ["", "The new file, \(self.target.output)\(isDryRun ? " (not written)" : ""):"]
            lines += self.text.split(separator: "\n").map { "    \($0)" }
        }
        for file in self.plan.secretFiles {
            lines.append("\(file.path), mode 0600\(isDryRun ? " (not written)" : ""): \(file.what)")
        }
        lines += self.list("Carried over:", self.plan.carried)
        lines += self.list("Left behind, and what Pharos does instead:", self.plan.lost)
        lines += self.list("Not understood, so nothing of it is carried over:", self.plan.formers.flatMap(\.unknown))
        lines += self.list("What else the old program does here:", self.plan.formers.flatMap(\.others))
        lines += self.list("! Look at before you go on:", self.plan.doubts)
        let group = self.settings.group.map { "/\($0)" } ?? ""
        lines += ["", "What etcd and this node say now:"]
        lines += self.sight.lines(
            key: self.plan.followedKey, leaderKey: "\(self.settings.namespace)\(self.settings.scope)\(group)/leader",
            member: self.settings.member)
        let change = ChangeOver(self.plan, instance: self.target.instance)
        lines += ["", "The change-over, in this order:"] + self.steps(change.steps)
        lines += ["", "The way back:"] + self.steps(change.wayBack, isNumbered: false)
        return lines
    }

    private func list(_ title: String, _ remarks: [Former.Remark]) -> [String] {
        remarks.isEmpty ? [] : ["", title] + remarks.map { "  \($0.place): \($0.name): \($0.text)" }
    }

    private func steps(_ steps: [ChangeOver.Step], isNumbered: Bool = true) -> [String] {
        steps.enumerated().flatMap { index, step in
            ["\(isNumbered ? "\(index + 1)." : "-") \(step.title)"] + step.commands.map { "       \($0)" }
                + (step.note.map { ["   \($0)"] } ?? [])
        }
    }
}
