// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Rows that name places which are not, or not obviously, those of Patroni's members: nothing is changed about them unasked.
struct CitusPlacesTests {
    private static let app = CitusScript.database
    private static let a1 = NodeEndpoint("a1", 5432)
    private static let a2 = NodeEndpoint("a2", 5432)
    private static let alias = NodeEndpoint("10.0.0.9", 5432)

    /// The rows, with group 1's at another place.
    private static func rows(_ place: NodeEndpoint) -> [NodeRow] {
        var rows = CitusScript.rows
        rows[1].endpoint = place
        return rows
    }

    /// Whether any action changes rows.
    private static func writes(_ actions: [CitusAction]) -> Bool {
        actions.contains {
            switch $0 {
            case .update, .commitHold: true
            default: false  // The others read, or hold.
            }
        }
    }

    /// `production 2`: of another cluster; `standby X`: of this one, in recovery.
    private static func identity(_ text: String) -> ServerIdentity {
        let parts = text.split(separator: " ", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return .server(system: "own", started: text) }
        if parts[0] == "standby" { return .server(system: "own", started: parts[1], isInRecovery: true) }
        return .server(system: parts[0], started: parts[1])
    }

    /// Lets time pass, while `servers` says which server answers where; answers what else was to be done, and told.
    private func pass(
        _ script: inout CitusScript, _ span: Duration, rows: [NodeRow], servers: [NodeEndpoint: String]
    ) -> (actions: [CitusAction], reports: [CitusReport]) {
        script.answeredRows = rows
        var (all, reports): ([CitusAction], [CitusReport]) = ([], [])
        let end = script.now + span
        var pending = script.rowsRead(rows)
        reports += script.reports
        while script.now < end {
            pending += script.on(nil, after: .milliseconds(500))
            reports += script.reports
            while !pending.isEmpty {
                let action = pending.removeFirst()
                switch action {
                case .identify(let place):
                    let identity = servers[place].map { Self.identity($0) } ?? .unknown(reason: "no answer")
                    pending += script.on(.identified(place, identity, askedAt: script.now))
                    reports += script.reports
                case .askWritable(let place) where servers[place] != nil:
                    pending += script.answered(place.host, .primary)
                    reports += script.reports
                default: all.append(action)
                }
            }
        }
        return (all, reports)
    }

    @Test func `a name is the same in any case`() {
        let upper = NodeEndpoint("A1", 5432)
        #expect(upper == Self.a1 && upper.hashValue == Self.a1.hashValue && upper.description == "A1:5432")
        var renamed = Self.a2
        renamed.host = "a1"
        #expect(renamed == upper)
        _ = CitusScript.settled(rows: Self.rows(upper))
        // A leader that comes back under its own name in another case is no failover.
        #expect(RowPlan.isTrue(1, upper, [CitusScript.rows[1]], CitusSettings(group: 0, databases: [], mode: .own)))
    }

    @Test func `a row that leads to the leader by another name is left alone, through a failover too`() {
        var script = CitusScript.begun()
        script.answersReads = true
        let before = self.pass(
            &script, .seconds(100), rows: Self.rows(Self.alias), servers: [Self.alias: "A", Self.a1: "A"])
        #expect(!Self.writes(before.actions) && before.reports == [])
        // The address moves 20 s after the leader.
        _ = script.leads(1, "a2")
        let between = self.pass(&script, .seconds(20), rows: Self.rows(Self.alias), servers: [Self.a2: "B"])
        #expect(!Self.writes(between.actions) && between.reports == [])
        let after = self.pass(
            &script, .seconds(300), rows: Self.rows(Self.alias), servers: [Self.alias: "B", Self.a2: "B"])
        #expect(!Self.writes(after.actions) && after.reports == [])
    }

    @Test func `a row at a place that no member ever had is told after a minute, and never moved`() {
        var script = CitusScript.begun()
        script.answersReads = true
        let rows = Self.rows(Self.alias)
        let early = self.pass(&script, .seconds(55), rows: rows, servers: [Self.alias: "X", Self.a1: "A"])
        #expect(!Self.writes(early.actions) && early.reports == [])
        let late = self.pass(&script, .seconds(600), rows: rows, servers: [Self.alias: "X", Self.a1: "A"])
        #expect(!Self.writes(late.actions))
        #expect(late.reports == [.refused(Self.app, group: 1, .stranger(Self.alias, leader: Self.a1))])
        // A person has put it right: from then on it follows.
        _ = self.pass(&script, .seconds(15), rows: CitusScript.rows, servers: [Self.a1: "A"])
        _ = script.leads(1, "a2")
        let moved = self.pass(&script, .seconds(10), rows: CitusScript.rows, servers: [Self.a2: "B"])
        #expect(Self.writes(moved.actions))
    }

