// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// What `pharos status` says of the failure detector.
struct DetectorStatusText {
    private let status: JSON

    init(_ status: JSON) { self.status = status }

    private var targets: [JSON] { self.status["targets"]?.array ?? [] }
    private var splits: [JSON] { self.status["split_brains"]?.array ?? [] }
    private var isCutOff: Bool { self.status["is_cut_off"]?.bool == true }

    private var isEtcdWell: Bool { self.status["is_etcd_well"]?.bool != false }

    /// Whether a member's verdict needs nobody: it is well, or more must be seen first.
    static func isInOrder(_ target: JSON) -> Bool {
        ["well", "suspected", "unknown"].contains(target["verdict"]?.string ?? "")
    }

    private static func name(_ target: JSON) -> String {
        "\(target["member"]?.string ?? "?") (group \(target["group"]?.int64 ?? 0))"
    }

    private static func isSuppressed(_ target: JSON) -> Bool {
        (target["aspects"]?.array ?? []).contains { $0["state"]?.string == "suppressed" }
    }

    var isInOrder: Bool {
        // Without it nobody can be elected, and nothing acquired.
        let isEtcdUsable = !["no_quorum", "alarm"].contains(self.status["etcd_condition"]?.string)
        return !self.isCutOff && self.splits.isEmpty && isEtcdUsable
            && self.targets.allSatisfy { Self.isInOrder($0) && !Self.isSuppressed($0) }
    }

    var lines: [String] {
        if self.isCutOff { return ["! members    nobody can be reached from here: is this node cut off?"] }
        var lines: [String] = []
        if !self.isEtcdWell { lines.append("! etcd       \(self.status["etcd"]?.string ?? "?")") }
        if let pause = self.status["reactions_paused"] {
            lines.append(
                "! reactions  paused by \(pause["by"]?.string ?? "?") until \(pause["until"]?.string ?? "?"): \(pause["reason"]?.string ?? "?"); pharos resume-reactions"
            )
        }
        for split in self.splits {
            let members = (split["members"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
            lines.append("! group \(split["group"]?.int64 ?? 0)    several members accept writes: \(members)")
        }
        let noteworthy = self.targets.filter { $0["verdict"]?.string != "well" }
        for target in noteworthy {
            let name = Self.name(target)
            lines.append(
                "\(Self.isInOrder(target) ? " " : "!") \(name)  \(target["verdict"]?.string ?? "?"): \(target["reason"]?.string ?? "")"
            )
        }
        for target in self.targets where Self.isSuppressed(target) {
            lines.append("! \(Self.name(target))  comes and goes: nothing is done about it for now")
        }
        let well = self.targets.count - noteworthy.count
        lines.append("  members    \(well) of \(self.targets.count) are well; pharos why tells more")
        return lines
    }
}
