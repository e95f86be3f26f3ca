// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Whether clients find somebody at an address that is here.
struct PortWatchTests {
    private static let spec = AddressSpec(
        id: Script.address, prefixLength: 24, interface: "eth0", acquire: .writable, port: 6432)
    private static func holding(port: UInt16? = 6432) -> Script {
        let spec = AddressSpec(
            id: Script.address, prefixLength: 24, interface: "eth0", acquire: .writable, port: port)
        return Script.holding(Script([spec]))
    }

    /// Lets the clock run until the port is tried; answers for how long.
    private static func untilTried(_ n1: inout Script, within limit: Duration = .seconds(60)) -> Duration? {
        let begun = n1.now
        while n1.now - begun < limit {
            let actions = n1.wake()
            let triedAfter = actions.contains(.tryPort(Self.spec)) ? n1.now - begun : nil
            Self.goOn(&n1, actions)
            if let triedAfter { return triedAfter }
        }
        return nil
    }

    /// The lease goes on meanwhile.
    private static func goOn(_ n1: inout Script, _ actions: [Action]) {
        for action in actions {
            switch action {
            case .read: Self.goOn(&n1, n1.read(etcd(leader: "n1", holder: mine(11), revision: 5)))
            case .keepAlive(let id, let lease):
                let by = Script.answerer()
                Self.goOn(&n1, n1.on(.leaseKept(id, lease: lease, ttl: .seconds(30), sentAt: n1.now, by: by)))
            case .assign(let spec, _, _): Self.goOn(&n1, n1.on(.assigned(spec.id)))
            case .askPostgres: Self.goOn(&n1, n1.postgres(.primary))
            default: break  // Nothing else is asked for here.
            }
        }
    }

    private static func answer(_ n1: inout Script, _ answer: PortAnswer, port: UInt16 = 6432) -> [Report] {
        let askedAt = n1.now
        _ = n1.on(.portTried(Script.address, port: port, answer, askedAt: askedAt))
        return n1.reports
    }

    @Test func `a second after the address has come its port is tried, and every 30 s while it answers`() throws {
        var n1 = Self.holding()
        #expect(n1.status?.port == PortStatus(port: 6432, answer: nil, since: nil, isBelieved: false))
        #expect(try #require(Self.untilTried(&n1)) <= .seconds(1))
        #expect(Self.answer(&n1, .accepted) == [])
        #expect(n1.status?.port == PortStatus(port: 6432, answer: .accepted, since: nil, isBelieved: true))
        #expect(try #require(Self.untilTried(&n1)) <= .seconds(30))
        #expect(Self.answer(&n1, .accepted) == [])
        for _ in 1...3 {
            let pause = try #require(Self.untilTried(&n1))
            #expect(pause > .seconds(28) && pause <= .seconds(30), "\(pause)")
            #expect(Self.answer(&n1, .accepted) == [])
        }
    }

    @Test func `several addresses that came one after the other are tried in the same turns`() throws {
        let specs = (3...4).map {
            AddressSpec(id: "10.0.0.\($0)", prefixLength: 24, interface: "eth0", acquire: .leaderKey, port: 6432)
        }
        var n1 = Script.started(
            etcd(leader: "n2"), Script(specs), found: [])
        func here(_ count: Int) -> [KernelState.Found] {
            specs.prefix(count).map { .init(address: $0.id, place: $0.place, lifetime: .seconds(60)) }
        }
        // Whoever put them there: they are here.
        _ = n1.on(.inspected(KernelState(found: here(1), usableInterfaces: ["eth0"]), since: n1.now))
        _ = n1.on(
            .inspected(KernelState(found: here(2), usableInterfaces: ["eth0"]), since: n1.now), after: .seconds(3))
        var turns: [Int] = []
        for _ in 0..<400 where n1.now.sinceBoot < .seconds(200) {
            let tried = n1.wake().compactMap { if case .tryPort(let spec) = $0 { spec.id } else { nil } }
            for id in tried { _ = n1.on(.portTried(id, port: 6432, .accepted, askedAt: n1.now)) }
            if !tried.isEmpty { turns.append(tried.count) }
        }
        #expect(turns.suffix(3) == [2, 2, 2], "\(turns)")
    }

