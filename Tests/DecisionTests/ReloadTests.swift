// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Reload and stop.
struct ReloadTests {
    let address = Script.address
    let spec = Script.spec
    let place = Script.place

    private func settings(_ addresses: [AddressSpec]) -> CoreSettings {
        CoreSettings(member: "n1", node: "boot-a", addresses: addresses, clockDrift: 10_000)
    }

    @Test func `an address that moves to another interface is released and acquired again`() {
        var n1 = Script.holding()
        let moved = AddressSpec(id: self.address, prefixLength: 24, interface: "eth1", acquire: .writable)
        let actions = n1.on(.reconfigured(self.settings([moved])), after: .seconds(1))
        #expect(actions.prefix(2) == [.stopAnnouncing(self.spec), .remove(self.address, self.place)])
        #expect(n1.stance == .leave(.reconfigured))
        #expect(
            n1.on(.removed(self.address, self.place, wasPresent: true)) == [
                .revoke(self.address, lease: 11), .askPostgres,
            ])
        _ = n1.postgres(.primary)
        #expect(n1.on(.leaseRevoked(self.address, lease: 11)) == [.grantLease(self.address, ttl: .seconds(30))])
        #expect(n1.granted(12) == [.acquire(self.address, lease: 12, clusterID: Script.cluster)])
        let assigned = n1.acquired(12, 9)
        #expect(assigned.contains { if case .assign(moved, _, isPresent: false) = $0 { true } else { false } })
    }

    @Test func `an address that is configured away is released and forgotten`() {
        var n1 = Script.holding()
        _ = n1.on(.reconfigured(self.settings([])), after: .seconds(1))
        _ = n1.on(.removed(self.address, self.place, wasPresent: true))
        _ = n1.on(.leaseRevoked(self.address, lease: 11))
        #expect(n1.core.addressStatuses.isEmpty)
        #expect(n1.acquired(11, 30) == [])
    }

    @Test func `a new address is followed, and what the kernel showed before does not count for it`() {
        let second = AddressSpec(id: "10.0.0.4", prefixLength: 24, interface: "eth0", acquire: .leaderKey)
        var n1 = Script.started(etcd(leader: "n2"))
        let begun = n1.now
        #expect(
            n1.on(.reconfigured(self.settings([self.spec, second])), after: .seconds(1)) == [
                .read, .grantLease(self.address, ttl: .seconds(30)), .inspect,
            ])
        let old = KernelState(found: [], usableInterfaces: ["eth0"])
        _ = n1.on(.inspected(old, since: begun), after: .milliseconds(100))
        #expect(n1.core.addressStatuses.last?.stance == .wait(.noContactYet))
        _ = n1.read(etcd(leader: "n2"))
        let found = KernelState(
            found: [KernelState.Found(address: "10.0.0.4", place: second.place)], usableInterfaces: ["eth0"])
        #expect(n1.on(.inspected(found, since: n1.now)).contains(.remove("10.0.0.4", second.place)))
        #expect(!n1.reports.contains(.addedByOthers("10.0.0.4", interface: "eth0", prefixLength: 24)))
    }

    @Test func `a changed policy takes effect in place`() {
        let relaxed = AddressSpec(id: self.address, prefixLength: 24, interface: "eth0", acquire: .leaderKey)
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.granted(11)
        _ = n1.postgres(.standby)
        #expect(
            n1.on(.reconfigured(self.settings([relaxed])), after: .seconds(1)).contains(
                .acquire(self.address, lease: 11, clusterID: Script.cluster)))
    }

    @Test func `a stop takes the address off, gives the key back, and exits`() {
        var n1 = Script.holding()
        #expect(n1.on(.stop) == [.stopAnnouncing(self.spec), .remove(self.address, self.place)])
        #expect(
            n1.on(.removed(self.address, self.place, wasPresent: true)) == [
                .revoke(self.address, lease: 11)
            ])
        #expect(n1.on(.leaseRevoked(self.address, lease: 11)) == [.exit])
        #expect(n1.reports.last == .stopped(unreleased: []))
        #expect(n1.on(.tick) == [])
    }

    @Test func `a restart leaves everything to the next process, which adopts it`() {
        var n1 = Script.holding()
        #expect(n1.on(.handOver) == [.exit])
        #expect(n1.reports == [.handedOver(held: [self.address])])
        #expect(n1.on(.tick, after: .seconds(60)) == [])
        // In the middle of a change, too: the next process lists what came of it.
        var leaving = Script.holding()
        _ = leaving.watched(8, .leader("n2"))
        #expect(leaving.on(.handOver) == [.exit])
        // A stop is no restart any more.
        var stopping = Script.holding()
        _ = stopping.on(.stop)
        #expect(stopping.on(.handOver) == [])
    }

    @Test func `a stop ends after three seconds, whatever cannot be released`() {
        var n1 = Script.holding()
        _ = n1.on(.stop)
        _ = n1.on(.removed(self.address, self.place, wasPresent: true))
        _ = n1.on(.readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: n1.now))
        _ = n1.on(.leaseUnanswered(self.address, lease: 11, reason: "timeout"), after: .seconds(1))
        #expect(n1.on(.tick, after: .milliseconds(1999)).last == .exit)
        #expect(n1.reports.last == .stopped(unreleased: [self.address]))
    }

    @Test func `a stop before etcd was ever read clears the kernel and exits`() {
        var n1 = Script()
        _ = n1.on(.tick)
        _ = n1.listed([self.place])
        #expect(n1.on(.stop) == [.remove(self.address, self.place)])
        #expect(n1.on(.removed(self.address, self.place, wasPresent: true)) == [.exit])
    }

    @Test func `a stop right after the start waits for the first listing`() {
        var n1 = Script()
        _ = n1.on(.tick)
        #expect(n1.on(.stop) == [])
        #expect(n1.listed([self.place]) == [.remove(self.address, self.place)])
        #expect(n1.on(.removed(self.address, self.place, wasPresent: true)) == [.exit])
        #expect(n1.reports.last == .stopped(unreleased: []))
    }

    @Test func `a stop while a lease is being granted ends that lease`() {
        var n1 = Script.started(etcd(leader: "n1"))
        #expect(n1.on(.stop) == [])
        #expect(n1.granted(11) == [.revoke(self.address, lease: 11), .exit])
        #expect(n1.reports.last == .stopped(unreleased: []))
    }
}
