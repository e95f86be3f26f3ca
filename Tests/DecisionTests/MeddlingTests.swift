// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// What is told of an address that others change in this node's kernel, and of leases that etcd refuses, while it goes on.
struct MeddlingTests {
    private let address = Script.address

    @Test func `each of some times is told, then that it is a fight, with growing pauses`() {
        var meddling = Meddling()
        var told: [Int] = []
        for second in 0..<7200 {
            switch meddling.noted(at: Instant(sinceBoot: .seconds(second))) {
            case .thisTime: told.append(second)
            case .fight(let times, let span):
                #expect(times == second + 1 && span == .seconds(second))
                told.append(second)
            case .nothing: break
            }
        }
        #expect(told == Array(0...8) + [608, 4208])
        let later = Instant(sinceBoot: .seconds(7200)) + Meddling.calm
        #expect(!meddling.isFight(at: later))
        #expect(meddling.noted(at: later) == .thisTime)
    }

    @Test func `what a timer does each minute is a fight after an hour, and a few times now and then are none`() {
        var (timer, now) = (Meddling(), Instant(sinceBoot: .seconds(100)))
        var tellings: [Meddling.Telling] = []
        for _ in 0..<62 {
            now = now + .seconds(60)
            tellings.append(timer.noted(at: now))
        }
        #expect(tellings.prefix(60).allSatisfy { $0 == .thisTime })
        #expect(tellings.suffix(2) == [.fight(times: 61, within: .seconds(3600)), .nothing])
        var manager = Meddling()
        for _ in 0..<7 {
            now = now + .seconds(30)
            for _ in 0..<Meddling.patience {
                now = now + .seconds(1)
                #expect(manager.noted(at: now) == .thisTime)
            }
        }
    }

    @Test func `an address that somebody removes every second comes back each time, and floods no journal`() {
        var n1 = Script.holding()
        var (records, assignments): ([Report], Int) = ([], 0)
        for _ in 0..<60 {
            _ = n1.on(.kernelLost(self.address, Script.place), after: .seconds(1))
            let actions = n1.listed()
            records += n1.reports
            guard actions.contains(where: { if case .assign = $0 { true } else { false } }) else { continue }
            assignments += 1
            _ = n1.on(.assigned(self.address))
            records += n1.reports
            // Patroni leads, and etcd answers, all the time.
            _ = n1.read(etcd(leader: "n1", holder: mine(11)))
            _ = n1.on(.leaseKept(self.address, lease: 11, ttl: .seconds(30), sentAt: n1.now, by: Script.answerer()))
        }
        #expect(assignments == 60)
        let fights = records.filter { if case .foughtOver = $0 { true } else { false } }
        #expect(fights == [.foughtOver(self.address, interface: "eth0", times: 9, within: fights.span ?? .zero)])
        #expect(records.count { $0 == .removedByOthers(self.address, interface: "eth0") } == Meddling.patience)
        #expect(records.count { if case .assigned = $0 { true } else { false } } == Meddling.patience)
    }

    @Test func `an address that somebody adds every second where another leads is removed each time`() {
        var n1 = Script.started(etcd(leader: "n2", holder: theirs(40)))
        var (records, removals): ([Report], Int) = ([], 0)
        for _ in 0..<60 {
            _ = n1.on(.kernelSaw(.init(address: self.address, place: Script.place)), after: .seconds(1))
            let actions = n1.listed([Script.place])
            records += n1.reports
            guard actions.contains(.remove(self.address, Script.place)) else { continue }
            removals += 1
            _ = n1.on(.removed(self.address, Script.place, wasPresent: true))
            records += n1.reports
        }
        #expect(removals == 60)
        #expect(records.count < 20, "\(records)")
    }

    @Test func `in a fight too, what a new leader's address arrives by is told`() {
        var n1 = Script.started(etcd(leader: "n2", holder: theirs(40)))
        for _ in 0...(2 * Meddling.patience) {
            _ = n1.on(.kernelSaw(.init(address: self.address, place: Script.place)), after: .seconds(1))
            guard n1.listed([Script.place]).contains(.remove(self.address, Script.place)) else { continue }
            _ = n1.on(.removed(self.address, Script.place, wasPresent: true))
        }
        _ = n1.read(etcd(leader: "n1", revision: 50))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        _ = n1.acquired(11, 51)
        _ = n1.on(.assigned(self.address))
        #expect(n1.reports.contains { if case .assigned = $0 { true } else { false } }, "\(n1.reports)")
    }

    @Test func `leases that are refused are told at once and with growing pauses, another reason anew`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        var told: [Report] = []
        func refuse(_ reason: String) {
            _ = n1.on(.leaseRefused(self.address, reason: reason), after: .milliseconds(5))
            told += n1.reports.filter { if case .leaseRefused = $0 { true } else { false } }
            _ = n1.on(.tick, after: .seconds(1))
        }
        for _ in 0..<100 { refuse("etcd http://10.0.0.1:2379: database space exceeded") }
        #expect(told == [.leaseRefused(self.address, reason: "etcd http://10.0.0.1:2379: database space exceeded")])
        refuse("another")
        #expect(told.last == .leaseRefused(self.address, reason: "another"))
    }
}

extension [Report] {
    fileprivate var span: Duration? {
        guard case .foughtOver(_, _, _, let span)? = self.first else { return nil }
        return span
    }
}
