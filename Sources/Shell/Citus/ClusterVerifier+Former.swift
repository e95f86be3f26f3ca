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
    /// Why what is remembered could not be read.
    private let unread: String?
    /// Why nothing is remembered of this cluster here.
    private let forgotten: String?

    public init(_ places: KnownPlaces = KnownPlaces()) {
        (self.places, self.unread, self.forgotten) = (places, nil, nil)
    }

    /// As this node's daemon remembers it (`memory.json`).
    @EventLoop
    public init(_ settings: Settings, folder: String? = nil) {
        let found = MemoryFile(folder: folder ?? settings.instance.stateFolder, followsForgetful: false).load(
            MemoryFile.Owner(settings))
        self.places = found.memory.places
        (self.unread, self.forgotten) = found.isNothing ? (nil, found.problem ?? Self.nothing) : (found.problem, nil)
    }

    private static let nothing = "no daemon has written down on this node where members were"

    /// For a look at what stands in the etcd cluster `cluster`: whose places are asked, why not all are, and why none is known. After
    /// a restore etcd may be a new one: where members were before that, according to the old one, is where servers of old may run still.
    func looked(
        _ cluster: UInt64, isAfterRestore: Bool
    ) -> (cluster: UInt64, problem: String?, forgotten: String?) {
        let known = self.places.cluster ?? cluster
        if isAfterRestore { return (known, self.unread, self.forgotten) }
        let isOther = known != cluster
        return (
            cluster, self.unread ?? (isOther ? "what is remembered is of another etcd cluster" : nil), self.forgotten
        )
    }
}
