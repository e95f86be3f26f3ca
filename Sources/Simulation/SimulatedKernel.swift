// SPDX-License-Identifier: Apache-2.0
import Decision

/// The addresses in one node's kernel: each is there until its lifetime ends, and up to a second longer.
struct SimulatedKernel {
    /// One address in one place.
    struct Entry {
        var isPresent = false
        /// Put there by somebody else than our daemon.
        var isForeign = false
        /// True time at which its lifetime ends; nil: never.
        var endsAt: Time?
        /// What a suspend has used of the margin already.
        var delayed: Time = 0
        /// Raised at each change, so that an older expiry is recognized.
        var generation = 0
    }
    enum Interface { case up, down, missing }

    /// Where an address can stand.
    static let places = [
        KernelPlace(interface: "eth0", prefixLength: 24), KernelPlace(interface: "eth1", prefixLength: 24),
        KernelPlace(interface: "eth0", prefixLength: 32), KernelPlace(interface: "eth1", prefixLength: 32),
    ]
    static let interfaces = ["eth0", "eth1"]
    private static let interfaceIndices = [0, 1, 0, 1]
    /// Where the node's own address stands.
    static let ownPlace = places[0]

    private(set) var entries: [Entry]
    var interfaceStates = [Interface.up, .up]
    /// For each interface, the addresses of the node's own prefix length.
    var subnets = [SimulatedSubnet(), SimulatedSubnet()]
    /// For each interface, whether secondary addresses stay when their primary goes.
    var promotes = [false, false]
    /// True time until which every removal fails.
    var removalsFailUntil: Time = 0
    /// True time at which it last looked for addresses whose lifetime has ended.
    var lookedAt: Time = -SimulatedKernel.lookInterval
    /// It does not look again for as long (Linux: ADDRCONF_TIMER_FUZZ_MAX).
    static let lookInterval: Time = 1_000_000

    init(addresses: Int) {
        self.entries = Array(repeating: Entry(), count: addresses * Self.places.count)
    }

    static func slot(_ address: Int, _ place: KernelPlace) -> Int? {
        Self.places.firstIndex(of: place).map { address * Self.places.count + $0 }
    }

    static func place(of slot: Int) -> KernelPlace { Self.places[slot % Self.places.count] }
    static func interface(of slot: Int) -> Int { self.interfaceIndices[slot % self.places.count] }
    static func address(of slot: Int) -> Int { slot / Self.places.count }
    static func slots(of address: Int) -> Range<Int> {
        address * Self.places.count..<(address + 1) * Self.places.count
    }

    func state(of place: KernelPlace) -> Interface {
        for (index, name) in Self.interfaces.enumerated() where name == place.interface {
            return self.interfaceStates[index]
        }
        return .missing
    }

    /// Whether the address stands anywhere by our daemon's doing.
    func holds(_ address: Int) -> Bool {
        for slot in Self.slots(of: address) where self.entries[slot].isPresent && !self.entries[slot].isForeign {
            return true
        }
        return false
    }

    /// Whether the address stands on this interface, with whatever prefix length and by whomever.
    func stands(_ address: Int, on interface: String) -> Bool {
        Self.slots(of: address).contains {
            self.entries[$0].isPresent && Self.place(of: $0).interface == interface
        }
    }

    /// Whether the address stands anywhere.
    func answers(_ address: Int) -> Bool { Self.slots(of: address).contains { self.entries[$0].isPresent } }

    mutating func put(_ slot: Int, endsAt: Time?, isForeign: Bool) {
        self.entries[slot].isPresent = true
        self.entries[slot].isForeign = isForeign
        self.entries[slot].endsAt = endsAt
        self.entries[slot].delayed = 0
        self.entries[slot].generation += 1
    }

    /// Its lifetime stands still for a while.
    mutating func delay(_ slot: Int, by span: Time) {
        guard let endsAt = self.entries[slot].endsAt else { return }
        self.entries[slot].endsAt = endsAt + span
        self.entries[slot].delayed += span
        self.entries[slot].generation += 1
    }

    mutating func drop(_ slot: Int) {
        self.entries[slot].isPresent = false
        self.entries[slot].isForeign = false
        self.entries[slot].endsAt = nil
        self.entries[slot].generation += 1
    }
}
