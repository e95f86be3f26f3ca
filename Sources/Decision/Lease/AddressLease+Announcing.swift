// SPDX-License-Identifier: Apache-2.0

/// When one address is announced. An announcement is an act: it takes the address away from whoever else has it.
extension AddressLease {
    /// An address is announced no more as soon as it is decided that it leaves, or is seen to have gone: not only when
    /// the kernel has confirmed it, for that may take a while, and by then the address may be another's.
    mutating func endAnnouncing(into actions: inout [Action]) {
        if case .leave = self.stance { return self.stopAnnouncing(into: &actions) }
        if !self.kernel.isPresent { self.stopAnnouncing(into: &actions) }
    }

    /// Once this process has given the kernel a lifetime, and only with the right at this very moment. Also what an earlier
    /// process put there: it announces no more.
    mutating func beginAnnouncing(at now: Instant, into actions: inout [Action]) {
        guard !self.isAnnounced, self.kernel.isPresent, self.kernel.until != nil, let right = self.right, right > now
        else { return }
        switch self.stance {
        case .leave, .wait: return
        case .hold, .keep: break
        }
        if case .removing = self.kernel.command { return }
        self.isAnnounced = true
        actions.append(.startAnnouncing(self.spec))
    }

    mutating func stopAnnouncing(into actions: inout [Action]) {
        guard self.isAnnounced else { return }
        self.isAnnounced = false
        actions.append(.stopAnnouncing(self.spec))
    }

    /// The interface has its carrier back: begins the announcements anew, if there are any.
    mutating func announceAnew(into actions: inout [Action]) { self.stopAnnouncing(into: &actions) }
}
