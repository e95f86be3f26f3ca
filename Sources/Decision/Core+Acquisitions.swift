// SPDX-License-Identifier: Apache-2.0

/// What became of the transactions that move the addresses' keys, as their answers tell, or what etcd shows.
extension Core {
    mutating func learnAcquisition(
        of address: AddressID, _ lease: LeaseID, _ revision: Int64, sentAt: Instant, by answerer: Answerer,
        into actions: inout [Action]
    ) {
        let (member, node) = (self.node.settings.member, self.node.settings.node)
        for index in self.leases.indices where self.leases[index].id == address {
            if self.leases[index].isAcquiring(lease) {
                // The transaction compared the leader key; a take-over did not.
                if case .acquiring = self.leases[index].key {
                    self.node.wasRead(sentAt: sentAt, term: answerer.raftTerm)
                }
                self.leases[index].learn(
                    holder: Holder(member: member, node: node, lease: lease), at: revision, into: &actions)
            }
            self.leases[index].acquired(lease, revision: revision, into: &actions)
        }
    }

    mutating func learnRefusal(
        of address: AddressID, _ lease: LeaseID, _ found: Snapshot, at now: Instant, into actions: inout [Action]
    ) {
        let holder = found.holders.first { $0.address == address }?.holder
        self.update(address) {
            // Of a transaction that was sent twice the first was committed: nobody was refused anything.
            guard holder?.lease != lease, !$0.isHeld(under: lease) else {
                return $0.acquireFailed(lease, isAnswered: false, at: now)
            }
            actions.append(.report(.acquireRefused(address, holder: holder?.member, leader: found.leader)))
            $0.learn(rival: found.rivals.first { $0.address == address }?.value, into: &actions)
            $0.acquireFailed(lease, isAnswered: true, at: now)
        }
    }

    /// Another cluster answered, to which the mark was copied along, or the one of before: what was acquired there is worth
    /// nothing here.
    mutating func acquiredElsewhere(
        _ address: AddressID, _ lease: LeaseID, at now: Instant, into actions: inout [Action]
    ) {
        for index in self.leases.indices where self.leases[index].id == address {
            guard self.leases[index].isAcquiring(lease) else {
                if !self.leases[index].key.owns(lease) { actions.append(.revoke(address, lease: lease)) }
                continue
            }
            self.leases[index].acquireFailed(lease, isAnswered: false, at: now)
            self.read.hasten(to: now)
        }
    }

    /// What etcd shows under an address's key. An acquisition that it shows to have been committed says who leads, as one does
    /// that was answered; not in which term.
    mutating func learn(
        holder: Holder?, of index: Int, at revision: Int64, into actions: inout [Action]
    ) {
        self.leases[index].learn(holder: holder, at: revision, into: &actions)
        if let since = self.leases[index].shownAcquisition { self.node.wasRead(sentAt: since, term: 0) }
    }
}
