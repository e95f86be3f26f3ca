// SPDX-License-Identifier: Apache-2.0

/// Standbys that are registered as secondaries, and removed.
extension CitusDatabase {
    /// Registers or removes one secondary, when nothing else is to be done: Citus refuses it while a worker is down or behind.
    mutating func settleMembership(
        _ groups: [Int: Group], _ clusterID: UInt64, _ settings: CitusSettings, _ damper: SecondaryDamper,
        _ places: KnownPlaces, at now: Instant, into actions: inout [CitusAction]
    ) {
        // A secondary is written on every server that the table names.
        guard self.isSettled, self.refusals.isEmpty, self.unjudged.isEmpty, let rows = self.rows,
            rows.allSatisfy({ !$0.hasMetadata || $0.isSynchronized || $0.group == 0 })
        else { return }
        var next: (group: Int, change: RowChange)?
        self.membershipAt = nil
        for (group, view) in groups.sorted(by: { $0.key < $1.key }) where next == nil {
            guard view.leader != nil, !view.isStandbyCluster else { continue }
            for (place, change) in SecondaryPlan.changes(group, view, rows, places) {
                guard let due = damper.due(place, add: change.isAddition, at: now) else { continue }
                if !change.isAddition {
                    // While none of them is fit, all stay: which of them answers a query nobody can say.
                    let isServed = rows.contains { row in
                        row.isSecondary(of: group) && row.endpoint != place
                            && (!places.knows(row.endpoint, of: group) || damper.isFit(row.endpoint))
                    }
                    guard isServed else { continue }
                }
                if due <= now {
                    next = (group, change)
                    break
                }
                self.membershipAt = min(self.membershipAt ?? due, due)
            }
        }
        guard let next, let view = groups[next.group] else {
            self.membership = nil
            return
        }
        let isSame = self.membership?.group == next.group && self.membership?.drift.changes == [next.change]
        let drift = (isSame ? self.membership?.drift : nil) ?? Drift(changes: [next.change], since: now)
        self.membership = (group: next.group, drift: drift)
        guard drift.retryAt.map({ $0 <= now }) ?? true else { return }
        if let update = self.update(next.group, view, drift, clusterID) {
            self.begin([update], at: now, into: &actions)
        }
    }
}
