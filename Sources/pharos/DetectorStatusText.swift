// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// What `pharos status` says of the failure detector.
struct DetectorStatusText {
    private let status: JSON

    init(_ status: JSON) { self.status = status }

    private var targets: [JSON] { self.status["targets"]?.array ?? [] }
    private var splits: [JSON] { self.status["split_brains"]?.array ?? [] }
    private var isIsolated: Bool { self.status["is_isolated"]?.bool == true }

    /// Whether a member's verdict needs nobody: it is well, or more must be seen first.
    static func isInOrder(_ target: JSON) -> Bool {
        ["well", "suspected", "unknown"].contains(target["verdict"]?.string ?? "")
    }

    var isInOrder: Bool { !self.isIsolated && self.splits.isEmpty && self.targets.allSatisfy { Self.isInOrder($0) } }

    var lines: [String] {
        if self.isIsolated { return ["! members    nobody can be reached from here: is this node cut off?"] }
        var lines: [String] = []
        for split in self.splits {
            let members = (split["members"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
            lines.append("! group \(split["group"]?.int64 ?? 0)    several members accept writes: \(members)")
        }
        let noteworthy = self.targets.filter { $0["verdict"]?.string != "well" }
        for target in noteworthy {
            let name = "\(target["member"]?.string ?? "?") (group \(target["group"]?.int64 ?? 0))"
            lines.append(
                "\(Self.isInOrder(target) ? " " : "!") \(name)  \(target["verdict"]?.string ?? "?"): \(target["reason"]?.string ?? "")"
            )
        }
        let well = self.targets.count - noteworthy.count
        lines.append("  members    \(well) of \(self.targets.count) others are well; pharos why tells more")
        return lines
    }
}
