// SPDX-License-Identifier: Apache-2.0

/// What the reaction benchmark measured.
struct ReactionResult: Sendable {
    var pharos = Reactions()
    var floor = Reactions()
    var vipManager = Reactions()
    /// Why vip-manager was not measured.
    var vipManagerAbsence: String?
    /// Where nobody held the address before.
    var pharosFromNobody = Reactions()
    var floorFromNobody = Reactions()
    /// The longest turn of each daemon's loop, from its start to the last change of leader.
    var turns: [LoopTurn] = []

    private var rows: [(name: String, key: String, values: [Double])] {
        [
            ("Pharos: on the new node", "pharos_on", self.pharos.on),
            ("Floor: three commits, two spawns", "floor_on", self.floor.on),
            ("vip-manager (Debian): on the new node", "vip_manager_on", self.vipManager.on),
            ("Pharos: off the old node", "pharos_off", self.pharos.off),
            ("Floor: one commit, one spawn", "floor_off", self.floor.off),
            ("vip-manager (Debian): off the old node", "vip_manager_off", self.vipManager.off),
            ("Pharos: nobody held it before", "pharos_from_nobody_on", self.pharosFromNobody.on),
            ("Floor: two commits, one spawn", "floor_from_nobody_on", self.floorFromNobody.on),
        ]
    }

    private static func ratio(_ value: Reactions, _ floor: Reactions) -> Double? {
        guard let value = Statistics(value.on), let floor = Statistics(floor.on), floor.median > 0 else { return nil }
        return value.median / floor.median
    }

    /// Median of Pharos over the median of the floor.
    var ratio: Double? { Self.ratio(self.pharos, self.floor) }
    var ratioFromNobody: Double? { Self.ratio(self.pharosFromNobody, self.floorFromNobody) }

    var text: String {
        let table = Table(
            ["From the put of the leader key, in ms", "median", "p99", "min", "max", "runs"],
            self.rows.compactMap { row in
                Statistics(row.values).map { [row.name] + $0.cells + ["\($0.count)"] }
            }
        )
        var facts: [[String]] = []
        if let ratio = self.ratio {
            facts.append(["Pharos / floor, medians", decimal(ratio), "at most 1.20", verdict(ratio <= 1.2)])
        }
        if let ratio = self.ratioFromNobody {
            facts.append(["Pharos / floor, nobody held it before, medians", decimal(ratio), "", ""])
        }
        if let p99 = Statistics(self.pharos.on)?.p99 {
            facts.append(["Pharos, p99, ms", decimal(p99), "at most 50", verdict(p99 <= 50)])
        }
        let overlap = self.pharos.overlap
        facts.append(["Pharos, both nodes had the address, ms in all", decimal(overlap), "0", verdict(overlap == 0)])
        if self.vipManagerAbsence == nil {
            facts.append(
                ["vip-manager, both nodes had the address, ms in all", decimal(self.vipManager.overlap), "", ""])
        }
        facts += LoopTurn.rows("Pharos, longest turn of the loop", self.turns)
        var text = table.text + "\n\n" + Table(["", "measured", "goal", ""], facts).text
        if let reason = self.vipManagerAbsence { text += "\n\nvip-manager was not measured: \(reason)." }
        return text
    }

    var json: String {
        var members = self.rows.compactMap { row in Statistics(row.values).map { "\"\(row.key)_ms\": \($0.json)" } }
        if let ratio = self.ratio { members.append("\"ratio\": \(decimal(ratio))") }
        if let ratio = self.ratioFromNobody { members.append("\"ratio_from_nobody\": \(decimal(ratio))") }
        members += LoopTurn.json("", self.turns)
        members.append("\"overlap_ms\": \(decimal(self.pharos.overlap))")
        return "{\n    " + members.joined(separator: ",\n    ") + "\n  }"
    }
}

/// Whether a goal was reached, in a word.
func verdict(_ isReached: Bool) -> String { isReached ? "reached" : "missed" }
