// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// The kernel: what others do to it, and what fails.
struct KernelTests {
    let address = Script.address
    let spec = Script.spec
    let place = Script.place
    let elsewhere = KernelPlace(interface: "eth1", prefixLength: 24)

    @Test func `an address deleted by hand comes back`() {
        var n1 = Script.holding()
        #expect(n1.on(.kernelLost(self.address, self.place), after: .seconds(1)) == [.inspect])
        let actions = n1.listed()
        #expect(n1.reports == [.removedByOthers(self.address, interface: "eth0")])
        #expect(actions.first == .stopAnnouncing(self.spec))
        guard case .assign(self.spec, _, isPresent: false)? = actions.last, actions.count == 2 else {
            Issue.record("\(actions)")
            return
        }
        #expect(n1.on(.assigned(self.address)) == [.startAnnouncing(self.spec)])
    }

    @Test func `an address added by hand where another leads is removed`() {
        var n1 = Script.started(etcd(leader: "n2", holder: theirs(40)))
        #expect(
            n1.on(.kernelSaw(.init(address: self.address, place: self.elsewhere)), after: .seconds(1)) == [.inspect])
        #expect(n1.listed([self.elsewhere]) == [.removeStray(self.address, self.elsewhere)])
        #expect(n1.reports == [.addedByOthers(self.address, interface: "eth1", prefixLength: 24)])
        #expect(n1.on(.removed(self.address, self.elsewhere, wasPresent: true)) == [])
        #expect(n1.on(.kernelSaw(.init(address: self.address, place: self.place)), after: .seconds(1)) == [.inspect])
        #expect(n1.listed([self.place]) == [.remove(self.address, self.place)])
    }

    @Test func `an address added by hand is removed also before etcd has answered`() {
        var n1 = Script()
        _ = n1.on(.tick)
        #expect(n1.listed() == [])
        _ = n1.on(.kernelSaw(.init(address: self.address, place: self.place)), after: .milliseconds(200))
        #expect(n1.listed([self.place]) == [.remove(self.address, self.place)])
        _ = n1.on(.removed(self.address, self.place, wasPresent: true))
        _ = n1.on(.kernelSaw(.init(address: self.address, place: self.elsewhere)), after: .milliseconds(200))
        #expect(n1.listed([self.elsewhere]) == [.removeStray(self.address, self.elsewhere)])
    }

    @Test func `an address added by hand in a second place of the holder is removed there, and stays in its own`() {
        var n1 = Script.holding()
        _ = n1.on(.kernelChanged, after: .seconds(1))
        #expect(n1.listed([self.place, self.elsewhere]) == [.removeStray(self.address, self.elsewhere)])
        let actions = n1.on(.removed(self.address, self.elsewhere, wasPresent: true))
        #expect(!actions.contains { if case .stopAnnouncing = $0 { true } else { false } })
        #expect(n1.reports == [.removed(self.address, interface: "eth1", reason: .misplaced)])
        #expect(n1.status?.isHere == true)
    }

    @Test func `a listing that shows what was put there changes nothing`() {
        var n1 = Script.holding()
        let until = n1.status?.until
        #expect(n1.on(.kernelChanged, after: .milliseconds(200)).contains(.inspect))
        #expect(n1.listed([self.place]) == [])
        #expect(until != nil && n1.status?.until == until)
    }

    @Test func `where neither place can be cleared, both are tried in turn`() {
        var n1 = Script.holding()
        _ = n1.on(.kernelChanged, after: .seconds(1))
        #expect(n1.listed([self.place, self.elsewhere]) == [.removeStray(self.address, self.elsewhere)])
        _ = n1.on(.removeFailed(self.address, self.elsewhere, reason: "busy"))
        _ = n1.watched(8, .leader("n2"))
        var tried: Set<KernelPlace> = []
        for _ in 0..<4 {
            for action in n1.on(.tick, after: .seconds(2)) {
                let place: KernelPlace
                switch action {
                case .remove(_, let configured): place = configured
                case .removeStray(_, let stray): place = stray
                default: continue
                }
                tried.insert(place)
                _ = n1.on(.removeFailed(self.address, place, reason: "busy"))
            }
        }
        #expect(tried == [self.place, self.elsewhere])
    }

    @Test func `an address added by hand during an adoption is removed, as nothing covers it`() {
        var n1 = Script.started(etcd(leader: "n1", holder: mine(9)))
        #expect(n1.status?.isHere == false)
        _ = n1.on(.kernelSaw(.init(address: self.address, place: self.place)), after: .milliseconds(200))
        #expect(n1.listed([self.place]) == [.remove(self.address, self.place)])
    }

    @Test func `whoever changes the kernel all the time makes it listed ten times a second, not more`() {
        var n1 = Script.holding()
        var listings = 0
        let begin = n1.now
        while n1.now - begin < .seconds(2) {
            var actions = n1.on(.kernelChanged, after: .milliseconds(2))
            if actions.contains(.inspect) { listings += 1 }
            actions = n1.listed([self.place])
            if actions.contains(.inspect) { listings += 1 }
        }
        #expect((10...21).contains(listings))
    }

    @Test func `changes of our own need no listing`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        _ = n1.acquired(11, 5)
        #expect(n1.on(.kernelSaw(.init(address: self.address, place: self.place))) == [])
        #expect(n1.on(.assigned(self.address)) == [.startAnnouncing(self.spec)])
        #expect(n1.on(.kernelSaw(.init(address: self.address, place: self.place))) == [])
    }

    @Test func `a listing that began before the last command ended proves nothing`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        _ = n1.acquired(11, 5)
        let begun = n1.now
        _ = n1.on(.assigned(self.address))
        let empty = KernelState(found: [], usableInterfaces: ["eth0"])
        #expect(n1.on(.inspected(empty, since: begun), after: .milliseconds(200)) == [.inspect])
        #expect(n1.status?.isHere == true)
    }

    @Test func `an assignment of unknown outcome is repeated, and then announced`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        _ = n1.acquired(11, 5)
        #expect(n1.on(.assignFailed(self.address, reason: "timed out"), after: .milliseconds(500)) == [.inspect])
        #expect(n1.status?.isHere == true)
        #expect(n1.listed([self.place]) == [])
        #expect(n1.reports == [])
        let actions = n1.on(.tick, after: .milliseconds(200))
        #expect(actions.contains { if case .assign(self.spec, _, isPresent: true) = $0 { true } else { false } })
        #expect(n1.on(.assigned(self.address)) == [.startAnnouncing(self.spec)])
    }

    @Test func `an assignment that fails is tried less and less often, and blames nobody`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        _ = n1.acquired(11, 5)
        var pauses: [Duration] = []
        for _ in 0..<6 {
            _ = n1.on(.assignFailed(self.address, reason: "no device"))
            let failedAt = n1.now
            var tried = false
            for _ in 0..<1000 where !tried {
                let kept = Event.leaseKept(
                    self.address, lease: 11, ttl: .seconds(30), sentAt: n1.now, by: Script.answerer())
                _ = n1.on(kept, after: .zero)
                _ = n1.on(
                    .readAnswered(etcd(leader: "n1", holder: mine(11), revision: 5), sentAt: n1.now), after: .zero)
                let state = KernelState(found: [], usableInterfaces: ["eth0"])
                _ = n1.on(.inspected(state, since: n1.now), after: .zero)
                #expect(!n1.reports.contains(.removedByOthers(self.address, interface: "eth0")))
                _ = n1.on(.postgres(.primary, askedAt: n1.now), after: .zero)
                tried = n1.wake().contains { if case .assign = $0 { true } else { false } }
            }
            pauses.append(n1.now - failedAt)
        }
        #expect(pauses == [200, 400, 800, 1600, 1600, 1600].map { .milliseconds($0) })
    }

    @Test func `a lifetime that ends by itself is a lapse, not somebody's deed`() {
        var n1 = Script.holding()
        _ = n1.on(.readFailed(reason: "timeout"), after: .milliseconds(26_900))
        #expect(n1.on(.kernelLost(self.address, self.place)).contains(.inspect))
        #expect(n1.listed().contains(.stopAnnouncing(self.spec)))
        #expect(n1.reports.contains(.lapsed(self.address, interface: "eth0")))
    }

    @Test func `a listing that fails is repeated after a second`() {
        var n1 = Script()
        _ = n1.on(.tick)
        #expect(n1.on(.inspectionFailed(reason: "timed out")) == [])
        #expect(n1.on(.tick, after: .milliseconds(999)) == [])
        #expect(n1.on(.tick, after: .milliseconds(1)) == [.inspect])
    }

    @Test func `a duplicate holder is reported`() {
        var n1 = Script.holding()
        #expect(n1.on(.duplicateSeen(self.address, linkAddress: "02:00:00:00:00:02")) == [])
        #expect(n1.reports == [.duplicateSeen(self.address, linkAddress: "02:00:00:00:00:02")])
    }

    @Test func `a router that answers each minute is told with growing pauses, another station at once`() {
        var n1 = Script.holding()
        /// Whether it is told that this station is seen, a moment later.
        func tells(_ link: String, after pause: Duration) -> Bool {
            _ = n1.on(.duplicateSeen(self.address, linkAddress: link), after: pause)
            return n1.reports.contains(.duplicateSeen(self.address, linkAddress: link))
        }
        let told = (0..<120).filter { _ in tells("a", after: .seconds(60)) }
        #expect(told == [0, 10, 70], "at once, after 10 minutes, an hour later")
        #expect(tells("b", after: .zero))
        #expect(tells("a", after: .seconds(1000)), "it had gone")
    }

    @Test func `a command that fails for one reason again and again is told once`() {
        var n1 = Script.holding()
        func tells(_ reason: String) -> Bool {
            _ = n1.on(.assignFailed(self.address, reason: reason), after: .milliseconds(1400))
            return n1.reports.contains(.assignFailed(self.address, reason: reason))
        }
        // As it comes from the shell: with the command, whose lifetime is another each time.
        #expect(
            (10..<28).count { tells("ip addr replace 10.0.0.3/24 dev eth0 valid_lft \($0): no such interface") } == 1)
        #expect(tells("not permitted"), "another reason")
    }
}
