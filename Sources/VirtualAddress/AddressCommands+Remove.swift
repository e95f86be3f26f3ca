// SPDX-License-Identifier: Apache-2.0
import EventLoop
public import KernelPlaces
import NetworkAddress

/// Removals. Whether an address is absent is never read from the words of an error, which differ from kernel to kernel:
/// where a command does not say that it removed something, all interfaces are listed. That also finds what survives the
/// renaming of its interface: absent under the old name is not absent.
extension AddressCommands {
    /// Makes the address absent from its interface, with whatever prefix length it is there, and confirms it.
    ///
    /// Success also when it was not there, or the interface is not. One command removes and looks again: `ip addr del`
    /// would not find an address of another prefix length. With `-s` it says whether there was one.
    public func remove(_ virtual: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        let address = virtual.address.address
        let flush = ["-s", "addr", "flush", "to", "\(address)/\(address.bitWidth)", "dev", virtual.interface]
        switch await self.change(flush, at: BootClock.microseconds) {
        case .success(let output):
            let text = String(decoding: output.prefix(500), as: UTF8.self)
            guard text.contains("Nothing to flush") else { return .success(.removed) }
            return await self.confirmAbsence(of: address, insteadOf: nil)
        case .failure(let failure):
            // As when it went away between the command's own look and its removal.
            guard failure.isRefusal else { return .failure(failure) }
            return await self.confirmAbsence(of: address, from: virtual.interface, insteadOf: failure)
        }
    }

    /// Takes the address out of exactly this place, and confirms it: with another prefix length it stays.
    ///
    /// Success also when it was not there; it may have moved elsewhere with its interface, which only a listing shows.
    public func removeExactly(_ virtual: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        let delete = ["addr", "del", "\(virtual.address)", "dev", virtual.interface]
        guard case .failure(let failure) = await self.change(delete, at: BootClock.microseconds) else {
            return .success(.removed)
        }
        guard failure.isRefusal else { return .failure(failure) }
        do throws(CommandFailure) {
            let kernel = try await self.listUndoubted()
            guard kernel.addresses.contains(where: { $0.place == virtual }) else { return .success(.wasAbsent) }
        } catch {
            return .failure(error)
        }
        // Refused although it is there: it has a peer, and this command does not find it.
        return await self.remove(virtual)
    }

    /// Absent from one interface; from the others too? `failure` is told where the address still stands on `interface`.
    private func confirmAbsence(
        of address: IPAddress, from interface: String = "", insteadOf failure: CommandFailure?
    ) async -> Result<RemovalOutcome, CommandFailure> {
        do throws(CommandFailure) {
            let places = try await self.listUndoubted().places(of: address).map(\.place)
            if let failure, places.contains(where: { $0.interface == interface }) { return .failure(failure) }
            guard let found = places.first else { return .success(.wasAbsent) }
            return .failure(CommandFailure(.elsewhere, note: "\(found)"))
        } catch {
            return .failure(error)
        }
    }

    /// A listing in which nothing is missing.
    private func listUndoubted() async throws(CommandFailure) -> KernelAddresses {
        let kernel = try await self.list()
        if let doubt = kernel.doubt { throw CommandFailure(.unreadable, note: doubt) }
        return kernel
    }
}

extension CommandFailure {
    /// `ip` ended by itself and said no, so nothing of it is under way any more.
    fileprivate var isRefusal: Bool {
        switch self.kind {
        case .noDevice, .noIPv6, .onlyOnce, .other: true
        case .tooLate, .timedOut, .notPermitted, .notStarted, .noSlot, .cancelled, .unreadable, .elsewhere: false
        }
    }
}
