// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import HTTPClient
import LeaseKeys
import NetworkAddress
import TestSupport
import Testing

@testable import Shell

/// What stands in etcd, and what the core is told of it.
struct PharosKeysTests {
    private let keys = PharosKeys(root: "/pharos/", namespace: "/service/", scope: "demo", group: nil)

    private func put(_ key: String, _ value: String, at revision: Int64 = 7, lease: Int64 = 0) -> KeyChange? {
        self.put(key, Array(value.utf8), at: revision, lease: lease)
    }

    private func put(_ key: String, _ value: [UInt8], at revision: Int64 = 7, lease: Int64 = 0) -> KeyChange? {
        let pair = KeyValue(
            key: Array(key.utf8), value: value, createRevision: 1, modRevision: revision, version: 1, lease: lease)
        return self.keys.change(WatchEvent(kind: .put, keyValue: pair))
    }

    // MARK: - The leader

    @Test func `the leader key names a member, or somebody who is not ours`() {
        #expect(self.put("/service/demo/leader", "n1") == .leader("n1"))
        let longest = String(repeating: "n", count: 255)
        #expect(self.put("/service/demo/leader", longest) == .leader(longest))
        for garbage: [UInt8] in [[], [0xFF, 0xFE], Array("n1\n".utf8), [0], [UInt8](repeating: 0x41, count: 256)] {
            #expect(self.put("/service/demo/leader", garbage) == .leader("(unreadable)"), "\(garbage.prefix(8))")
        }
    }

    // MARK: - Patroni's configuration

    @Test func `Patroni's configuration is read, and what cannot be read is named`() {
        func config(_ text: String) -> KeyChange? { self.put("/service/demo/config", text) }
        let good = DynamicConfig(isPaused: true, isFailsafeEnabled: true, ttl: .seconds(60), loopWait: .seconds(5))
        #expect(config(#"{"ttl":60,"loop_wait":5,"pause":true,"failsafe_mode":"on"}"#) == .patroni(good))
        #expect(config("{}") == .patroni(DynamicConfig()))
        for garbage in ["", "garbage", "[]", "null", "7", #"{"ttl":60"#] {
            #expect(config(garbage) == .patroni(nil), "\(garbage)")
        }
        for (text, fields) in [
            (#"{"ttl":"x"}"#, [.ttl, .loopWait]), (#"{"loop_wait":[]}"#, .loopWait),
            (#"{"retry_timeout":{}}"#, .loopWait),
            (#"{"pause":"perhaps"}"#, .isPaused), (#"{"failsafe_mode":2}"#, .isFailsafeEnabled),
            (#"{"synchronous_mode":7}"#, []), (#"{"ttl":9223372036854775807}"#, []),
        ] as [(String, DynamicConfig.Fields)] {
            guard case .patroni(let config?) = config(text) else {
                Issue.record("no configuration: \(text)")
                continue
            }
            #expect(config.unreadable == fields, "\(text)")
            #expect(config.ttl <= .seconds(86_400))
        }
    }

    // MARK: - The mark

    @Test func `only the text that acquisitions compare with is a mark`() {
        func mark(_ text: String) -> KeyChange? { self.put("/pharos/demo/cluster", text, at: 9) }
        #expect(mark("7") == .mark(ClusterMark(clusterID: 7, revision: 9)))
        #expect(mark("\(UInt64.max)") == .mark(ClusterMark(clusterID: .max, revision: 9)))
        for garbage in ["", "x", "+7", "007", "7 ", "-1", "18446744073709551616", "7\n"] {
            #expect(mark(garbage) == .mark(ClusterMark(clusterID: nil, revision: 9)), "\(garbage)")
        }
    }

    @Test func `a mark is replaced whatever it says, if it is still the one that was seen`() {
        let quarantine = Trail.Entry(lease: 5, ttl: .seconds(30))
        let transaction = self.keys.marking(7, seen: 9, quarantine: quarantine, [])
        #expect(transaction.compares == [.init("/pharos/demo/cluster", is: .modRevision(9))])
        #expect(
            self.keys.marking(7, seen: 0, quarantine: quarantine, []).compares
                == [.init(self.keys.mark, is: .modRevision(0))])
        #expect(
            transaction.success == [
                .put(key: "/pharos/demo/cluster", value: Array("7".utf8), lease: 0),
                .put(key: "/pharos/demo/quarantine", value: Array("new cluster".utf8), lease: 5),
            ])
    }

    // MARK: - Trails

    @Test func `a trail is read back as it was written, and anything else is none`() {
        let trail = Trail([
            .init(lease: 712, ttl: .seconds(30)), .init(lease: -5, ttl: .seconds(60), isQuarantine: true),
        ])
        let value = PharosKeys.value(of: trail)
        #expect(value == Array("712:30 q-5:60".utf8))
        #expect(
            self.put("/pharos/demo/trail/10.0.0.3", value, at: 9) == .trail("10.0.0.3", TrailInEtcd(trail, revision: 9))
        )
        for garbage in [
            "", " ", "712", "712:0", "712:x", "712:30 ", " 712:30", "+712:30", "712:86401", "712:30\n", "q", "q712",
            "qq712:30",
        ] {
            #expect(
                self.put("/pharos/demo/trail/a", garbage, at: 9) == .trail("a", TrailInEtcd(Trail(), revision: 9)),
                "\(garbage)")
        }
    }