    @Test func `without a port none is tried, nor while the address is elsewhere`() {
        var off = Self.holding(port: nil)
        #expect(Self.untilTried(&off) == nil)
        #expect(off.status?.port == nil)
        var away = Script.started(etcd(leader: "n2", holder: theirs(9)), Script([Self.spec]))
        #expect(away.status?.port == nil)
        for _ in 1...20 { #expect(!away.wake().contains(.tryPort(Self.spec))) }
    }

    @Test func `what is refused twice is told once, and its end once`() throws {
        var n1 = Self.holding()
        _ = try #require(Self.untilTried(&n1))
        let since = n1.now
        #expect(Self.answer(&n1, .refused) == [])
        #expect(n1.status?.port == PortStatus(port: 6432, answer: .refused, since: since, isBelieved: false))
        #expect(try #require(Self.untilTried(&n1)) <= .seconds(5))
        let told = Self.answer(&n1, .refused)
        #expect(
            told == [.portClosed(Script.address, port: 6432, .refused, for: n1.now - since, .primary)], "\(told)")
        #expect(n1.status?.port == PortStatus(port: 6432, answer: .refused, since: since, isBelieved: true))
        for _ in 1...5 {
            #expect(try #require(Self.untilTried(&n1)) <= .seconds(10))
            #expect(Self.answer(&n1, .refused) == [])
        }
        _ = try #require(Self.untilTried(&n1))
        let open = Self.answer(&n1, .accepted)
        #expect(
            open.count == 1 && { if case .portOpen(Script.address, 6432, _?)? = open.first { true } else { false } }())
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .accepted) == [])
    }

    /// As by a restart of the server.
    @Test func `one refusal between two answers is not told, and after an answer the second comes 30 s later`() throws {
        var n1 = Self.holding()
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .accepted) == [])
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .refused) == [])
        #expect(try #require(Self.untilTried(&n1)) > .seconds(28))
        #expect(Self.answer(&n1, .accepted) == [])
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .refused) == [])
    }

    @Test func `what goes on is told again after ten minutes`() throws {
        var n1 = Self.holding()
        var told = 0
        let begun = n1.now
        while n1.now - begun < .seconds(720) {
            _ = try #require(Self.untilTried(&n1))
            told += Self.answer(&n1, .refused).count
        }
        #expect(told == 2)
    }

    @Test func `no answer at all is told as what it is`() throws {
        var n1 = Self.holding()
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .silent(after: .seconds(5))) == [])
        _ = try #require(Self.untilTried(&n1))
        let told = Self.answer(&n1, .silent(after: .seconds(5)))
        guard case .portClosed(_, _, .silent, _, _)? = told.first else {
            Issue.record("\(told)")
            return
        }
    }

    @Test func `what could not be tried counts neither way, and is told after the second time`() throws {
        var n1 = Self.holding()
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .refused) == [])
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .unknown(reason: "no free port")) == [])
        #expect(n1.status?.port?.answer == .unknown(reason: "no free port") && n1.status?.port?.isBelieved == false)
        _ = try #require(Self.untilTried(&n1))
        let told = Self.answer(&n1, .unknown(reason: "no free port"))
        #expect(told == [.portUntried(Script.address, port: 6432, reason: "no free port")])
        #expect(n1.status?.port?.isBelieved == true)
        // The row of refusals goes on where it was.
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .refused).count == 1)
        // And nothing is well because it could not be tried.
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .unknown(reason: "no free port")) == [])
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.answer(&n1, .accepted).count == 1)
    }

    @Test func `an answer from before the address came back, or of another port, says nothing`() throws {
        var n1 = Self.holding()
        _ = try #require(Self.untilTried(&n1))
        let askedAt = n1.now
        #expect(Self.answer(&n1, .refused, port: 5432) == [])
        #expect(n1.status?.port?.answer == nil)
        // It goes, and comes back.
        _ = n1.watched(6, .leader("n2"))
        _ = n1.on(.removed(Script.address, Script.place, wasPresent: true))
        #expect(n1.status?.port == nil)
        _ = n1.on(.portTried(Script.address, port: 6432, .refused, askedAt: askedAt))
        #expect(n1.status?.port == nil && n1.reports == [])
    }

    @Test func `a try that is never answered is told, asked again, and costs the node's health nothing`() throws {
        var n1 = Self.holding()
        _ = try #require(Self.untilTried(&n1))
        #expect(Self.untilTried(&n1, within: .seconds(50)) != nil)
        #expect(n1.core.unanswered.map(\.asked) == [.port(Script.address)])
        #expect(n1.core.unansweredForLeases == [])
        #expect(Self.answer(&n1, .accepted) == [])
        #expect(n1.core.unanswered == [])
    }

    @Test func `another port is news, whatever was told of the one before`() {
        let begin = Instant(sinceBoot: .seconds(1000))
        var watch = PortWatch(Script.address, at: begin)
        var now = begin
        func tell(_ answer: PortAnswer, _ port: UInt16) -> Report? {
            for _ in 0..<400 where !watch.advance(isHere: true, port: port, at: now) { now = now + .milliseconds(500) }
            return watch.learn(answer, port: port, askedAt: now, .primary, at: now)
        }
        #expect(tell(.refused, 5432) == nil && tell(.refused, 5432) != nil)
        // The advice was followed, and the pooler is down too.
        #expect(tell(.refused, 6432) == nil && tell(.refused, 6432) != nil)
        // Of this one nothing was said that could be over.
        #expect(tell(.accepted, 7432) == nil)
    }
}
