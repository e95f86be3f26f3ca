// SPDX-License-Identifier: Apache-2.0
public import Settings

/// The steps from the old program to Pharos, and back, in their order, as commands to be typed.
///
/// What they rest on: the daemon takes an address off that stands in the kernel without a lifetime of its own (docs/protocol.md), so it
/// must not have the right to, until it holds the address's key; then a restart finds the key of its own earlier process, and takes the
/// address over with it within milliseconds. Until then the old program moves the address alone, as before.
public struct ChangeOver: Sendable {
    /// One of them: where it is done, what is typed, and what then is to be seen.
    public struct Step: Sendable, Equatable {
        public var title: String
        public var commands: [String]
        public var note: String?

        init(_ title: String, _ commands: [String], _ note: String? = nil) {
            (self.title, self.commands, self.note) = (title, commands, note)
        }
    }

    /// The old services, such as `vip-manager`.
    public let units: [String]
    public let instance: DaemonInstance
    /// With their prefixes.
    public let addresses: [String]
    /// Whether the old program does something else on this node too, and so is not stopped.
    public let isShared: Bool

    public init(_ plan: MigrationPlan, instance: DaemonInstance) {
        var units: [String] = []
        for former in plan.formers where !units.contains(former.unit) { units.append(former.unit) }
        self.units = units
        self.instance = instance
        self.addresses = plan.draft.addresses.map(\.address)
        self.isShared = plan.formers.contains { !$0.others.isEmpty }
    }

    private var unit: String { self.instance.unit }
    private var option: String { self.instance.name.map { " --cluster \($0)" } ?? "" }
    private var old: String { self.units.joined(separator: " ") }
    private var folder: String { "/run/systemd/system/\(self.unit).service.d" }
    private var without: [String] {
        [
            "mkdir -p \(self.folder)",
            // Without its capability `ip` gives up what it has of others, by a call that the unit forbids.
            "printf '[Service]\\nAmbientCapabilities=\\nCapabilityBoundingSet=\\nSystemCallFilter=capset\\n' >\(self.folder)/beside.conf",
            "systemctl daemon-reload",
        ]
    }
    private var with: String { "rm -f \(self.folder)/beside.conf && systemctl daemon-reload" }

    /// What ends the old program's hand on the address, without keeping it from coming back at a boot.
    private var stop: String {
        self.isShared ? "systemctl reload \(self.old)" : "systemctl stop \(self.old)"
    }
    private var shared: String? {
        self.isShared
            ? "Before it: take the instances of these addresses out of keepalived's file there; the reload then lets go of them."
            : nil
    }

    /// Forwards.
    public var steps: [Step] {
        let waiting = self.addresses.map { address in
            "until pharos status\(self.option) | grep -F '\(address)' | grep -q 'belongs here$'; do sleep 1; done"
        }
        let disable = self.isShared ? [] : ["systemctl disable \(self.old)"]
        return [
            Step(
                "On each node: write its own file, and check it.", ["pharos check-config\(self.option)"],
                "Each node's file is made there, of that node's own old file: pharos migrate --from FILE."),
            Step(
                "On each node, in any order: start Pharos beside the old program, without the right to change an address.",
                self.without + ["systemctl enable --now \(self.unit)"],
                "The old program goes on moving the address. Records 'not permitted (CAP_NET_ADMIN is needed)' are right for now."
            ),
            Step(
                "On the leader's node: wait until its Pharos has the key (one TTL, and one more where etcd is new to Pharos).",
                waiting,
                "Do not go on before: it would take the address off and wait. If the leader changes meanwhile, do this on the new leader's node."
            ),
            Step(
                "On each standby: stop the old program, and give Pharos its rights.",
                [self.stop] + disable + [self.with, "systemctl restart \(self.unit)"], self.shared),
            Step(
                "On the leader's node, in one line: the same. Pharos takes the address over with its key.",
                ["\(self.with) && \(self.stop) && systemctl restart \(self.unit)"] + disable,
                [
                    self.shared,
                    "The address is away for less than a second: vip-manager leaves it where it is until Pharos puts its own in the place; keepalived "
                        + "takes it along. Sessions stay: TCP sends again what was lost. If the restart fails: systemctl start \(self.old), and look at "
                        + "journalctl -u \(self.unit).",
                ].compactMap(\.self).joined(separator: " ")),
            Step("On any node: look at the whole.", ["pharos cluster\(self.option)"]),
        ]
    }

    /// And back.
    public var wayBack: [Step] {
        let start = self.isShared ? "systemctl reload \(self.old)" : "systemctl enable --now \(self.old)"
        return [
            Step(
                "Before step 5: nothing has changed for clients. On each node:",
                [
                    "systemctl disable --now \(self.unit)",
                    "rm -f \(self.folder)/beside.conf && systemctl daemon-reload", start,
                ],
                "Standbys first, the leader's node last."),
            Step(
                "After step 5: on each standby first, then on the leader's node, in one line:",
                ["systemctl disable --now \(self.unit) && \(start)"],
                "Pharos gives the address back, and the old program puts it there again (vip-manager as it starts, keepalived after three of its "
                    + "advertisements). Never start the old program beside a Pharos that has its rights: each would undo what the other does."
            ),
        ]
    }
}
