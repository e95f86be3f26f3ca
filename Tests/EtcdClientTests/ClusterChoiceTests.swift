// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import EtcdValues

private let (old, new, third): (UInt64, UInt64, UInt64) = (0xA, 0xB, 0xC)

extension ClusterChoice {
    /// An answer after so many seconds.
    fileprivate mutating func says(_ url: String, _ cluster: UInt64, at seconds: Int64 = 0) -> Verdict {
        self.answered(url, cluster, patience: 120_000_000, now: seconds * 1_000_000)
    }

    fileprivate mutating func isSilent(_ url: String, at seconds: Int64 = 0) {
        self.failed(url, patience: 120_000_000, now: seconds * 1_000_000)
    }
}

/// Which etcd cluster is followed, where endpoints belong to several.
struct ClusterChoiceTests {
    private static let three = ["a", "b", "c"]

    private static func remembering(_ cluster: UInt64? = old, learned: [String] = []) -> ClusterChoice {
        ClusterChoice(configured: learned.isEmpty ? three : ["a"], learned: learned, remembered: cluster, now: 0)
    }

    // MARK: - Endpoints that lead to one member

    @Test func `a member has one vote, however many endpoints lead to it`() {
        // Two members, one of them rebuilt alone: the file names it by the loopback address, etcd by another.
        var choice = ClusterChoice(configured: ["loopback"], learned: ["own", "other"], remembered: old, now: 0)
        func says(_ url: String, _ cluster: UInt64, _ member: UInt64) -> ClusterChoice.Verdict {
            choice.answered(url, cluster, member: member, patience: 120_000_000, now: 0)
        }
        #expect(says("loopback", new, 1) == .foreign)
        #expect(says("own", new, 1) == .foreign && choice.share(of: new) == (1, 2))
        #expect(says("other", old, 2) == .followed && choice.share(of: old) == (1, 2))
        // Whose number is not known, or that of another cluster's member, is its own.
        #expect(says("own", new, 0) == .followed && choice.reason == .majority(2, of: 3))
    }

    @Test func `what is reached, and leads elsewhere than the others, comes first`() {
        var choice = ClusterChoice(configured: ["loopback"], remembered: old, now: 0)
        choice.learn(["a", "b", "c", "d", "e"])
        func says(_ url: String, _ cluster: UInt64, _ member: UInt64) {
            _ = choice.answered(url, cluster, member: member, patience: 120_000_000, now: 0)
        }
        says("loopback", old, 1)
        choice.isSilent("a")
        says("b", old, 1)
        says("d", new, 9)
        says("e", old, 2)
        #expect(choice.sorted(["a", "b", "c", "d", "e"]) == ["e", "c", "a", "b", "d"])
    }

    // MARK: - At a start

    @Test func `one endpoint is believed, whatever it says, where it is the only one`() {
        for remembered in [nil, old, new] {
            var choice = ClusterChoice(configured: ["a"], remembered: remembered, now: 0)
            #expect(choice.says("a", new) == .followed && choice.followed == new)
        }
    }

    @Test func `who remembers believes the remembered one at once, from any endpoint`() {
        for url in Self.three {
            var choice = Self.remembering()
            #expect(choice.says(url, old) == .followed && choice.reason == nil)
        }
    }

    @Test func `one endpoint against two is left out, whichever answers first`() {
        var choice = Self.remembering()
        #expect(choice.says("c", new) == .foreign)
        #expect(choice.says("a", old) == .followed)
        #expect(choice.foreigners == [ClusterChoice.Foreigner(url: "c", cluster: new)])
        #expect(choice.share(of: old) == (1, 3))
        // Nor does its patience end while the other one answers.
        for second in stride(from: Int64(10), to: 1000, by: 10) {
            #expect(choice.says("a", old, at: second) == .followed)
            #expect(choice.says("c", new, at: second) == .foreign)
        }
    }

    @Test func `who remembers nothing waits for more than half`() {
        var choice = Self.remembering(nil)
        #expect(choice.says("c", new) == .undecided && choice.followed == nil)
        #expect(choice.says("a", old) == .undecided)
        #expect(choice.foreigners.map(\.url) == ["a", "c"])
        #expect(choice.says("b", old) == .followed && choice.reason == .majority(2, of: 3))
        #expect(choice.says("c", new) == .foreign)
    }

