// SPDX-License-Identifier: Apache-2.0
public import EventLoop
public import KernelPlaces
public import NetworkAddress

/// Puts our addresses beside those that the node has of its own, so that neither takes the other along.
///
/// - Where the node has an address whose subnet contains ours, ours stands alone (IPv4 /32, IPv6 /128); see
///   ``Neighborhood``. What stands there with the configured length, as earlier versions put it, is moved without a gap:
///   first the new place, then away with the old one. (IPv6, and an ipvlan, has an address once on an interface: it stays as it
///   stands.)
/// - Where ours came first and the node's own stands behind it, it is not taken off before `promote_secondaries` is in
///   force for the interface. Where that cannot be, it is reported, and ours stays as it is until it must leave.
///
/// Leaves out: deciding whether an address belongs here.
@EventLoop
public final class AddressKeeper {
    /// Taking this address off would take addresses of the node's own along.
    public typealias Report = @EventLoop (VirtualAddress) -> Void

    private let commands: AddressCommands
    /// Whether the kernel keeps the others when it removes the first address of a subnet of this interface.
    private let promotes: @EventLoop (String) async -> Bool
    private let report: Report
    private var neighborhood = Neighborhood()
    private var reported: Set<VirtualAddress> = []
    /// Addresses of which the last command had no end in time: the next has more.
    private var slow: Set<IPAddress> = []

    public convenience init(ipPath: String, report: @escaping Report) {
        self.init(
            AddressCommands(ipPath: ipPath), promotes: { await SecondaryPromotion.ensure(on: $0) }, report: report)
    }

    init(
        _ commands: AddressCommands, promotes: @escaping @EventLoop (String) async -> Bool, report: @escaping Report
    ) {
        self.commands = commands
        self.promotes = promotes
        self.report = report
    }

    /// Which addresses are ours.
    public func follow(_ addresses: Set<IPAddress>) {
        self.neighborhood.follow(addresses)
        self.slow.formIntersection(addresses)
    }

    /// The kernel's name of an interface, where the configuration may use an alternative one.
    public func interface(_ name: String) -> String { self.neighborhood.interface(name) }

    /// The VRF that an interface is in, by any name of it; nil: it is in none.
    public func vrf(of interface: String) -> String? { self.neighborhood.kernel?.vrf(of: interface) }

    /// Lists all, and sees to it that nothing of the node's own hangs on an address of ours.
    public func list() async throws(CommandFailure) -> KernelAddresses {
        let kernel = try await self.commands.list()
        self.neighborhood.learn(kernel)
        let leading = self.neighborhood.leading()
        self.reported.formIntersection(leading)
        // All interfaces at a time: the listing must not take as long as there are interfaces.
        let protections = leading.map { place in EventLoop.spawn { _ = await self.protect(place) } }
        for protection in protections { await protection.value }
        return kernel
    }

    /// These were ours in an earlier process.
    public func forget(_ addresses: Set<IPAddress>) { self.neighborhood.forget(addresses) }

    /// The kernel reported that the address has gone from there.
    public func lost(_ place: VirtualAddress) { self.neighborhood.lost(place) }

    /// One change of the kernel; answers whether it is of the node's own addresses and concerns ours.
    public func saw(_ place: VirtualAddress) -> Bool { self.neighborhood.saw(place) }

    /// Like ``AddressCommands/assign(_:until:)``, in the place where it belongs beside the node's own addresses.
    public func assign(_ virtual: VirtualAddress, until: Int64) async -> Result<AssignOutcome, CommandFailure> {
        let assignment = await self.assignment(of: virtual)
        let outcome = await self.paced(assignment.place) { await $0.assign(assignment.place, until: until) }
        if case .failure(let failure) = outcome, failure.kind == .onlyOnce, let former = assignment.former {
            return await self.paced(former) { await $0.assign(former, until: until) }
        }
        // What stays of the old place, should this fail, may have a lifetime that others made endless: it must be done again.
        guard case .success = outcome, let former = assignment.former else { return outcome }
        if case .failure(let failure) = await self.paced(former, { await $0.removeExactly(former) }) {
            return .failure(failure)
        }
        self.neighborhood.lost(former)
        return outcome
    }

    /// Like ``AddressCommands/remove(_:)``.
    public func remove(_ virtual: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        let place = VirtualAddress(address: virtual.address, interface: self.interface(virtual.interface))
        for other in self.neighborhood.leading(at: place) { _ = await self.protect(other) }
        let outcome = await self.paced(place) { await $0.remove(place) }
        if case .success = outcome { self.neighborhood.lost(place.address.address, from: place.interface) }
        return outcome
    }

    /// Like ``AddressCommands/removeExactly(_:)``.
    public func removeStray(_ virtual: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        let place = VirtualAddress(address: virtual.address, interface: self.interface(virtual.interface))
        if self.neighborhood.leading().contains(place) { _ = await self.protect(place) }
        let outcome = await self.paced(place) { await $0.removeExactly(place) }
        if case .success = outcome { self.neighborhood.lost(place) }
        return outcome
    }

    /// A node that could not run a command in the usual time gets more for the next: else it would never change anything.
    private func paced<Outcome>(
        _ place: VirtualAddress,
        _ command: @EventLoop (AddressCommands) async -> Result<Outcome, CommandFailure>
    ) async -> Result<Outcome, CommandFailure> {
        let address = place.address.address
        var commands = self.commands
        if self.slow.remove(address) != nil { commands.pace = .patient }
        let outcome = await command(commands)
        if case .failure(let failure) = outcome, failure.kind == .timedOut { self.slow.insert(address) }
        return outcome
    }

    /// Where the address is put now. What changed while the old place was being protected is left for the next time.
    private func assignment(of virtual: VirtualAddress) async -> Neighborhood.Assignment {
        var unprotected: VirtualAddress?
        let assignment = self.neighborhood.assignment(of: virtual) { place in
            unprotected = place
            return false
        }
        guard let unprotected, await self.protect(unprotected) else { return assignment }
        return self.neighborhood.assignment(of: virtual) { $0 == unprotected }
    }

    /// Whether the node's own addresses survive the removal of this one; if not, that is reported, once.
    private func protect(_ place: VirtualAddress) async -> Bool {
        let isSafe = await self.promotes(place.interface)
        if !isSafe, self.reported.insert(place).inserted { self.report(place) }
        return isSafe
    }
}