    /// A cluster that was restored beside the living one.
    @Test func `where every row names strangers nothing at all is written, no secondary either`() {
        var script = CitusScript.begun { $0.registersSecondaries = true }
        script.answersReads = true
        let rows = CitusScript.rows.map { row in
            var row = row
            row.endpoint.host = "production-\(row.endpoint.host)"
            return row
        }
        let servers = Dictionary(uniqueKeysWithValues: rows.map { ($0.endpoint, "production \($0.id)") })
        let found = self.pass(&script, .seconds(600), rows: rows, servers: servers)
        #expect(!Self.writes(found.actions))
        #expect(found.reports.count == 3)
    }

    /// A copy that was restored from base backups has the living cluster's system identifiers.
    @Test
    func `while one row leads to a stranger that accepts writes no other is changed: Citus would push the table there`()
    {
        for (answer, isWritten) in [("production 1", false), ("X", false), ("standby X", true)] {
            var script = CitusScript.begun()
            script.answersReads = true
            let rows = Self.rows(Self.alias)
            let b2 = NodeEndpoint("b2", 5432)
            _ = script.changed(2, .member("b2", CitusScript.standby("b2")))
            let servers = [Self.alias: answer, Self.a1: "A", b2: "B"]
            _ = self.pass(&script, .seconds(5), rows: rows, servers: servers)
            _ = script.leads(2, "b2")
            let found = self.pass(&script, .seconds(20), rows: rows, servers: servers)
            #expect(Self.writes(found.actions) == isWritten)
        }
    }

    @Test func `nothing is changed before it is known who answers at every place that rows name`() {
        var script = CitusScript.begun()
        script.answersReads = true
        let rows = Self.rows(Self.alias)
        let b2 = NodeEndpoint("b2", 5432)
        _ = script.changed(2, .member("b2", CitusScript.standby("b2")))
        _ = self.pass(&script, .seconds(5), rows: rows, servers: [Self.alias: "A", Self.a1: "A", b2: "B"])
        // Both are led by others; at the alias the answer takes its time.
        _ = script.changed(1, .member("a2", CitusScript.standby("a2")))
        _ = script.leads(1, "a2")
        var writes: [Instant] = []
        let begun = script.now
        var pending = script.leads(2, "b2") + script.answered("b2", .primary)
        for _ in 0..<40 {
            while let action = pending.popLast() {
                if Self.writes([action]) { writes.append(script.now) }
                if case .askWritable(let place) = action, place == b2 { pending += script.answered("b2", .primary) }
            }
            pending = script.on(nil, after: .milliseconds(500))
        }
        #expect(writes.first.map { $0 - begun >= .seconds(9) } == true, "\(writes.map { $0 - begun })")
    }

    @Test func `the places of another etcd cluster are forgotten, and those of an older version are kept`() {
        var places = KnownPlaces()
        places.learn(Self.a1, of: 1)
        let news = [places.follow(7), places.follow(7)]
        #expect(news == [true, false] && places.knows(Self.a1, of: 1))
        let isOther = places.follow(8)
        #expect(isOther && !places.knows(Self.a1, of: 1) && places.cluster == 8)
    }

    @Test func `the place of a leader that died while no daemon looked is remembered, and its row is moved`() {
        let places = CitusScript.begun().remembered
        #expect(places?.knows(Self.a1, of: 1) == true && places?.knows(Self.a1, of: 2) == false)
        // a1 is gone, and its key with it; a2 leads.
        func start(_ places: KnownPlaces) -> [CitusAction] {
            var script = CitusScript(.own, places: places)
            _ = script.on(nil)
            var snapshot = script.snapshot(at: 20)
            snapshot.facts.removeAll {
                guard $0.group == 1 else { return false }
                switch $0.fact {
                case .leader: return true
                case .member(let name, _): return name == "a1"
                default: return false
                }
            }
            snapshot.facts.append(GroupChange(1, .leader("a2", since: 19)))
            _ = script.groups(.read(snapshot, sentAt: script.now))
            return self.pass(&script, .seconds(1), rows: CitusScript.rows, servers: [Self.a2: "B"]).actions
        }
        #expect(Self.writes(start(places ?? KnownPlaces())))
        #expect(!Self.writes(start(KnownPlaces())))
    }

