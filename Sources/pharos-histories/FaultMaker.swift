// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkBed

/// Makes the faults of a plan happen, and undoes them.
@EventLoop
final class FaultMaker {
    private let bed: HistoryBed
    /// Names other addresses apart.
    private var disturbances = 0

    init(_ bed: HistoryBed) { self.bed = bed }

    /// Carries out one step to its end. Where it was cancelled, what it began is not undone: the bed is healed as a whole.
    func carryOut(_ step: Plan.Step) async throws(BedError) {
        try await pause(.milliseconds(step.at))
        let fault = step.isOfHolder ? self.ofHolder(step.fault) : await self.resolve(step.fault)
        if let trigger = step.trigger {
            try await self.await(trigger, then: fault)
        } else if !self.beginAtOnce(fault) {
            try await self.begin(fault)
        }
        self.bed.note("\(fault.text), for \(step.span) ms")
        try await pause(.milliseconds(step.span))
        try await self.end(fault)
        if step.span > 0 { self.bed.note("ended: \(fault.text)") }
    }

    /// Where it befalls the node that has the address now, if one has it.
    private func ofHolder(_ fault: Fault) -> Fault {
        guard let holder = self.bed.nodes.map(\.number).first(where: { self.bed.isHolding($0) }) else { return fault }
        switch fault {
        case .freezeDaemon(_, let withChildren): return .freezeDaemon(holder, withChildren: withChildren)
        case .holdBack(_, let requests, let answers): return .holdBack(holder, requests: requests, answers: answers)
        case .crashDaemon, .stopDaemon, .holdWay, .holdAnswers, .loseAnswers, .refuseConnections, .detach,
            .freezeMember,
            .crashMember, .cutMember, .disturbKernel, .lead:
            return fault
        }
    }

    /// With the number of the member that leads now.
    private func resolve(_ fault: Fault) async -> Fault {
        guard fault.isOfMember else { return fault }
        let leader = await self.bed.etcd.leader() ?? 0
        switch fault {
        case .freezeMember(.leader): return .freezeMember(.number(leader))
        case .crashMember(.leader): return .crashMember(.number(leader))
        case .cutMember(.leader, let says, let hears): return .cutMember(.number(leader), says: says, hears: hears)
        case .freezeMember, .crashMember, .cutMember, .freezeDaemon, .crashDaemon, .stopDaemon, .holdBack, .holdWay,
            .holdAnswers, .loseAnswers, .refuseConnections, .detach, .disturbKernel, .lead:
            return fault
        }
    }

    /// Begins `fault` in the moment in which the request passes, before it is passed on where that can be; after 3 s anyway.
    private func await(_ trigger: Plan.Trigger, then fault: Fault) async throws(BedError) {
        var (hasPassed, hasBegun) = (false, false)
        let relays = self.bed.nodes[trigger.node].relays
        for relay in relays {
            relay.requested = { request in
                guard !hasPassed, request == trigger.request else { return }
                hasPassed = true
                hasBegun = self.beginAtOnce(fault)
            }
        }
        let deadline = ContinuousClock.now + .seconds(3)
        while !hasPassed, ContinuousClock.now < deadline { try await pause(.milliseconds(1)) }
        for relay in relays { relay.requested = { _ in } }
        if !hasBegun, !self.beginAtOnce(fault) { try await self.begin(fault) }
    }

    /// Begins what needs no waiting; answers whether it did.
    private func beginAtOnce(_ fault: Fault) -> Bool {
        switch fault {
        case .freezeDaemon(let node, let withChildren):
            self.bed.nodes[node].setFrozen(true, withChildren: withChildren)
        case .freezeMember(.number(let member)):
            if !self.bed.etcd.isChanging { self.bed.etcd.setFrozen(member, true) }
        case .holdBack, .holdWay, .holdAnswers, .loseAnswers, .refuseConnections: self.setWays(fault, isFaulty: true)
        case .freezeMember(.leader), .crashDaemon, .stopDaemon, .detach, .crashMember, .cutMember, .disturbKernel,
            .lead:
            return false
        }
        return true
    }

