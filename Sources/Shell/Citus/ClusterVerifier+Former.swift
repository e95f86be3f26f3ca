// SPDX-License-Identifier: Apache-2.0
public import Decision
public import EventLoop
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
    nonisolated static let formerAtOnce = 32
}

/// Where members of all groups were, as far as anybody here remembers it.
public struct RememberedPlaces: Sendable {
    let places: KnownPlaces
    private let unread: String?

    public init(_ places: KnownPlaces = KnownPlaces()) { (self.places, self.unread) = (places, nil) }

    /// As this node's daemon remembers it (`memory.json`).
    @EventLoop
    public init(_ settings: Settings, folder: String? = nil) {
        let found = MemoryFile(folder: folder ?? settings.instance.stateFolder, followsForgetful: false).load(
            MemoryFile.Owner(settings))
        (self.places, self.unread) = (found.memory.places, found.problem)
    }

    /// Why it is not known where members of the cluster in this etcd were; nil where it is, or nobody asks for it.
    func problem(_ cluster: UInt64) -> String? {
        if let unread { return unread }
        guard let known = self.places.cluster, known != cluster else { return nil }
        return "what is remembered is of another etcd cluster"
    }
}