    /// A disaster site that follows another one: its leaders are in recovery, and its rows are the other site's.
    @Test func `the groups of a standby cluster are left alone until it is promoted`() {
        var script = CitusScript.begun()
        script.answersReads = true
        let leader = { (isStandbyLeader: Bool) in
            GroupMember(
                endpoint: Self.a1, isRunning: true, isPrimary: !isStandbyLeader, isStandbyLeader: isStandbyLeader)
        }
        _ = script.changed(1, .member("a1", leader(true)))
        let rows = Self.rows(Self.a2)
        let quiet = self.pass(&script, .seconds(200), rows: rows, servers: [Self.a1: "A"])
        #expect(!Self.writes(quiet.actions) && quiet.reports == [])
        #expect(!quiet.actions.contains(.askWritable(Self.a1)))
        _ = script.changed(1, .member("a1", leader(false)))
        #expect(Self.writes(self.pass(&script, .seconds(20), rows: rows, servers: [Self.a1: "A"]).actions))
    }

    /// Patroni's Citus mode maintains one database; nobody else writes the others.
    @Test func `a database that is Pharos's alone follows at once, also where another is not`() {
        for (own, isAtOnce) in [([Self.app] as Set, true), ([], false)] {
            var script = CitusScript.settled(.reconcile) { $0.ownDatabases = own }
            _ = script.leads(1, "a2")
            let actions = script.answered("a2", .primary)
            #expect(Self.writes(actions) == isAtOnce)
        }
    }

    @Test func `no more places are asked at once than may be`() {
        let rows =
            CitusScript.rows
            + (3...40).map { group in
                NodeRow(id: group + 1, group: group, endpoint: NodeEndpoint("alias\(group)", 1), role: .primary)
            }
        var script = CitusScript.begun()
        script.answersReads = true
        var asked: [CitusAction] = []
        for group in 3...40 {
            _ = script.changed(group, .member("m\(group)", CitusScript.standby("m\(group)")))
            _ = script.leads(group, "m\(group)")
        }
        asked = script.rowsRead(rows).filter { if case .identify = $0 { true } else { false } }
        #expect(asked.count == ServerIdentities.limit)
        guard case .identify(let first)? = asked.first else { return }
        let next = script.on(.identified(first, .server(system: "own", started: "x"), askedAt: script.now))
        #expect(next.count { if case .identify = $0 { true } else { false } } == 1)
    }

    @Test func `places are bounded, and the oldest of a group is forgotten first`() {
        var places = KnownPlaces()
        var news = 0
        for number in 0..<KnownPlaces.limit + 3 { news += places.learn(NodeEndpoint("n\(number)", 1), of: 1) ? 1 : 0 }
        let isNews = places.learn(NodeEndpoint("N5", 1), of: 1)
        #expect(news == KnownPlaces.limit + 3 && !isNews)
        #expect(places.byGroup[1]?.count == KnownPlaces.limit && !places.knows(NodeEndpoint("n2", 1), of: 1))
        for group in 2..<1000 { for port in 1...8 { places.learn(NodeEndpoint("n", port), of: group) } }
        #expect(places.byGroup.values.reduce(0) { $0 + $1.count } == KnownPlaces.totalLimit)
        // A group that is full still takes what is new.
        let stillLearns = places.learn(NodeEndpoint("new", 1), of: 1)
        #expect(stillLearns)
    }

    @Test func `where all places are taken, a group that has vanished makes room, and none that is there`() {
        var places = KnownPlaces(cluster: CitusScript.cluster)
        for group in 10..<10 + KnownPlaces.totalLimit / 8 {
            for port in 1...8 { places.learn(NodeEndpoint("n", port), of: group) }
        }
        var full = places
        let isLearned = full.learn(NodeEndpoint("a1", 5432), of: 1, isVanished: { $0 > 12 })
        #expect(isLearned && full.byGroup[13] == nil && full.byGroup[12] != nil && full.byGroup[14] != nil)
        var refusing = places
        let isRefused = !refusing.learn(NodeEndpoint("a1", 5432), of: 1)
        #expect(isRefused && refusing == places, "all of them are there")
        // Groups 0, 1 and 2 are in etcd.
        let remembered = CitusScript.begun(places: places).remembered
        #expect(remembered?.knows(NodeEndpoint("a1", 5432), of: 1) == true)
        #expect(remembered?.knows(NodeEndpoint("b1", 5432), of: 2) == true)
        #expect(remembered?.byGroup[10] == nil && remembered?.byGroup[11]?.count == 8)
    }
}
