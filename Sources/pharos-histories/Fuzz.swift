// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed

/// Rounds of faults drawn at random, in one bed that stays, until the time is over or two nodes have the address.
@EventLoop
final class Fuzz {
    struct Result: Sendable {
        var rounds = 0
        var switchovers = 0
        var silentChanges = 0
        var announcedChanges = 0
        /// Milliseconds.
        var overlap = 0.0

        var text: String {
            "\(self.rounds) rounds, \(self.switchovers) switchovers, "
                + "\(self.silentChanges + self.announcedChanges) changes of etcd's history "
                + "(\(self.silentChanges) unannounced), overlap \(self.overlap) ms"
        }
    }

    private let bed: HistoryBed
    private let seed: UInt64
    private let limits: Plan.Limits
    private let faults: FaultMaker
    private let histories: Histories

    init(_ bed: HistoryBed, seed: UInt64, limits: Plan.Limits) {
        (self.bed, self.seed, self.limits) = (bed, seed, limits)
        self.faults = FaultMaker(bed)
        self.histories = Histories(bed)
    }

    /// Begins with the round of this number; `progress` is told after each.
    func run(
        for span: Duration, from first: Int, progress: @EventLoop (Result) -> Void
    ) async throws(BedError) -> Result {
        var result = Result()
        let end = ContinuousClock.now + span
        for node in self.bed.nodes { try node.start(isOlder: self.limits.mixesVersions && node.number == 1) }
        try await self.bed.waitUntilHolding(0)
        while ContinuousClock.now < end {
            let number = first + result.rounds
            self.bed.note("round \(number)")
            do throws(BedError) {
                try await self.play(Plan(seed: self.seed, round: number, self.limits))
            } catch {
                let overlap = try self.bed.overlap()
                throw BedError("round \(number): \(error.message); overlap so far \(overlap) ms")
            }
            result.rounds += 1
            result.switchovers = self.bed.switchovers
            (result.silentChanges, result.announcedChanges) =
                (self.histories.silentChanges, self.histories.announcedChanges)
            result.overlap = try self.bed.overlap()
            progress(result)
            if result.overlap > 0 { break }
            if result.rounds % 40 == 0 { try await self.bed.ground.turnLogs() }
        }
        return result
    }

    private func play(_ plan: Plan) async throws(BedError) {
        if plan.savesSnapshot { try await self.histories.saveSnapshot() }
        try await self.together(plan.steps.map { .step($0) } + [plan.history].compactMap { $0.map { .history($0) } })
        self.bed.note("healing")
        for node in self.bed.nodes {
            try await node.heal()
            try node.start()
        }
        try await self.bed.etcd.heal()
        let leader = try await self.bed.patroni.leader()
        if leader == nil { try await self.bed.patroni.lead(plan.finalLeader) }
        try await self.bed.waitUntilHolding(leader ?? plan.finalLeader, timeout: .seconds(120))
    }

    private enum Part: Sendable {
        case step(Plan.Step)
        case history(Plan.History)
    }

    private func carryOut(_ part: Part) async throws(BedError) {
        switch part {
        case .step(let step): try await self.faults.carryOut(step)
        case .history(let history):
            try await pause(.milliseconds(history.at))
            try await self.histories.change(history)
        }
    }

    /// Carries all out at the same time, and comes back when all have ended; throws what the first that failed threw.
    private func together(_ parts: [Part]) async throws(BedError) {
        var problem: BedError?
        var remaining = parts.count
        let tasks = parts.map { part in
            EventLoop.spawn {
                do throws(BedError) { try await self.carryOut(part) } catch { problem = problem ?? error }
                remaining -= 1
            }
        }
        do throws(BedError) {
            while remaining > 0, problem == nil { try await pause(.milliseconds(20)) }
        } catch {
            problem = problem ?? error
        }
        if problem != nil { for task in tasks { task.cancel() } }
        for task in tasks { await task.value }
        if let problem { throw problem }
    }
}
