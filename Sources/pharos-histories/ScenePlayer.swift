// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import NetworkBed

/// Plays one scene; throws where it does not go as it must, besides two holders, which the observer counts.
@EventLoop
final class ScenePlayer {
    let bed: HistoryBed
    private(set) var findings: [String] = []
    private static let former = EtcdCluster.History(number: 0, token: "first")

    init(_ bed: HistoryBed) { self.bed = bed }

    func play(_ scene: Scene) async throws(BedError) {
        switch scene {
        case .return: try await self.comeBack(token: "second")
        case .sameNumber: try await self.comeBack(token: Self.former.token)
        case .restoredRestarted: try await self.restore(writes: 0, restarts: true)
        case .restoredBusy: try await self.restore(writes: 100, restarts: false)
        case .bumped: try await self.restore(writes: 2000, restarts: true)
        case .staleKeepAlive: try await self.cutLeader()
        case .frozenLeader: try await self.freezeLeader()
        case .restarts: try await self.restartAll()
        case .oneEndpoint: try await self.loseEndpoint()
        case .upgrade: try await self.replaceVersions()
        case .twoHolders: try await self.assignTwice()
        }
    }

    func find(_ text: String) {
        self.findings.append(text)
        self.bed.note(text)
    }

    // MARK: - Histories

    /// n1 acquires in an empty etcd and freezes; the former one comes back, and Patroni names n2 there.
    private func comeBack(token: String) async throws(BedError) {
        try await self.startAll()
        // No lease of then may hold the address up when this etcd comes back.
        try await self.release()
        let empty = EtcdCluster.History(number: 1, token: token)
        try await self.change(to: empty, leader: 0)
        try await wait(for: "acquisition in the empty etcd", timeout: .seconds(60)) { () async throws(BedError) in
            try await self.bed.patroni.value("address/\(HistoryBed.address)") != nil
        }
        try await self.waitForHolder(0)
        try await self.waitUntilRemembered()
        try await self.freezeAfterRenewal(0)
        try await self.change(to: Self.former, leader: 1)
        try await self.succeed(0, by: 1)
    }

    /// n1 acquires after a snapshot and freezes; the snapshot is restored, and Patroni names n2 there.
    private func restore(writes: Int, restarts: Bool) async throws(BedError) {
        try await self.startAll()
        try await self.release()
        let snapshot = "\(self.bed.ground.dataFolder)/snapshot"
        try await self.bed.etcd.saveSnapshot(snapshot)
        try await self.bed.patroni.lead(0)
        try await self.waitForHolder(0)
        try await self.waitUntilRemembered()
        let revision = try await self.bed.patroni.revision()
        try await self.freezeAfterRenewal(0)
        let restored = EtcdCluster.History(number: 1, token: Self.former.token)
        try await self.change(to: restored, restoring: snapshot, leader: 1, writes: writes) {
            () async throws(BedError) in
            guard restarts else { return }
            for node in [1, 2] {
                await self.bed.nodes[node].stop(SIGKILL)
                try self.bed.nodes[node].start()
            }
        }
        let now = try await self.bed.patroni.revision()
        self.find("revision \(revision) before, \(now) after")
        guard writes == 0 || now > revision else { throw BedError("the old revision was not passed") }
        try await self.succeed(0, by: 1)
    }

    /// Nobody leads, and nobody has the address.
    private func release() async throws(BedError) {
        try await self.bed.patroni.lead(nil)
        try await wait(for: "release by n1", timeout: .seconds(10)) { () async throws(BedError) in
            try await self.bed.patroni.value("address/\(HistoryBed.address)") == nil
        }
    }

    /// All start, n1 leads and acquires.
    func startAll(isOlder: Bool = false) async throws(BedError) {
        for node in self.bed.nodes { try node.start(isOlder: isOlder) }
        try await self.waitForHolder(0)
    }

    func waitForHolder(_ node: Int) async throws(BedError) {
        try await self.bed.waitUntilHolding(node, timeout: .seconds(90))
    }

    /// Waits until each node remembers the newest acquisition on disk.
    func waitUntilRemembered() async throws(BedError) {
        let trail = try await self.bed.patroni.value("trail/\(HistoryBed.address)")
        try await wait(for: "memory of every node", timeout: .seconds(10)) { () async throws(BedError) in
            self.bed.nodes.allSatisfy { $0.remembers(trail) }
        }
    }

    /// Freezes a daemon right after it has renewed, so that its address stays for as long as can be.
    private func freezeAfterRenewal(_ node: Int) async throws(BedError) {
        var hasRenewed = false
        let relays = self.bed.nodes[node].relays
        for relay in relays { relay.requested = { if $0 == .keepAlive { hasRenewed = true } } }
        try await wait(for: "keep-alive", timeout: .seconds(20)) { () async throws(BedError) in hasRenewed }
        for relay in relays { relay.requested = { _ in } }
        try await pause(.milliseconds(200))
        self.bed.nodes[node].setFrozen(true)
        self.bed.note("\(Node.member(node)) is frozen")
        guard self.bed.isHolding(node) else { throw BedError("\(Node.member(node)) had lost the address already") }
    }

    /// Brings etcd to another history while no daemon can read.
    private func change(
        to history: EtcdCluster.History, restoring snapshot: String? = nil, leader: Int, writes: Int = 0,
        meanwhile: () async throws(BedError) -> Void = {}
    ) async throws(BedError) {
        for relay in self.bed.nodes.flatMap(\.relays) { relay.isShut = true }
        try await self.bed.etcd.change(to: history, restoring: snapshot) { () async throws(BedError) in
            try await self.bed.patroni.initialize(leader: leader)
            try await self.bed.patroni.writeMuch(writes)
        }
        try await meanwhile()
        self.bed.note("etcd goes on, with \(Node.member(leader)) as the leader")
        for relay in self.bed.nodes.flatMap(\.relays) { relay.isShut = false }
    }

    /// Waits until the new leader has the address, then continues the former holder, which must not have it.
    private func succeed(_ former: Int, by node: Int) async throws(BedError) {
        let began = BootClock.microseconds
        try await self.waitForHolder(node)
        self.find("\(Node.member(node)) has it after \((BootClock.microseconds - began) / 1000) ms")
        try await wait(for: "end of the former address", timeout: .seconds(60)) { () async throws(BedError) in
            self.bed.observer.receive()
            return !self.bed.isHolding(former)
        }
        self.bed.nodes[former].setFrozen(false)
        try await pause(.seconds(2))
        guard !self.bed.isHolding(former), self.bed.isHolding(node) else {
            throw BedError("the address did not stay on \(Node.member(node))")
        }
    }

    /// No daemon runs.
    private func assignTwice() async throws(BedError) {
        guard let ip = Files.program("ip") else { throw BedError("there is no ip program") }
        for node in [0, 1] {
            try await self.bed.ground.run(
                in: Node.member(node), [ip, "addr", "add", HistoryBed.address + "/24", "dev", Namespaces.interface])
        }
        try await pause(.milliseconds(200))
        try await self.bed.ground.run(in: Node.member(0), [ip, "addr", "flush", "to", HistoryBed.address])
    }
}
