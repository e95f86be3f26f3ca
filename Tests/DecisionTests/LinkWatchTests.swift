// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What is told of the interface of an address that belongs here.
struct LinkWatchTests {
    private let address = Script.address

    private func link(_ reports: [Report]) -> [Report] {
        reports.filter { report in
            switch report {
            case .linkLost, .linkBack, .removedByOthers: true
            default: false
            }
        }
    }

    /// The interface is seen as `change` leaves it, with the address on it.
    private func see(
        _ script: inout Script, found: Bool = true, up: Set<String> = ["eth0"], down: Set<String> = [],
        severed: Set<String> = []
    ) -> [Report] {
        _ = script.on(.kernelChanged, after: .milliseconds(200))
        let places = found ? [KernelState.Found(address: self.address, place: Script.place)] : []
        let state = KernelState(
            found: places, usableInterfaces: up, downInterfaces: down, severedInterfaces: severed)
        _ = script.on(.inspected(state, since: script.now))
        return self.link(script.reports)
    }

    @Test func `a link that goes is told once, the address stays, and that it is back`() {
        var n1 = Script.holding()
        #expect(self.see(&n1, severed: ["eth0"]) == [.linkLost(self.address, interface: "eth0", .severed)])
        #expect(n1.status?.interfaceState == .severed && n1.stance == .hold && n1.status?.isHere == true)
        #expect(self.see(&n1, severed: ["eth0"]) == [])
        #expect(self.see(&n1) == [.linkBack(self.address, interface: "eth0")])
        #expect(self.see(&n1, up: [], down: ["eth0"]) == [.linkLost(self.address, interface: "eth0", .down)])
        #expect(self.see(&n1) == [.linkBack(self.address, interface: "eth0")])
        #expect(self.see(&n1) == [])
    }

    @Test func `an interface that has gone with the address was taken away by nobody`() {
        var n1 = Script.holding()
        #expect(
            self.see(&n1, found: false, up: ["eth1"]) == [.linkLost(self.address, interface: "eth0", .missing)])
        #expect(n1.stance == .hold && n1.status?.isHere == false)
        #expect(self.see(&n1, found: false) == [.linkBack(self.address, interface: "eth0")])
        // The next time it goes with the address is told too: of that nothing else is.
        _ = n1.on(.assigned(self.address))
        #expect(
            self.see(&n1, found: false, up: ["eth1"]) == [.linkLost(self.address, interface: "eth0", .missing)])
    }

    @Test func `an address that goes with its interface to another name was added there by nobody`() {
        var n1 = Script.holding()
        _ = n1.on(.kernelChanged, after: .milliseconds(200))
        let elsewhere = KernelPlace(interface: "dmx", prefixLength: 32)
        let found = [KernelState.Found(address: self.address, place: elsewhere, lifetime: .seconds(20))]
        let actions = n1.on(
            .inspected(KernelState(found: found, usableInterfaces: ["dmx"]), since: n1.now))
        #expect(n1.reports == [.linkLost(self.address, interface: "eth0", .missing)])
        #expect(actions.contains(.removeStray(self.address, elsewhere)))
    }

    @Test func `what comes and goes is told with growing pauses, and what lasts again`() {
        var watch = LinkWatch()
        var told: [Int] = []
        for second in 0..<1300 {
            let now = Instant(sinceBoot: .seconds(second))
            let state: InterfaceState = second.isMultiple(of: 2) ? .severed : .usable
            if let news = watch.look(state, isHeld: true, at: now) { told.append(news == .back ? -second : second) }
        }
        #expect(told == [0, -1, 600, -601])
        var lasting = LinkWatch()
        let times = (0..<1300).filter {
            lasting.look(.down, isHeld: true, at: Instant(sinceBoot: .seconds($0))) != nil
        }
        #expect(times == [0, 600])
    }

    @Test func `where another holds the address nothing is told, and an interface without a carrier can be used`() {
        var n1 = Script.started(etcd(leader: "n2", holder: theirs(40)))
        #expect(self.see(&n1, found: false, severed: ["eth0"]) == [])
        var n2 = Script.started(etcd(leader: "n1"))
        _ = self.see(&n2, found: false, severed: ["eth0"])
        _ = n2.postgres(.primary)
        #expect(n2.granted(11) == [.acquire(self.address, lease: 11, clusterID: Script.cluster)])
    }
}