    @Test func `or for the only one, once every endpoint was tried`() {
        var choice = Self.remembering(nil)
        #expect(choice.says("c", new) == .undecided)
        choice.isSilent("a")
        #expect(choice.followed == nil)
        choice.isSilent("b")
        #expect(choice.followed == new && choice.reason == .onlyOne)
        // Nothing is remembered, and two contradict each other: none of them, for however long.
        var torn = Self.remembering(nil)
        _ = torn.says("a", old)
        torn.isSilent("b")
        for second in stride(from: Int64(0), to: 1000, by: 10) {
            #expect(torn.says("c", new, at: second) == .undecided)
            #expect(torn.says("a", old, at: second) == .undecided)
        }
    }

    // MARK: - A replaced etcd

    @Test func `an etcd that was replaced is followed once more than half of it answers`() {
        var choice = Self.remembering()
        _ = choice.says("a", old)
        #expect(choice.says("a", new, at: 5) == .foreign)
        #expect(choice.says("b", new, at: 5) == .followed)
        #expect(choice.followed == new && choice.reason == .majority(2, of: 3))
        // And back again.
        #expect(choice.says("b", old, at: 6) == .foreign)
        #expect(choice.says("a", old, at: 6) == .followed)
    }

    @Test func `one that was rebuilt alone is believed after the patience, where the rest is silent`() {
        var choice = Self.remembering()
        #expect(choice.says("a", old, at: 10) == .followed)
        for url in ["a", "b"] { choice.isSilent(url, at: 11) }
        #expect(choice.says("c", new, at: 11) == .foreign)
        #expect(choice.says("c", new, at: 129) == .foreign)
        #expect(choice.says("c", new, at: 130) == .followed && choice.reason == .silence(120_000_000))
        // The two come back: they are more than half.
        #expect(choice.says("a", old, at: 140) == .foreign)
        #expect(choice.says("b", old, at: 140) == .followed)
    }

    @Test func `also where it was never seen in this process, counted from its start`() {
        var choice = Self.remembering()
        #expect(choice.says("c", new, at: 119) == .foreign)
        #expect(choice.says("c", new, at: 120) == .followed)
    }

    @Test func `two strangers are none`() {
        var choice = Self.remembering()
        _ = choice.says("b", third, at: 200)
        #expect(choice.followed == third)
        choice = Self.remembering()
        _ = choice.says("b", third, at: 100)
        #expect(choice.says("c", new, at: 130) == .foreign && choice.followed == old)
        // One of them has not been heard of for long.
        #expect(choice.says("c", new, at: 191) == .followed)
    }

    @Test func `an old answer is no vote`() {
        var choice = Self.remembering()
        _ = choice.says("a", old)
        #expect(choice.says("b", new, at: 1) == .foreign)
        #expect(choice.says("a", old, at: 95) == .followed)
        #expect(choice.says("c", new, at: 95) == .foreign)
        #expect(choice.says("b", new, at: 96) == .followed)
    }

    // MARK: - Learned endpoints

    @Test func `the local endpoint alone does not outvote the members that were learned`() {
        var choice = Self.remembering(learned: ["a2", "b", "c"])
        #expect(choice.says("a", new) == .foreign)
        #expect(choice.says("a2", new) == .foreign)
        #expect(choice.says("b", old) == .followed)
        #expect(choice.provenURLs == ["a2", "b", "c"])
    }

    @Test func `a learned endpoint that never answered keeps no cluster from being replaced`() {
        var choice = Self.remembering(learned: [])
        choice.learn(["x", "y", "z", "v", "w"])
        #expect(choice.says("a", new) == .foreign)
        #expect(choice.says("b", new) == .followed)
        // One that did counts; and one that has gone from the list does not.
        var other = ClusterChoice(configured: ["a"], remembered: old, now: 0)
        _ = other.says("a", old)
        other.learn(["b", "c"])
        _ = other.says("b", old)
        _ = other.says("c", old)
        #expect(other.says("a", new) == .foreign && other.provenURLs == ["b", "c"])
        other.learn([])
        #expect(other.says("a", new) == .followed && other.provenURLs.isEmpty)
    }

    @Test func `an endpoint that is no longer known changes nothing but what it answered itself`() {
        var choice = Self.remembering()
        #expect(choice.says("gone", new) == .foreign && choice.foreigners.isEmpty)
        #expect(choice.says("gone", old) == .followed)
    }
}
