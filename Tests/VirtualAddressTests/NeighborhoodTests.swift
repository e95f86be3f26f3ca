// SPDX-License-Identifier: Apache-2.0
import KernelPlaces
import NetworkAddress
import Testing

@testable import VirtualAddress

/// Where an address of ours is put, and which other place it leaves, by what the last listing showed.
struct NeighborhoodTests {
    private let ours = "10.77.0.100/24"
    private let alone = "10.77.0.100/32"

    /// On eth0, in the kernel's order: the first of a subnet is its primary.
    private func neighborhood(_ places: [String]) throws -> Neighborhood {
        let addresses = try places.enumerated().map { index, text in
            KernelAddress(
                place: try virtual(text), lifetime: .seconds(20), isTentative: false, isDuplicate: false,
                isSecondary: index > 0 && !text.hasSuffix("/32"))
        }
        var neighborhood = Neighborhood()
        neighborhood.follow([try virtual(self.ours).address.address])
        neighborhood.learn(KernelAddresses(interfaces: [], addresses: addresses, unreadable: 0))
        return neighborhood
    }

    @Test(arguments: [false, true])
    func `in whichever of two places an address is put, it leaves the other`(isProtected: Bool) throws {
        let (ours, alone) = (try virtual(self.ours), try virtual(self.alone))
        // Ours came first of its subnet, so the node's own address goes with it unless that is protected.
        let both = try self.neighborhood([self.ours, "10.77.0.1/24", self.alone])
        let assignment = both.assignment(of: ours) { _ in isProtected }
        #expect(assignment.place == (isProtected ? alone : ours))
        #expect(assignment.former == (isProtected ? ours : alone))
    }

    @Test(arguments: [false, true])
    func `an address that stands in one place is moved where that is safe, and leaves nothing else`(
        isProtected: Bool
    ) throws {
        let (ours, alone) = (try virtual(self.ours), try virtual(self.alone))
        let one = try self.neighborhood([self.ours, "10.77.0.1/24"])
        let assignment = one.assignment(of: ours) { _ in isProtected }
        #expect(assignment.place == (isProtected ? alone : ours))
        #expect(assignment.former == (isProtected ? ours : nil))
    }
}
