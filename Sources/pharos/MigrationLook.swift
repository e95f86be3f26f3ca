// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import KernelPlaces
import Migration
import NetworkAddress
import Settings
import Shell
import Synchronization
import VirtualAddress

/// Asks etcd and this node's kernel for what `pharos migrate` tells beside the files.
enum MigrationLook {
    static func sight(_ settings: Settings) -> MigrationSight {
        let found = Mutex<MigrationSight?>(nil)
        let code = runOnLoop {
            let sight = await self.look(settings)
            found.withLock { $0 = sight }
            return 0
        }
        let none = MigrationSight(
            leader: .notAsked("this command's own loop ended"), members: nil, isMarked: nil, standings: [])
        return code == .success ? found.withLock { $0 } ?? none : none
    }

    @EventLoop
    private static func look(_ settings: Settings) async -> MigrationSight {
        let glance = await EtcdGlance(settings)
        let leader: MigrationSight.Leader =
            switch glance.leader {
            case .named(let name): .named(name)
            case .absent: .absent
            case .notAsked(let reason): .notAsked(reason)
            }
        let addresses = settings.addresses.map(\.prefix.address)
        return MigrationSight(
            leader: leader, members: glance.members, isMarked: glance.isMarked,
            standings: await self.standings(of: addresses))
    }

    @EventLoop
    private static func standings(
        of addresses: [IPAddress]
    ) async -> [(address: IPAddress, standing: MigrationSight.Standing)] {
        guard let ip = AddressCommands.findIP() else {
            return addresses.map { ($0, .notAsked("there is no program ip: install iproute2")) }
        }
        do throws(CommandFailure) {
            let kernel = try await AddressCommands(ipPath: ip).list()
            return addresses.map { address in
                let places = kernel.places(of: address).map { found in
                    let lifetime: String =
                        switch found.lifetime {
                        case .forever: "without an end"
                        case .seconds(let seconds): "for \(seconds) s"
                        }
                    return "on \(found.place.interface) as \(found.place.address), \(lifetime)"
                }
                if places.isEmpty, let doubt = kernel.doubt { return (address, .notAsked(doubt)) }
                return (address, .places(places))
            }
        } catch {
            return addresses.map { ($0, .notAsked("the kernel's addresses could not be listed: \(error)")) }
        }
    }
}
