// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Plans and their confirmations: each used once, in time, by its digest, and on the facts that it was made on.
struct OperationDeskTests {
    private static let root = Requester("root", .endanger)
    private static let operator_ = Requester("ann", .operate)
    private static let start = Instant(sinceBoot: .seconds(1000))

    /// A digest that shows what it binds.
    private static func digest(_ text: String) -> String { "d\(text)" }

    private static func review(_ change: (inout SwitchoverFacts) -> Void = { _ in }) -> Review {
        SwitchoverReview(group: 0, to: "n2", SwitchoverReviewTests.facts(change)).review
    }

    private struct Script {
        var desk = OperationDesk()
        var now = OperationDeskTests.start

        mutating func planned(_ review: Review, by: Requester = root) throws -> Plan {
            let number = try self.desk.plan(.switchover(group: 0, to: "n2"), by: by, at: self.now)
            #expect(self.desk.looked(number, review, at: self.now, digest: digest) == .planned)
            return try #require(self.desk.ticket(number)?.plan)
        }

        mutating func refusal(
            _ digest: String, _ name: String? = "n1", _ overrides: Set<String> = [], by: Requester = root
        ) -> String? {
            do throws(DeskRefusal) {
                _ = try self.desk.confirm(
                    digest, Confirmation(by: by, named: name, overrides: overrides), at: self.now)
                return nil
            } catch {
                #expect(!error.text.isEmpty && !error.advice.isEmpty)
                return error.code
            }
        }

        mutating func looked(_ plan: Plan, _ review: Review) -> OperationDesk.LookNews {
            self.desk.looked(plan.number, review, at: self.now, digest: digest)
        }
    }

    @Test func `a plan is made, confirmed by name, looked at again, done, and used up`() throws {
        var script = Script()
        let plan = try script.planned(Self.review())
        #expect(script.refusal(plan.digest) == nil)
        guard case .carryOut(let same, let confirmation, let action) = script.looked(plan, Self.review()) else {
            Issue.record("\(script.desk.tickets)")
            return
        }
        #expect(same == plan && confirmation.named == "n1" && action == plan.review.action)
        #expect(script.refusal(plan.digest) == "plan_used")
        let result = OperationResult(.done, "n2 leads")
        script.desk.ended(plan.number, result, at: script.now)
        guard case .ended(let ended, _, result, _)? = script.desk.ticket(plan.number)?.state else {
            Issue.record("\(script.desk.tickets)")
            return
        }
        #expect(ended == plan && script.refusal(plan.digest) == "plan_used")
        #expect(script.looked(plan, Self.review()) == .stale)
    }

    @Test func `the digest binds the operation, the facts, the objections and the time`() throws {
        var digests: [String] = []
        for review in [
            Self.review(), Self.review { $0.etcd = .seen(.init(count: 3, lost: 1)) },
            Self.review { facts in
                var keys = facts.keys.value
                keys?.leader = ("n1", 10)
                facts.keys = keys.map { .seen($0) } ?? facts.keys
            },
            Self.review { facts in
                var keys = facts.keys.value
                keys?.revisions = PatroniRevisions(config: 6, failover: 0, sync: 0)
                facts.keys = keys.map { .seen($0) } ?? facts.keys
            },
        ] {
            var script = Script()
            digests.append(try script.planned(review).digest)
        }
        var later = Script()
        later.now = later.now + .seconds(1)
        digests.append(try later.planned(Self.review()).digest)
        #expect(Set(digests).count == digests.count)
        var script = Script()
        let first = try script.planned(Self.review())
        #expect(try script.planned(Self.review()).digest != first.digest, "two plans of the same are two")
    }

