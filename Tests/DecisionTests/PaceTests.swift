// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// However many reasons there are to ask, and however quickly each question is answered, nobody is asked without a pause.
struct PaceTests {
    private let start = Instant(sinceBoot: .seconds(100))

    @Test func `a question may be asked some times in a row, and then at its pace`() {
        var question = Question(due: self.start, pace: .init(pause: .milliseconds(100), ahead: .milliseconds(300)))
        var asked = 0
        for millisecond in 0..<1000 {
            let now = self.start + .milliseconds(millisecond)
            question.hasten(to: now)
            guard question.isDue(at: now) else {
                #expect(question.wakeAt(limit: .seconds(10), awakeSince: self.start) > now)
                continue
            }
            question.ask(at: now, next: now)
            asked += 1
            question.answered(now)
        }
        // Four in the first millisecond, and from then on one each 100 ms.
        #expect(asked == 13)
    }

    @Test func `a question that was asked seldom may be asked some times in a row again`() {
        var question = Question(due: self.start, pace: .init(pause: .milliseconds(100), ahead: .milliseconds(100)))
        for now in [0, 1, 1000, 1001].map({ self.start + .milliseconds($0) }) {
            question.hasten(to: now)
            #expect(question.isDue(at: now))
            question.ask(at: now, next: now)
            question.answered(now)
        }
        #expect(!question.isDue(at: self.start + .milliseconds(1002)))
    }

    @Test func `64 addresses that lose their keys one after another are not 64 reads`() {
        let specs = (1...64).map {
            AddressSpec(id: AddressID("10.0.0.\($0)"), prefixLength: 24, interface: "eth0", acquire: .leaderKey)
        }
        var n1 = Script(specs)
        _ = n1.on(.tick)
        _ = n1.listed()
        _ = n1.read(etcd(leader: "n1"))
        for (number, spec) in specs.enumerated() {
            let lease = LeaseID(number + 11)
            _ = n1.on(.leaseGranted(spec.id, lease: lease, ttl: .seconds(30), sentAt: n1.now))
            let acquired = n1.on(
                .acquired(
                    spec.id, lease: lease, revision: 5 + Int64(number), sentAt: n1.now, by: Script.answerer()))
            #expect(acquired.contains { if case .assign(spec, _, _) = $0 { true } else { false } })
            _ = n1.on(.assigned(spec.id))
        }
        let (begin, end) = (n1.now, n1.now + .seconds(1))
        var (reads, revision) = (0, Int64(100))
        func count(_ actions: [Action]) { if actions.contains(.read) { reads += 1 } }
        for spec in specs {
            revision += 1
            count(n1.watched(revision, .holder(spec.id, nil)))
            count(n1.on(.readFailed(reason: "timed out")))
        }
        #expect(n1.now - begin < .seconds(1))
        while n1.core.wakeAt < end {
            count(n1.wake())
            count(n1.on(.readFailed(reason: "timed out"), after: .milliseconds(1)))
        }
        #expect(reads > 0 && reads <= 15, "\(reads) reads")
    }

    @Test func `while the kernel keeps a command in its grip the addresses are not listed again and again`() {
        var n1 = Script.started(etcd(leader: "n1"))
        _ = n1.postgres(.primary)
        _ = n1.granted(11)
        let acquired = n1.acquired(11, 5)
        #expect(acquired.contains { if case .assign = $0 { true } else { false } })
        var listings = 0
        func count(_ actions: [Action]) { if actions.contains(.inspect) { listings += 1 } }
        count(n1.on(.kernelChanged))
        let end = n1.now + .seconds(42)
        while n1.now < end {
            count(n1.listed())
            count(n1.on(.tick, after: .milliseconds(100)))
        }
        #expect(listings == 1)
        // What came too early is made good when no command is under way any more: its right is over, so it is removed first.
        let place = Script.place
        #expect(n1.on(.assigned(Script.address)) == [.remove(Script.address, place)])
        #expect(n1.on(.removed(Script.address, place, wasPresent: true)).contains(.inspect))
    }
}
