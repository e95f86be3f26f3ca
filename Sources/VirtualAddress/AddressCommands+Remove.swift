// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkAddress

extension AddressCommands {
    /// Makes the address absent from its interface, with whatever prefix length it is there, and confirms it.
    ///
    /// Success also when it was not there, or the interface is not. One command removes and looks again: `ip addr del`
    /// would not find an address of another prefix length and so call it absent. With `-s` it says whether there was one.
    /// Where there was none, all interfaces are listed: an address survives the renaming of its interface, and absent
    /// under the old name is not absent.
    public func remove(_ virtual: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        let address = virtual.address.address
        let flush = ["-s", "addr", "flush", "to", "\(address)/\(address.bitWidth)", "dev", virtual.interface]
        var attempts = 0
        while true {
            attempts += 1
            switch await self.change(flush, at: BootClock.microseconds) {
            case .success(let output):
                let text = String(decoding: output.prefix(500), as: UTF8.self)
                guard text.contains("Nothing to flush") else { return .success(.removed) }
                return await self.confirmAbsence(of: address)
            case .failure(let failure):
                if failure.kind == .noDevice { return await self.confirmAbsence(of: address) }
                // It went away between the look and the removal: look again.
                guard failure.hasVanished, attempts < 3 else { return .failure(failure) }
            }
        }
    }

    /// Takes the address out of exactly this place, and confirms it: with another prefix length it stays.
    ///
    /// Success also when it was not there.
    public func removeExactly(_ virtual: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        let delete = ["addr", "del", "\(virtual.address)", "dev", virtual.interface]
        guard case .failure(let failure) = await self.change(delete, at: BootClock.microseconds) else {
            return .success(.removed)
        }
        if failure.kind == .noDevice { return await self.confirmAbsence(of: virtual.address.address) }
        guard failure.hasVanished else { return .failure(failure) }
        // The words for an address that is not there; but also for one with a peer, which this command does not find.
        do throws(CommandFailure) {
            let kernel = try await self.list()
            if let doubt = kernel.doubt { return .failure(CommandFailure(.unreadable, note: doubt)) }
            guard kernel.addresses.contains(where: { $0.place == virtual }) else { return .success(.wasAbsent) }
            return await self.remove(virtual)
        } catch {
            return .failure(error)
        }
    }

    /// Absent from one interface; from the others too?
    private func confirmAbsence(of address: IPAddress) async -> Result<RemovalOutcome, CommandFailure> {
        do throws(CommandFailure) {
            let kernel = try await self.list()
            if let doubt = kernel.doubt { return .failure(CommandFailure(.unreadable, note: doubt)) }
            guard let found = kernel.places(of: address).first else { return .success(.wasAbsent) }
            return .failure(CommandFailure(.elsewhere, note: "\(found.place)"))
        } catch {
            return .failure(error)
        }
    }
}

extension CommandFailure {
    /// There is no such address in the place where it was to be removed.
    fileprivate var hasVanished: Bool { self.output.contains("Cannot assign requested address") }
}
