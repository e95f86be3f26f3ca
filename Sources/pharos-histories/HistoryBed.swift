// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed

/// The surroundings of a history: three nodes with real daemons and a real `ip`, three real etcd members, each in a namespace of
/// its own; this process in another, as Patroni's stand-in, as the relay between daemons and etcd, and as the observer of
/// all kernels.
@EventLoop
final class HistoryBed {
    nonisolated static let nodeCount = 3
    /// The address that all nodes share.
    nonisolated static let address = "10.98.0.100"

    let ground: Ground
    let etcd: EtcdCluster
    let patroni: PatroniStandIn
    let nodes: [Node]
    let observer: AddressObserver

    private init(_ ground: Ground) throws(BedError) {
        self.ground = ground
        self.observer = try AddressObserver()
        self.etcd = EtcdCluster(ground)
        self.patroni = PatroniStandIn()
        var nodes: [Node] = []
        for number in 0..<Self.nodeCount { nodes.append(try Node(number, ground)) }
        self.nodes = nodes
        self.observer.noted = { event in
            guard event.address == Self.address else { return }
            ground.note("kernel: n\(event.node) \(event.isPresent ? "has" : "has lost") the address")
        }
    }

    /// Makes the surroundings with a running etcd that has a leader key, and no daemon yet; runs `body` in them, and takes
    /// them away, however `body` ended.
    static func use<Result>(
        _ options: Ground.Options, _ body: (HistoryBed) async throws(BedError) -> Result
    ) async throws(BedError) -> Result {
        let ground = try Ground(options)
        do throws(BedError) {
            try await ground.make()
            let bed = try HistoryBed(ground)
            try await bed.etcd.heal()
            try await bed.patroni.initialize(leader: 0)
            let result = try await body(bed)
            await ground.remove()
            return result
        } catch {
            await ground.remove()
            throw error
        }
    }

    func note(_ text: String) { self.ground.note(text) }

    func isHolding(_ node: Int) -> Bool { self.observer.isHeld(Self.address, on: Node.id(node)) }

    /// Milliseconds during which two nodes had the address at once, since the beginning.
    func overlap() throws(BedError) -> Double {
        self.observer.receive()
        return try self.observer.overlap(of: Self.address)
    }

    /// How often the address came to a node that did not have it last.
    var switchovers: Int {
        let takers = self.observer.events.filter { $0.address == Self.address && $0.isPresent }.map(\.node)
        return zip(takers, takers.dropFirst()).count { $0 != $1 }
    }

    func waitUntilHolding(_ node: Int, timeout: Duration = .seconds(60)) async throws(BedError) {
        try await wait(for: "address on \(Node.member(node))", timeout: timeout) { () async throws(BedError) in
            self.observer.receive()
            return self.isHolding(node)
        }
    }
}
