// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed

/// How one subject reacted, run by run, in milliseconds since the put of the leader key was sent.
struct Reactions: Sendable {
    /// Until the address was on the new node.
    var on: [Double] = []
    /// Until it was off the old one.
    var off: [Double] = []
    /// During which both had it, over all runs.
    var overlap = 0.0
}

/// Something whose address follows a leader key.
@EventLoop
protocol Subject {
    var address: String { get }
    /// Names `node` in the leader key.
    func name(_ node: TestBed.Node) async throws(BedError)
}

/// Two daemons of ours.
@EventLoop
struct PharosSubject: Subject {
    static let scope = "bench"
    let etcd: EtcdServer
    let daemons: [Daemon]
    var address: String { Daemon.address }

    static func start(_ bed: TestBed) async throws(BedError) -> PharosSubject {
        let (etcd, observer) = try bed.parts()
        try await etcd.settle(self.scope)
        try await etcd.put(Daemon.leaderKey(self.scope), TestBed.Node.a.member)
        let first = try Daemon.start(bed, .a, scope: self.scope, ttl: 5)
        let second = try Daemon.start(bed, .b, scope: self.scope, ttl: 5)
        try await first.waitUntilHolding(observer)
        return PharosSubject(etcd: etcd, daemons: [first, second])
    }

    func name(_ node: TestBed.Node) async throws(BedError) {
        try await self.etcd.put(Daemon.leaderKey(Self.scope), node.member)
    }

    /// The longest turn of each daemon's loop since its start.
    func longestTurns() async throws(BedError) -> [LoopTurn] {
        var turns: [LoopTurn] = []
        for daemon in self.daemons { turns.append(try await daemon.longestTurn()) }
        return turns
    }

    func nameNobody() async throws(BedError) { try await self.etcd.delete(Daemon.leaderKey(Self.scope)) }
}

/// Two of Debian's vip-manager. Version 1 polls once a second (its default), and speaks etcd's API v2 only.
@EventLoop
struct VipManagerSubject: Subject {
    private static let key = "/service/vip/leader"
    let etcd: EtcdServer
    let address = "10.97.0.101"

    /// Answers why it cannot be measured, where it cannot.
    static func start(_ bed: TestBed) async throws(BedError) -> Result<VipManagerSubject, BedError> {
        let (etcd, observer) = try bed.parts()
        guard let program = Files.program("vip-manager") else { return .failure(BedError("it is not installed")) }
        do throws(BedError) {
            try await etcd.putV2(self.key, TestBed.Node.a.member)
        } catch {
            return .failure(BedError("it speaks etcd's API v2 only, which this etcd does not have (\(error))"))
        }
        let subject = VipManagerSubject(etcd: etcd)
        for node in [TestBed.Node.a, .b] {
            _ = try bed.start(
                "vip-manager \(node.member)",
                [
                    program, "--ip", subject.address, "--netmask", "24", "--interface", TestBed.interface,
                    "--trigger-key", self.key, "--trigger-value", node.member, "--dcs-type", "etcd",
                    "--dcs-endpoints", etcd.url,
                ],
                on: node
            )
        }
        try await wait(for: "address of vip-manager", timeout: .seconds(20)) {
            observer.isHeld(subject.address, on: TestBed.Node.a.id)
        }
        return .success(subject)
    }

    func name(_ node: TestBed.Node) async throws(BedError) { try await self.etcd.putV2(Self.key, node.member) }
}

/// The least that this protocol needs, one step after the other, with the daemon's own primitives: commits over a kept
/// HTTP connection, and spawns of `ip`.
@EventLoop
final class Floor {
    private static let leaderKey = "/floor/leader"
    private static let addressKey = "/floor/address"
    let address = "10.97.0.102"
    private let bed: TestBed
    private let etcd: EtcdServer
    private var lease: Int64?

    init(_ bed: TestBed) throws(BedError) {
        self.bed = bed
        self.etcd = try bed.parts().etcd
    }

    /// Somebody holds the address: three commits and two spawns.
    func move() async throws(BedError) {
        if self.lease == nil { try await self.take() }
        let old = self.lease
        let new = try await self.etcd.grant(seconds: 60)
        try await settle()
        self.beganAt = BootClock.microseconds
        try await self.etcd.put(Self.leaderKey, "n2")
        try await self.bed.ip(["addr", "del", "\(self.address)/24", "dev", TestBed.interface])
        if let old { try await self.etcd.revoke(old) }
        try await self.acquire(new)
    }

    /// Nobody holds it: two commits and one spawn.
    func take() async throws(BedError) {
        try await self.give()
        let new = try await self.etcd.grant(seconds: 60)
        try await settle()
        self.beganAt = BootClock.microseconds
        try await self.etcd.put(Self.leaderKey, "n2")
        try await self.acquire(new)
    }

    /// When the last run began, in microseconds since boot.
    private(set) var beganAt: Int64 = 0

    private func acquire(_ lease: Int64) async throws(BedError) {
        try await self.etcd.acquire(Self.addressKey, lease: lease, leader: Self.leaderKey, member: "n2")
        let lifetime = ["valid_lft", "58", "preferred_lft", "58"]
        try await self.bed.ip(["addr", "add", "\(self.address)/24", "dev", TestBed.interface] + lifetime)
        self.lease = lease
    }

    private func give() async throws(BedError) {
        guard let lease = self.lease else { return }
        self.lease = nil
        try await self.bed.ip(["addr", "del", "\(self.address)/24", "dev", TestBed.interface])
        try await self.etcd.revoke(lease)
    }
}
