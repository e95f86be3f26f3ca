// SPDX-License-Identifier: Apache-2.0
public import KernelPlaces
public import NetworkAddress

/// What came of taking addresses off a node, wherever they stand.
public struct ClearOutcome: Sendable, Equatable {
    public var removed: [VirtualAddress] = []
    /// What stands in the way of saying that none of them is left; empty: none is.
    public var problems: [String] = []

    public init() {}
}

extension AddressCommands {
    /// Takes `addresses` off every interface. What the listing shows is removed also where the listing was not understood
    /// in full, which then is a problem: what cannot be read may be one of them.
    public func clear(_ addresses: [IPAddress]) async -> ClearOutcome {
        var result = ClearOutcome()
        do throws(CommandFailure) {
            let kernel = try await self.list()
            var neighborhood = Neighborhood()
            neighborhood.follow(Set(addresses))
            neighborhood.learn(kernel)
            for place in neighborhood.leading() {
                if await SecondaryPromotion.ensure(on: place.interface) { continue }
                result.problems.append(
                    "\(place) was the first of its subnet, and promote_secondaries is not set: look whether the node's own addresses are still there (ip address show dev \(place.interface))"
                )
            }
            for found in addresses.flatMap({ kernel.places(of: $0) }) {
                switch await self.removeExactly(found.place) {
                case .success: result.removed.append(found.place)
                case .failure(let failure): result.problems.append("\(found.place): \(failure)")
                }
            }
            if let doubt = kernel.doubt { result.problems.append(doubt) }
        } catch {
            result.problems.append("\(error)")
        }
        return result
    }
}