    @Test func `an acquisition is of the history that was seen, and writes itself down`() {
        let seen = TrailInEtcd(Trail([.init(lease: 4, ttl: .seconds(30))]), revision: 6)
        let step = TrailStep(seen: seen, next: seen.trail.extended(by: .init(lease: 5, ttl: .seconds(30))))
        let holder = Holder(member: "n1", node: "boot", lease: 5, ttl: .seconds(30))
        let unchanged = Transaction.Compare("/pharos/demo/trail/a", is: .value(Array("4:30".utf8)))
        let put = Transaction.Operation.put(key: "/pharos/demo/trail/a", value: Array("5:30 4:30".utf8), lease: 0)
        for transaction in [
            self.keys.acquisition(of: "a", holder, clusterID: 7, step, since: 1, reading: ["a"]),
            self.keys.takeOver(of: "a", holder, from: 4, clusterID: 7, step, since: 1, reading: ["a"]),
        ] {
            #expect(transaction.compares.contains(unchanged))
            #expect(transaction.success.contains(put))
            #expect(transaction.failure.contains(.range(.key("/pharos/demo/trail/a"), limit: 1)))
        }
    }

    @Test func `a trail that is absent or cannot be read is compared by its revision`() {
        for revision: Int64 in [0, 9] {
            let step = TrailStep(seen: TrailInEtcd(Trail(), revision: revision), next: Trail())
            let transaction = self.keys.marking(
                7, seen: 9, quarantine: .init(lease: 5, ttl: .seconds(30), isQuarantine: true), [Addressed("a", step)])
            #expect(transaction.compares.contains(.init("/pharos/demo/trail/a", is: .modRevision(revision))))
            #expect(
                transaction.success.contains(
                    .put(key: "/pharos/demo/trail/a", value: Array("q5:30".utf8), lease: 0)))
        }
    }

    /// etcd's `--max-txn-ops` is 128 unless somebody chose otherwise: for the comparisons, and for each branch.
    @Test func `what 64 addresses need fits into one transaction`() {
        let full = Trail((0..<Int64(Trail.limit)).map { .init(lease: $0, ttl: .seconds(30)) })
        let ids = (0..<64).map { "10.0.0.\($0)" }
        let step = TrailStep(seen: TrailInEtcd(full, revision: 3), next: full)
        let holder = Holder(member: "n1", node: "boot", lease: 5, ttl: .seconds(30))
        for transaction in [
            Transaction(compares: [], success: self.keys.reads(of: ids)),
            self.keys.acquisition(of: ids[0], holder, clusterID: 7, step, since: 1, reading: ids),
            self.keys.takeOver(of: ids[0], holder, from: 4, clusterID: 7, step, since: 1, reading: ids),
            self.keys.marking(
                7, seen: 9, quarantine: .init(lease: 5, ttl: .seconds(30)), ids.map { Addressed($0, step) }),
        ] {
            #expect(transaction.compares.count <= 128)
            #expect(transaction.success.count <= 128 && transaction.failure.count <= 128)
        }
    }

    // MARK: - Transactions

    private static let firstStep = TrailStep(
        seen: TrailInEtcd(), next: Trail([.init(lease: 5, ttl: .seconds(30))]))

    @Test func `only the leader acquires an address, from nobody, in the marked cluster, outside quarantine`() {
        let holder = Holder(member: "n1", node: "boot", lease: 5, ttl: .seconds(30))
        let transaction = self.keys.acquisition(
            of: "10.0.0.3", holder, clusterID: 7, Self.firstStep, since: 1, reading: ["10.0.0.3"])
        let compares: [Transaction.Compare] = [
            .init("/service/demo/leader", is: .value(Array("n1".utf8))),
            .absent("/pharos/demo/address/10.0.0.3"), .absent("/pharos/addresses/10.0.0.3"),
            .init("/pharos/demo/cluster", is: .value(Array("7".utf8))),
            .absent("/pharos/demo/quarantine"),
        ]
        for compare in compares { #expect(transaction.compares.contains(compare), "\(compare)") }
        let value = PharosKeys.value(of: holder, since: 1)
        #expect(
            transaction.success == [
                .put(key: "/pharos/demo/address/10.0.0.3", value: value, lease: 5),
                .put(key: "/pharos/demo/trail/10.0.0.3", value: Array("5:30".utf8), lease: 0),
                .put(key: "/pharos/addresses/10.0.0.3", value: Array("/service/demo".utf8), lease: 5),
            ])
        let look = Transaction.Operation.range(.key("/pharos/addresses/10.0.0.3"), limit: 1)
        #expect(transaction.failure == self.keys.reads(of: ["10.0.0.3"]) + [look])
    }

    @Test func `without the right to the keys that all scopes share, nothing of them is asked`() {
        let holder = Holder(member: "n1", node: "boot", lease: 5, ttl: .seconds(30))
        for transaction in [
            self.keys.acquisition(
                of: "10.0.0.3", holder, clusterID: 7, Self.firstStep, since: 1, fence: .unused, reading: []),
            self.keys.takeOver(
                of: "10.0.0.3", holder, from: 4, clusterID: 7, Self.firstStep, since: 1, fence: .unused, reading: []),
        ] { #expect(!"\(transaction)".contains("/pharos/addresses/")) }
    }

    @Test(
        arguments: [
            (nil, "/service/demo", nil), (nil, "/service/other", "/service/other"), (nil, "", "(unreadable)"),
            (nil, "\u{1b}[2J", "(unreadable)"), (1, "/service/demo/1", nil), (1, "/service/demo", "/service/demo"),
        ] as [(Int?, String, String?)])
    func `whose an address is that this cluster does not have, is told`(group: Int?, value: String, rival: String?) {
        let keys = PharosKeys(root: "/pharos/", namespace: "/service/", scope: "demo", group: group)
        let pair = KeyValue(
            key: Array("/pharos/addresses/10.0.0.3".utf8), value: Array(value.utf8), createRevision: 4, modRevision: 4,
            version: 1, lease: 9)
        let header = Header(clusterID: 7, memberID: 1, revision: 5, raftTerm: 2)
        #expect(keys.snapshot(header, [.range([pair])]).rivals == (rival.map { [Addressed("10.0.0.3", $0)] } ?? []))
    }

    @Test func `a fence that a version before left behind is passed by its own cluster`() {
        let holder = Holder(member: "n1", node: "boot", lease: 5, ttl: .seconds(30))
        let transaction = self.keys.acquisition(
            of: "10.0.0.3", holder, clusterID: 7, Self.firstStep, since: 1, fence: .ours, reading: [])
        #expect(
            transaction.compares.contains(.init("/pharos/addresses/10.0.0.3", is: .value(Array("/service/demo".utf8)))))
        #expect(transaction.compares.contains(.absent("/pharos/demo/address/10.0.0.3")))
        for (key, value, isOurs) in [
            ("/pharos/addresses/10.0.0.3", "/service/demo", true),
            ("/pharos/addresses/10.0.0.3", "/service/demo2", false),
            ("/pharos/addresses/10.0.0.30", "/service/demo", false),
        ] {
            let pair = KeyValue(
                key: Array(key.utf8), value: Array(value.utf8), createRevision: 4, modRevision: 4, version: 1, lease: 9)
            let cluster = self.keys.fencedBy([.put, .range([]), .range([pair])], "10.0.0.3")
            #expect((cluster == self.keys.cluster) == isOurs)
        }
    }

    @Test func `an address is taken over from the lease that was seen, in the marked cluster, outside quarantine`() {
        let holder = Holder(member: "n1", node: "boot", lease: 5, ttl: .seconds(30))
        let transaction = self.keys.takeOver(
            of: "10.0.0.3", holder, from: 4, clusterID: 7, Self.firstStep, since: 1, reading: ["10.0.0.3"])
        let compares: [Transaction.Compare] = [
            .init("/pharos/demo/address/10.0.0.3", is: .lease(4)),
            .init("/pharos/addresses/10.0.0.3", is: .value(Array("/service/demo".utf8))),
            .init("/pharos/demo/cluster", is: .value(Array("7".utf8))),
            .absent("/pharos/demo/quarantine"),
        ]
        for compare in compares { #expect(transaction.compares.contains(compare), "\(compare)") }
        let value = PharosKeys.value(of: holder, since: 1)
        #expect(
            transaction.success == [
                .put(key: "/pharos/demo/address/10.0.0.3", value: value, lease: 5),
                .put(key: "/pharos/demo/trail/10.0.0.3", value: Array("5:30".utf8), lease: 0),
                .put(key: "/pharos/addresses/10.0.0.3", value: Array("/service/demo".utf8), lease: 5),
            ])
        let look = Transaction.Operation.range(.key("/pharos/addresses/10.0.0.3"), limit: 1)
        #expect(transaction.failure == self.keys.reads(of: ["10.0.0.3"]) + [look])
    }

    @Test func `a read asks for all that a snapshot tells`() {
        let keys = [
            "/service/demo/leader", "/service/demo/config", "/pharos/demo/address/10.0.0.3", "/pharos/demo/cluster",
            "/pharos/demo/quarantine", "/pharos/demo/trail/10.0.0.3",
        ]
        for key in keys {
            let isAsked = self.keys.reads(of: ["10.0.0.3"]).contains { operation in
                guard case .range(let range, _) = operation else { return false }
                return range.contains(Array(key.utf8))
            }
            #expect(isAsked, "\(key)")
        }
    }

    // MARK: - Holders

    @Test func `a holder is read back as it was written`() {
        let holder = Holder(member: "n\"1", node: "boot", lease: -5, ttl: .seconds(30))
        let value = PharosKeys.value(of: holder, since: 1)
        #expect(self.put("/pharos/demo/address/10.0.0.3", value, lease: -5) == .holder("10.0.0.3", holder))
    }

    @Test func `a holder that cannot be read is somebody's, never ours`() {
        let long = String(repeating: "x", count: 256)
        for garbage in [
            "", "{}", #"{"member":7,"node":[]}"#, #"{"member":"","node":"a\nb"}"#, #"{"member":"\#(long)"}"#,
        ] {
            let somebody = Holder(member: "(unreadable)", node: "", lease: 4)
            #expect(
                self.put("/pharos/demo/address/10.0.0.3", garbage, lease: 4) == .holder("10.0.0.3", somebody),
                "\(garbage.prefix(40))")
        }
        for ttl in ["0", "-1", "86401", "9223372036854775807", "\"x\"", "null"] {
            let text = #"{"member":"n1","node":"boot","ttl":\#(ttl)}"#
            #expect(
                self.put("/pharos/demo/address/a", text, lease: 4)
                    == .holder("a", Holder(member: "n1", node: "boot", lease: 4)))
        }
    }

    @Test func `keys of others mean nothing`() {
        for key in ["/service/demo/status", "/service/demo2/leader", "/pharos/demo/x", "/pharos/demo", "/", "\u{0}"] {
            #expect(self.put(key, "n1") == nil, "\(key)")
        }
    }

    @Test func `20,000 mutations of what stands in etcd crash nothing, and never name this member by chance`() async {
        var generator = SeededGenerator(5)
        let holder = PharosKeys.value(of: Holder(member: "n1", node: "boot", lease: 7, ttl: .seconds(30)), since: 1)
        let config = Array(
            #"{"ttl":30,"loop_wait":10,"retry_timeout":10,"pause":false,"failsafe_mode":true,"x":{"y":[1,2]}}"#.utf8)
        var (configs, unreadable, others) = (0, 0, 0)
        for _ in 0..<10_000 {
            await Task.yield()
            if case .patroni(let read?) = self.put("/service/demo/config", mutated(config, &generator)) {
                configs += 1
                if !read.unreadable.isEmpty { unreadable += 1 }
                #expect(read.ttl >= .seconds(20) && read.ttl <= .seconds(86_400))
                #expect(read.loopWait >= .seconds(1) && read.loopWait <= read.ttl)
            }
            guard case .holder(_, let read?) = self.put("/pharos/demo/address/a", mutated(holder, &generator), lease: 3)
            else { continue }
            #expect(read.lease == 3)
            if read.member != "n1" { others += 1 }
        }
        // Neither everything nor nothing may pass, or the mutations test nothing.
        #expect((1000..<9000).contains(configs) && unreadable > 100 && others > 1000)
    }
}
