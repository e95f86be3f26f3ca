// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What a listing shows of an address's place, lifetime and health.
struct KernelPlaceTests {
    let address = Script.address
    let spec = Script.spec
    let place = Script.place
    let alone = KernelPlace(interface: "eth0", prefixLength: 32)

    private func found(
        _ place: KernelPlace, lifetime: Duration? = .seconds(20), isDuplicate: Bool = false
    ) -> KernelState.Found {
        KernelState.Found(address: self.address, place: place, lifetime: lifetime, isDuplicate: isDuplicate)
    }

    private func isAssignment(_ action: Action) -> Bool { if case .assign = action { true } else { false } }

    // MARK: - Places

    @Test func `alone beside the node's own addresses, or in both ways during a move, is in its place`() {
        for places in [[self.alone], [self.place], [self.alone, self.place]] {
            var n1 = Script.holding()
            _ = n1.on(.kernelChanged, after: .seconds(1))
            #expect(n1.listed(found: places.map { self.found($0) }) == [])
            #expect(n1.reports == [])
            #expect(n1.status?.isHere == true)
            #expect(n1.watched(8, .leader("n2")).contains(.remove(self.address, self.place)))
        }
        for other in [
            KernelPlace(interface: "eth0", prefixLength: 25), KernelPlace(interface: "eth1", prefixLength: 32),
        ] {
            var n1 = Script.holding()
            _ = n1.on(.kernelChanged, after: .seconds(1))
            #expect(
                n1.listed(found: [self.found(self.alone), self.found(other)]) == [.removeStray(self.address, other)])
        }
    }

    @Test func `an IPv6 address stands alone with 128 bits`() {
        let spec = AddressSpec(id: "fd00::3", prefixLength: 64, interface: "eth0", acquire: .writable)
        #expect(spec.belongs(in: KernelPlace(interface: "eth0", prefixLength: 128)))
        #expect(spec.belongs(in: spec.place))
        #expect(!spec.belongs(in: KernelPlace(interface: "eth0", prefixLength: 32)))
    }

    @Test func `a key is not given back while the address stands anywhere, as after its interface was renamed`() {
        var n1 = Script.holding()
        _ = n1.watched(8, .leader("n2"))
        // The old name is gone; the address stands under the new one.
        #expect(n1.on(.removeFailed(self.address, self.place, reason: "elsewhere"), after: .seconds(1)) == [.inspect])
        let renamed = KernelPlace(interface: "wan0", prefixLength: 32)
        _ = n1.listed(found: [self.found(renamed)], up: ["wan0"])
        #expect(n1.status?.lease == 11)
        let actions = n1.on(.tick, after: .milliseconds(300))
        #expect(actions.contains(.removeStray(self.address, renamed)))
        #expect(n1.on(.removed(self.address, renamed, wasPresent: true)) == [.revoke(self.address, lease: 11)])
    }

    // MARK: - Lifetimes

    @Test(arguments: [nil, 40, 3600] as [Int?])
    func `a lifetime that somebody made longer than ours is set right at once, and told`(seconds: Int?) {
        var n1 = Script.holding()
        let lifetime = seconds.map { Duration.seconds($0) }
        _ = n1.on(.kernelChanged, after: .seconds(1))
        let actions = n1.listed(found: [self.found(self.place, lifetime: lifetime)])
        #expect(actions.count == 1 && actions.allSatisfy(self.isAssignment), "\(actions)")
        #expect(
            n1.reports == [.lifetimeChangedByOthers(self.address, interface: "eth0", lifetime: lifetime)])
    }

    @Test func `of two entries in its place the longer one counts`() {
        var n1 = Script.holding()
        _ = n1.on(.kernelChanged, after: .seconds(1))
        let actions = n1.listed(found: [self.found(self.alone), self.found(self.place, lifetime: nil)])
        #expect(actions.contains(where: self.isAssignment))
    }

    @Test func `our own lifetime, or a shorter one, is no surprise`() {
        for seconds in [0, 5, 27, 28] {
            var n1 = Script.holding()
            _ = n1.on(.kernelChanged, after: .milliseconds(200))
            #expect(n1.listed(found: [self.found(self.place, lifetime: .seconds(seconds))]) == [])
            #expect(n1.reports == [])
        }
    }

    @Test func `at the first listing an endless address is somebody else's, also for an adoption`() {
        var script = Script()
        _ = script.on(.tick)
        #expect(
            script.listed(found: [self.found(self.place, lifetime: nil)]) == [.remove(self.address, self.place)])
        var adopting = Script()
        _ = adopting.on(.tick)
        _ = adopting.read(etcd(leader: "n1", holder: mine(9)))
        let actions = adopting.listed(found: [self.found(self.place, lifetime: nil)])
        #expect(actions.contains(.remove(self.address, self.place)))
        _ = adopting.on(.removed(self.address, self.place, wasPresent: true))
        #expect(adopting.reports == [.removed(self.address, interface: "eth0", reason: .foreign)])
        // One with a lifetime is left to the adoption.
        var other = Script()
        _ = other.on(.tick)
        _ = other.read(etcd(leader: "n1", holder: mine(9)))
        #expect(!other.listed(found: [self.found(self.place)]).contains(.remove(self.address, self.place)))
    }

    // MARK: - Duplicate detection

    @Test func `an address whose duplicate detection has failed is removed, and then put there anew`() {
        var n1 = Script.holding()
        _ = n1.on(.kernelChanged, after: .seconds(1))
        #expect(
            n1.listed(found: [self.found(self.place, isDuplicate: true)]) == [
                .stopAnnouncing(self.spec), .remove(self.address, self.place),
            ])
        let actions = n1.on(.removed(self.address, self.place, wasPresent: true))
        #expect(n1.reports.contains(.removed(self.address, interface: "eth0", reason: .duplicateDetected)))
        #expect(actions.contains(where: self.isAssignment))
        #expect(n1.on(.assigned(self.address)).contains(.startAnnouncing(self.spec)))
        #expect(n1.status?.isHere == true)
    }

    @Test func `so is one that is found at the start, before etcd has answered`() {
        var n1 = Script()
        _ = n1.on(.tick)
        #expect(
            n1.listed(found: [self.found(self.place, isDuplicate: true)]) == [.remove(self.address, self.place)])
    }

    // MARK: - Carriers

    @Test func `an address whose link comes back is announced again at once; one that is not here is not`() {
        var n1 = Script.holding()
        #expect(n1.on(.linkReturned(interface: "eth1"), after: .seconds(1)) == [])
        #expect(n1.on(.linkReturned(interface: "eth0")) == [.stopAnnouncing(self.spec), .startAnnouncing(self.spec)])
        _ = n1.watched(8, .leader("n2"))
        #expect(!n1.on(.linkReturned(interface: "eth0")).contains(.startAnnouncing(self.spec)))
        _ = n1.on(.removed(self.address, self.place, wasPresent: true))
        #expect(!n1.on(.linkReturned(interface: "eth0")).contains(.startAnnouncing(self.spec)))
    }

    @Test func `the key stays until a listing shows where a stray went that its removal did not find`() {
        var n1 = Script.holding()
        let stray = KernelPlace(interface: "eth1", prefixLength: 24)
        _ = n1.on(.kernelChanged, after: .seconds(1))
        #expect(n1.listed([Script.place, stray]) == [.removeStray(Script.address, stray)])
        _ = n1.watched(8, .leader("n2"))
        // Its interface was renamed at that moment: nothing is there under the old name.
        let missed = n1.on(.removed(Script.address, stray, wasPresent: false), after: .milliseconds(200))
        #expect(missed == [.inspect])
        let renamed = KernelPlace(interface: "wan0", prefixLength: 24)
        _ = n1.listed([Script.place, renamed])
        #expect(n1.on(.tick, after: .milliseconds(201)) == [.remove(Script.address, Script.place)])
        #expect(
            n1.on(.removed(Script.address, Script.place, wasPresent: true)) == [.removeStray(Script.address, renamed)])
        let actions = n1.on(.removed(Script.address, renamed, wasPresent: true))
        #expect(actions == [.revoke(Script.address, lease: 11)])
    }

    @Test func `a lease that is longer than was asked for covers no lifetime that others made endless`() {
        var n1 = Script.started(etcd(leader: "n1"), Script(leaseTTL: .seconds(8)))
        _ = n1.postgres(.primary)
        _ = n1.granted(11, ttl: .seconds(29))
        _ = n1.acquired(11, 5)
        _ = n1.on(.assigned(self.address))
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(2))
        // The right has ended with the 8 s; the lifetime is covered by the lease.
        let quiet = n1.on(.tick, after: .seconds(7))
        #expect(!quiet.contains(.remove(self.address, self.place)))
        _ = n1.on(.kernelSaw(self.found(self.place, lifetime: nil)), after: .seconds(1))
        let actions = n1.listed(found: [self.found(self.place, lifetime: nil)])
        #expect(actions.contains(.remove(self.address, self.place)))
    }

    @Test func `a stray that cannot be removed does not keep the address from being renewed`() {
        var n1 = Script.holding()
        let stray = KernelPlace(interface: "eth1", prefixLength: 24)
        _ = n1.on(.kernelChanged, after: .seconds(1))
        #expect(n1.listed([self.place, stray]) == [.removeStray(self.address, stray)])
        // Nothing is due where the address belongs: the stray is tried again.
        _ = n1.on(.removeFailed(self.address, stray, reason: "busy"))
        #expect(n1.on(.tick, after: .milliseconds(201)).contains(.removeStray(self.address, stray)))
        let until = n1.status?.until
        for _ in 0..<6 {
            var actions = n1.on(.removeFailed(self.address, stray, reason: "busy"), after: .seconds(1))
            actions += n1.read(etcd(leader: "n1", holder: mine(11)), after: .seconds(1))
            actions += n1.on(
                .leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: n1.now, by: Script.answerer()))
            actions += n1.on(.tick, after: .seconds(2))
            if actions.contains(where: self.isAssignment) { _ = n1.on(.assigned(self.address)) }
        }
        guard let until, let now = n1.status?.until else {
            Issue.record("no lifetime")
            return
        }
        #expect(now > until + .seconds(10))
    }

    @Test func `a listing that comes late is no word of another's hand`() {
        var n1 = Script.holding()
        let until = n1.status?.until ?? n1.now
        let asked = n1.now
        let listing = KernelState(
            found: [self.found(self.place, lifetime: until - asked)], usableInterfaces: ["eth0", "eth1"])
        _ = n1.on(.kernelChanged, after: .zero)
        _ = n1.on(.inspected(listing, since: asked), after: .seconds(4))
        #expect(n1.reports == [])
    }

    /// Holds the address under a lease of 29 s where 8 s were asked for, as etcd grants no shorter one.
    private func holdingLonger() -> Script {
        var n1 = Script.started(etcd(leader: "n1"), Script(leaseTTL: .seconds(8)))
        _ = n1.postgres(.primary)
        _ = n1.granted(11, ttl: .seconds(29))
        _ = n1.acquired(11, 5)
        _ = n1.on(.assigned(self.address))
        // It is tried once to move the key to a lease as short as was asked for.
        _ = n1.granted(12, ttl: .seconds(29))
        _ = n1.acquired(12, 6)
        _ = n1.on(.assigned(self.address))
        #expect(n1.status?.lease == 12 && n1.status?.until != nil)
        return n1
    }

    @Test func `under a lease that is longer than was asked for, a slow clock takes its share of what was asked for`() {
        var n1 = self.holdingLonger()
        let until = n1.status?.until ?? n1.now
        for case .assign(_, let shorter, isPresent: true) in n1.on(.clockMeasured(partsPerMillion: -100_000)) {
            #expect(until - shorter == .milliseconds(800))
            return
        }
        Issue.record("the lifetime is not shortened")
    }

    @Test func `what an older TTL covers is no lifetime that others made endless`() {
        var n1 = self.holdingLonger()
        _ = n1.on(.readFailed(reason: "timeout"), after: .seconds(2))
        #expect(!n1.on(.tick, after: .seconds(7)).contains(.remove(self.address, self.place)))
        _ = n1.on(.kernelSaw(self.found(self.place, lifetime: nil)), after: .seconds(1))
        #expect(n1.listed(found: [self.found(self.place, lifetime: nil)]).contains(.remove(self.address, self.place)))
    }
}
