// SPDX-License-Identifier: Apache-2.0

extension CitusReport {
    /// Whether it says that workers' copies are not the coordinator's: in what they differ a verification tells.
    var isOfDifferingCopies: Bool { if case .copiesDiffer = self { true } else { false } }
}

/// The whole cluster is verified now and then.
extension CitusCore {
    mutating func advanceVerification(
        _ view: GroupsView, at now: Instant, into actions: inout [CitusAction]
    ) {
        let isIdle = self.databases.allSatisfy { $0.update == nil && $0.hold == nil }
        let hasArrived = self.databases.allSatisfy { $0.rows != nil && $0.isSettled }
        let isCalm = view.groups.values.allSatisfy { group in
            group.leader != nil && group.leaderAt.map { now - $0 >= VerificationWatch.settling } ?? false
        }
        if self.verification.ask(isIdle: isIdle, isCalm: isCalm, hasArrived: hasArrived, at: now) {
            let suspects = self.rivals.servers.filter(\.value.isPrimary).keys.sorted { "\($0)" < "\($1)" }
            actions.append(.verify(suspects: suspects, places: self.places))
        }
    }
}
