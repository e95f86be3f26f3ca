// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import pharos_histories

struct PlanTests {
    private static let rounds = 0..<2000

    @Test func `a seed and a round's number draw the same faults, whatever was drawn before`() {
        for round in Self.rounds {
            #expect(Plan(seed: 7, round: round, Plan.Limits()) == Plan(seed: 7, round: round, Plan.Limits()))
        }
        let plans = Set(Self.rounds.map { Plan(seed: 7, round: $0, Plan.Limits()) })
        #expect(plans.count == Self.rounds.count)
        #expect(Plan(seed: 7, round: 0, Plan.Limits()) != Plan(seed: 8, round: 0, Plan.Limits()))
    }

    @Test func `an etcd that lies when a member stood still gets one such fault a round, and a short one`() {
        var (faults, longest) = (0, 0)
        for round in Self.rounds {
            let steps = Plan(seed: 1, round: round, Plan.Limits(memberFault: 3500)).steps.filter(\.fault.isOfMember)
            #expect(steps.count <= 1 && steps.allSatisfy { $0.span <= 3500 })
            faults += steps.count
            let free = Plan(seed: 1, round: round, Plan.Limits()).steps.filter(\.fault.isOfMember)
            longest = max(longest, free.map(\.span).max() ?? 0)
        }
        #expect(faults > 100)
        // Elsewhere they last for longer than a lease.
        #expect(longest > 5000)
    }

    @Test func `every kind of fault and of history comes up`() {
        let plans = Self.rounds.map { Plan(seed: 2, round: $0, Plan.Limits()) }
        let kinds = Set(plans.flatMap(\.steps).map { "\($0.fault)".prefix { $0 != "(" } })
        #expect(
            kinds == [
                "freezeDaemon", "crashDaemon", "stopDaemon", "holdBack", "holdWay", "holdAnswers", "loseAnswers",
                "refuseConnections", "detach", "freezeMember", "crashMember", "cutMember", "disturbKernel", "lead",
            ])
        let changes = Set(plans.compactMap(\.history).map(\.change))
        #expect(changes.count == 9)
    }

    @Test func `beside an older version etcd keeps its history, and daemons of both run`() {
        let plans = Self.rounds.map {
            Plan(seed: 3, round: $0, Plan.Limits(changesHistory: false, mixesVersions: true))
        }
        #expect(plans.allSatisfy { $0.history == nil })
        let versions = plans.flatMap(\.steps).compactMap { step -> Bool? in
            guard case .stopDaemon(_, let thenOlder) = step.fault else { return nil }
            return thenOlder
        }
        #expect(Set(versions) == [true, false])
    }
}
