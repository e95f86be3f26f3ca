// SPDX-License-Identifier: Apache-2.0

/// The addresses of one interface that share the node's own subnet, in the kernel's order: the first is the primary.
///
/// As in Linux: what is added joins behind; when the primary goes, its secondaries go with it, unless the node promotes
/// them (`promote_secondaries`). Addresses of another prefix length are a subnet of their own and no concern here.
struct SimulatedSubnet: Equatable {
    enum Member: Equatable {
        /// The node's own address.
        case own
        /// A virtual one, as a slot of the kernel.
        case virtual(Int)
    }

    private(set) var members: [Member] = []

    var hasOwn: Bool { self.members.contains(.own) }

    /// An address that is there keeps its place.
    mutating func add(_ member: Member) {
        if !self.members.contains(member) { self.members.append(member) }
    }

    /// Answers which others go with it.
    mutating func remove(_ member: Member, promotesSecondaries: Bool) -> [Member] {
        guard let index = self.members.firstIndex(of: member) else { return [] }
        self.members.remove(at: index)
        guard index == 0, !promotesSecondaries else { return [] }
        defer { self.members = [] }
        return self.members
    }
}