    @Test func `it must name what it says yes to`() throws {
        var script = Script()
        let plan = try script.planned(Self.review())
        for name in [nil, "", "yes", "n2", "N1"] { #expect(script.refusal(plan.digest, name) == "name_expected") }
        #expect(script.refusal(plan.digest, "n1") == nil, "a refusal does not use it up")
    }

    @Test func `each objection is overridden by its own name, or refuses`() throws {
        var script = Script()
        let review = Self.review {
            $0.etcd = .seen(.init(count: 3, lost: 1))
            $0.leader = .unseen(reason: "timeout")
        }
        let plan = try script.planned(review)
        let names = Set(review.objections.map(\.name))
        #expect(names.contains("etcd-no-spare") && names.count == 5)
        #expect(script.refusal(plan.digest) == "objections")
        #expect(script.refusal(plan.digest, "n1", names.subtracting(["etcd-no-spare"])) == "objections")
        #expect(script.refusal(plan.digest, "n1", names.union(["lag"])) == "no_such_objection")
        #expect(script.refusal(plan.digest, "n1", names) == nil)
        guard case .carryOut = script.looked(plan, review) else {
            Issue.record("\(script.desk.tickets)")
            return
        }
    }

    @Test func `after five minutes a plan is over`() throws {
        var script = Script()
        let plan = try script.planned(Self.review())
        script.now = Self.start + Plan.validity - .milliseconds(1)
        let other = try script.planned(Self.review())
        script.now = Self.start + Plan.validity
        #expect(script.refusal(plan.digest) == "plan_expired")
        #expect(script.refusal(other.digest) == nil)
        #expect(script.refusal("d") == "no_such_plan")
    }

    @Test func `facts that have moved void it, and what moved is said`() throws {
        for (word, review) in [
            (
                "the leader",
                Self.review { facts in
                    var keys = facts.keys.value
                    keys?.leader = ("n1", 10)
                    facts.keys = keys.map { .seen($0) } ?? facts.keys
                }
            ),
            (
                "the members",
                Self.review { facts in
                    var keys = facts.keys.value
                    keys?.members["n3"] = nil
                    facts.keys = keys.map { .seen($0) } ?? facts.keys
                }
            ),
        ] {
            var script = Script()
            let plan = try script.planned(Self.review())
            #expect(script.refusal(plan.digest) == nil)
            guard case .ended(_, _, let result) = script.looked(plan, review) else {
                Issue.record("\(script.desk.tickets)")
                continue
            }
            #expect(result.outcome == .void && result.text.contains(word), "\(result)")
            #expect(script.refusal(plan.digest) == "plan_used")
        }
    }

    @Test func `an objection that has come up since the plan refuses it`() throws {
        var script = Script()
        let plan = try script.planned(Self.review())
        #expect(script.refusal(plan.digest) == nil)
        guard
            case .ended(_, _, let result) = script.looked(
                plan, Self.review { $0.etcd = .seen(.init(count: 3, lost: 1)) })
        else {
            Issue.record("\(script.desk.tickets)")
            return
        }
        #expect(result.outcome == .refused && result.text.contains("etcd-no-spare"))
        // Who has put up with that nobody could look has not put up with what is found.
        let unseen = Self.review { $0.candidate = .unseen(reason: "timeout") }
        let second = try script.planned(unseen)
        #expect(script.refusal(second.digest, "n1", ["backup-running-unseen"]) == nil)
        var server = SwitchoverFacts.Server()
        (server.longTransactions, server.backups) = (0, 1)
        guard case .ended(_, _, let found) = script.looked(second, Self.review { $0.candidate = .seen(server) }) else {
            Issue.record("\(script.desk.tickets)")
            return
        }
        #expect(found.outcome == .refused && found.text.contains("backup-running ("))
    }

    @Test func `a hindrance is not overridden, neither in the plan nor one that has come up since`() throws {
        var script = Script()
        let hindered = try script.planned(Self.review { $0.keys = .unseen(reason: "timeout") })
        #expect(script.refusal(hindered.digest) == "hindered")
        let plan = try script.planned(Self.review())
        #expect(script.refusal(plan.digest) == nil)
        let claimed = Self.review { facts in
            var keys = facts.keys.value
            keys?.claimant = "n3"
            facts.keys = keys.map { .seen($0) } ?? facts.keys
        }
        guard case .ended(_, _, let result) = script.looked(plan, claimed) else {
            Issue.record("\(script.desk.tickets)")
            return
        }
        #expect(result.outcome == .refused && result.text.contains("the daemon of n3"))
        let lost = try script.planned(Self.review())
        #expect(script.refusal(lost.digest) == nil)
        guard case .ended(_, _, let unread) = script.looked(lost, Self.review { $0.keys = .unseen(reason: "timeout") })
        else {
            Issue.record("\(script.desk.tickets)")
            return
        }
        #expect(unread.outcome == .refused && unread.text.contains("timeout"))
    }

    @Test func `one operation at a time`() throws {
        var script = Script()
        let (one, two) = (try script.planned(Self.review()), try script.planned(Self.review()))
        #expect(script.refusal(one.digest) == nil)
        #expect(script.refusal(two.digest) == "another_operation")
        _ = script.looked(one, Self.review())
        #expect(script.refusal(two.digest) == "another_operation")
        script.desk.ended(one.number, OperationResult(.failed, "no"), at: script.now)
        #expect(script.refusal(two.digest) == nil)
    }

    @Test func `roles: look plans nothing, operate overrides nothing grave`() throws {
        var script = Script()
        #expect(throws: DeskRefusal(.role(needed: .operate, has: .look))) {
            _ = try script.desk.plan(.resumeReactions, by: Requester("eve", .look), at: script.now)
        }
        let grave = try script.planned(Self.review { $0.etcd = .seen(.init(count: 3, lost: 1)) }, by: Self.operator_)
        #expect(script.refusal(grave.digest, "n1", ["etcd-no-spare"], by: Self.operator_) == "role_not_enough")
        #expect(script.refusal(grave.digest, "n1", ["etcd-no-spare"]) == nil, "another may confirm it")
        script.desk.ended(grave.number, OperationResult(.done, ""), at: script.now)
        var other = Script()
        let plain = try other.planned(Self.review { $0.sight.members["n2"]?.isSuppressed = true }, by: Self.operator_)
        #expect(other.refusal(plain.digest, "n1", ["suppressed"], by: Self.operator_) == nil)
    }

    @Test func `few plans are kept, and those that somebody waits for stay`() throws {
        var script = Script()
        let first = try script.planned(Self.review())
        for _ in 0..<OperationDesk.limit { _ = try script.planned(Self.review()) }
        #expect(script.desk.tickets.count == OperationDesk.limit && script.desk.ticket(first.number) == nil)
        #expect(script.refusal(first.digest) == "no_such_plan")
        var busy = OperationDesk()
        for _ in 0..<OperationDesk.limit { _ = try busy.plan(.resumeReactions, by: Self.root, at: script.now) }
        #expect(throws: DeskRefusal(.crowded)) {
            _ = try busy.plan(.resumeReactions, by: Self.root, at: script.now)
        }
    }

    @Test func `names that run into each other make another digest`() {
        func digest(_ bound: [BoundFact]) -> String {
            Plan(
                1, .resumeReactions, by: Self.root, Review(summary: "", bound: bound, action: .resumeReactions),
                at: Self.start, digest: Self.digest
            ).digest
        }
        #expect(digest([BoundFact("a", "b"), BoundFact("c", "d")]) != digest([BoundFact("a", "b1:c=d")]))
        #expect(digest([BoundFact("a", "bc")]) != digest([BoundFact("ab", "c")]))
    }
}
