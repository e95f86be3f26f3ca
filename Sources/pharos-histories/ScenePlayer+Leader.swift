// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkBed

/// A member of etcd that led, and answers n1's keep-alives after another was elected. n1 knows no other member, and is cut off
/// before a keep-alive gets through that counts.
extension ScenePlayer {
    /// The member is cut off the others: n1's keep-alives are answered all the while, as is a read when it has joined again.
    func cutLeader() async throws(BedError) {
        let bed = self.bed
        try await self.startWithOneMember()
        let term = try await bed.patroni.term()
        try await bed.etcd.cut(0, says: true, hears: true)
        bed.note("\(EtcdCluster.name(0)) is cut off")
        try await self.waitForElection(after: term)
        let relay = bed.nodes[0].relays[0]
        var keepAlives = 0
        let deposedAt = BootClock.microseconds
        relay.answered = { request in
            guard request == .keepAlive else { return }
            keepAlives += 1
            // No other gets through.
            if BootClock.microseconds - deposedAt > 6_000_000 { relay.faults.heldRequests = .keepAlive }
        }
        try await wait(for: "keep-alive by n1", timeout: .seconds(15)) { () async throws(BedError) in
            relay.faults.heldRequests != nil
        }
        self.find("\(keepAlives) keep-alives answered by the deposed leader")
        relay.answered = { if $0 == .read { relay.faults.holdsRequests = true } }
        try await bed.etcd.joinAgain(0)
        try await self.cutOffAfterRead()
        try await self.moveAway()
    }

    /// The member stands still for 11 s, several times: what n1 has asked meanwhile is answered when it continues, now and then
    /// before it hears of the election.
    func freezeLeader() async throws(BedError) {
        let (bed, rounds) = (self.bed, 6)
        try await self.startWithOneMember()
        var stale = 0
        for _ in 0..<rounds {
            let term = try await bed.patroni.term()
            bed.etcd.setFrozen(0, true)
            bed.note("\(EtcdCluster.name(0)) is frozen")
            try await self.waitForElection(after: term)
            try await pause(.seconds(10))
            let relay = bed.nodes[0].relays[0]
            relay.answered = { request in
                if request == .keepAlive, relay.faults.heldRequests == nil {
                    relay.faults.heldRequests = .keepAlive
                    stale += 1
                }
                if request == .read { relay.faults.holdsRequests = true }
            }
            bed.etcd.setFrozen(0, false)
            try await self.cutOffAfterRead()
            try await self.moveAway()
            for node in bed.nodes { try await node.heal() }
            try await bed.etcd.heal()
            try await bed.etcd.moveLeader(to: 0)
            try await bed.patroni.lead(0)
            try await self.waitForHolder(0)
        }
        self.find("\(rounds) times, \(stale) keep-alives answered before the first read")
    }

    /// The address must not leave n1 for a moment: Patroni names it, and a quorum answers.
    func loseEndpoint() async throws(BedError) {
        let (bed, node) = (self.bed, self.bed.nodes[0])
        node.configure(endpoints: [0], learns: true)
        try await self.startAll()
        try await wait(for: "other endpoints in n1's memory", timeout: .seconds(20)) { () async throws(BedError) in
            node.learnedCount >= EtcdCluster.size
        }
        bed.observer.receive()
        let before = bed.observer.events.count
        node.relays[0].isShut = true
        bed.note("n1's endpoint is gone")
        try await pause(.seconds(25))
        await node.stop(SIGKILL)
        try node.start()
        bed.note("n1's daemon begins without it")
        try await pause(.seconds(20))
        bed.observer.receive()
        let changes = bed.observer.events.dropFirst(before)
        guard bed.isHolding(0), changes.allSatisfy(\.isPresent) else { throw BedError("the address left n1") }
        self.find("n1 kept it for 45 s, over the endpoints that it had learned")
    }

    private func startWithOneMember() async throws(BedError) {
        self.bed.nodes[0].configure(endpoints: [0])
        try await self.bed.etcd.moveLeader(to: 0)
        try await self.startAll()
    }

    private func waitForElection(after term: UInt64) async throws(BedError) {
        try await wait(for: "election", timeout: .seconds(20)) { () async throws(BedError) in
            try await self.bed.patroni.term() > term
        }
        self.bed.note("another leads")
    }

    /// The read that is answered next is the last that n1 hears of.
    private func cutOffAfterRead() async throws(BedError) {
        let relay = self.bed.nodes[0].relays[0]
        try await wait(for: "read by n1", timeout: .seconds(15)) { () async throws(BedError) in
            relay.faults.holdsRequests
        }
        relay.answered = { _ in }
        relay.faults.holdsAnswers = true
        self.bed.note("n1 is cut off")
    }

    /// Patroni names n2, and n1 hears nothing of it.
    private func moveAway() async throws(BedError) {
        try await self.bed.patroni.lead(1)
        try await self.waitForHolder(1)
        try await wait(for: "end of the former address", timeout: .seconds(60)) { () async throws(BedError) in
            self.bed.observer.receive()
            return !self.bed.isHolding(0)
        }
    }
}
