// SPDX-License-Identifier: Apache-2.0
import Decision

/// Announcements: whoever sends one draws every neighbor's traffic, so nobody may who does not hold the address.
extension World {
    func startAnnouncing(_ spec: AddressSpec, by node: SimulatedNode) {
        guard let address = self.specs.firstIndex(where: { $0.id == spec.id }),
            let slot = SimulatedKernel.slot(address, spec.place)
        else { return }
        self.announce(node.announcer.start(address, slot, at: self.now), of: address, by: node)
    }

    func stopAnnouncing(_ spec: AddressSpec, by node: SimulatedNode) {
        if let address = self.specs.firstIndex(where: { $0.id == spec.id }) { node.announcer.stop(address) }
    }

    /// The core has decided to remove the address from this place.
    func revokeAnnouncement(of id: AddressID, at place: KernelPlace, by node: SimulatedNode) {
        guard let address = self.specs.firstIndex(where: { $0.id == id }),
            let slot = SimulatedKernel.slot(address, place)
        else { return }
        node.announcer.revoke(address, slot)
    }

    /// A run's timer is due.
    func continueCourse(_ number: Int, of address: Int, by node: SimulatedNode) {
        guard let run = node.announcer.runs[address], run.number == number else { return }
        switch node.daemon {
        case .running: self.announce(run, of: address, by: node)
        case .frozen: node.announcer.postpone(address)
        case .dead: break
        }
    }

    /// The first turn of the loop after a freeze: timers may come before anything that was to be read.
    func announceOverdue(by node: SimulatedNode) {
        for address in node.announcer.takeOverdue() {
            if let run = node.announcer.runs[address] { self.announce(run, of: address, by: node) }
        }
    }

    private func announce(_ run: SimulatedAnnouncer.AnnouncementRun, of address: Int, by node: SimulatedNode) {
        let delay = SimulatedAnnouncer.delay(after: self.now - run.begin)
        self.schedule(
            .announcement(node.index, life: node.life, address, run: run.number), after: delay)
        // The announcer asks the kernel, and whether the right still lasts, each time.
        let isThere = node.kernel.stands(address, on: SimulatedKernel.place(of: run.slot).interface)
        let isAllowed = node.announcer.mayAnnounce(address, at: node.instant(at: self.now))
        guard isThere && isAllowed || self.mutation == .announcesBlindly else { return }
        let id = self.specs[address].id
        if !isThere { self.fail("\(node.member) announces \(id), which its kernel does not hold") }
        if run.isRevoked {
            self.fail("\(node.member) announces \(id), though it has decided to remove it")
        }
    }
}
