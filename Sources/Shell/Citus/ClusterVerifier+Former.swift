// SPDX-License-Identifier: Apache-2.0
public import Decision
import EventLoop
public import Settings

extension ClusterVerifier {
    /// Who answers where members were, beside everything else that is asked: bounded by the time limits of each connection.
    func identify(_ places: FormerPlaces) -> Task<[Int: [NodeEndpoint: ServerIdentity]], Never> {
        EventLoop.task {
            let all = places.byGroup.flatMap { group, places in places.map { (group: group, place: $0) } }
            let answers = await inBatches(all, of: Self.formerAtOnce) { [nodes = self.nodes] known in
                (known.group, known.place, await nodes.identify(known.place))
            }
            return answers.reduce(into: [:]) { found, answer in found[answer.0, default: [:]][answer.1] = answer.2 }
        }
    }

    /// Most of them are switched off, and each costs its time limit.
    private nonisolated static let formerAtOnce = 64
}

/// Where members of all groups were, as this node's daemon remembers it (`memory.json`); nothing where this user may not read that.
@EventLoop
public func rememberedPlaces(_ settings: Settings, folder: String = "/var/lib/pharos") -> KnownPlaces {
    MemoryFile(folder: folder, followsForgetful: false).load(MemoryFile.Owner(settings)).memory.places
}