    private func setWays(_ fault: Fault, isFaulty: Bool) {
        switch fault {
        case .holdBack(let node, let requests, let answers):
            for relay in self.bed.nodes[node].relays {
                if requests { relay.faults.holdsRequests = isFaulty }
                if answers { relay.faults.holdsAnswers = isFaulty }
            }
        case .holdWay(let node, let member):
            let relay = self.bed.nodes[node].relays[member]
            (relay.faults.holdsRequests, relay.faults.holdsAnswers) = (isFaulty, isFaulty)
        case .holdAnswers(let node, let request):
            for relay in self.bed.nodes[node].relays { relay.faults.heldKind = isFaulty ? request : nil }
        case .loseAnswers(let node, let request):
            for relay in self.bed.nodes[node].relays { relay.faults.lostKind = isFaulty ? request : nil }
        case .refuseConnections(let node):
            for relay in self.bed.nodes[node].relays { relay.faults.isClosed = isFaulty }
        case .freezeDaemon, .crashDaemon, .stopDaemon, .detach, .freezeMember, .crashMember, .cutMember, .disturbKernel,
            .lead:
            break  // Not of the ways to etcd.
        }
    }

    private func begin(_ fault: Fault) async throws(BedError) {
        switch fault {
        case .crashDaemon(let node, let forgets, _):
            await self.bed.nodes[node].stop(SIGKILL)
            if forgets { try await self.bed.nodes[node].forget() }
        case .stopDaemon(let node, _): await self.bed.nodes[node].stop(SIGTERM)
        case .detach(let node): try await self.bed.ground.setAttached(Node.member(node), false)
        case .crashMember(.number(let member)):
            if !self.bed.etcd.isChanging { await self.bed.etcd.kill(member) }
        case .cutMember(.number(let member), let says, let hears):
            if !self.bed.etcd.isChanging { try await self.bed.etcd.cut(member, says: says, hears: hears) }
        case .disturbKernel(let node): try await self.disturb(node)
        case .lead(let leader): try await self.bed.patroni.lead(leader)
        case .crashMember(.leader), .cutMember(.leader, _, _), .freezeMember, .freezeDaemon, .holdBack, .holdWay,
            .holdAnswers, .loseAnswers, .refuseConnections:
            break  // Resolved, or begun at once.
        }
    }

    /// An address with a lifetime of one second, set anew five times: each end lets the kernel look at all lifetimes, and then
    /// not again for a second.
    private func disturb(_ node: Int) async throws(BedError) {
        guard let ip = Files.program("ip") else { throw BedError("there is no ip program") }
        self.disturbances += 1
        let other = "10.98.\(1 + self.disturbances % 200).1/32"
        for _ in 0..<5 {
            try await self.bed.ground.run(
                in: Node.member(node),
                [ip, "addr", "replace", other, "dev", Namespaces.interface, "valid_lft", "1", "preferred_lft", "1"])
            try await pause(.milliseconds(700))
        }
    }

    private func end(_ fault: Fault) async throws(BedError) {
        switch fault {
        case .freezeDaemon(let node, _): self.bed.nodes[node].setFrozen(false)
        case .crashDaemon(let node, _, let thenOlder), .stopDaemon(let node, let thenOlder):
            try self.bed.nodes[node].start(isOlder: thenOlder)
        case .holdBack, .holdWay, .holdAnswers, .loseAnswers, .refuseConnections: self.setWays(fault, isFaulty: false)
        case .detach(let node): try await self.bed.ground.setAttached(Node.member(node), true)
        case .freezeMember(.number(let member)): self.bed.etcd.setFrozen(member, false)
        case .crashMember(.number(let member)): if !self.bed.etcd.isChanging { try self.bed.etcd.start(member) }
        case .cutMember(.number(let member), _, _):
            if !self.bed.etcd.isChanging { try await self.bed.etcd.joinAgain(member) }
        case .freezeMember(.leader), .crashMember(.leader), .cutMember(.leader, _, _), .disturbKernel, .lead:
            break  // Resolved, or over by itself, or to last.
        }
    }
}
