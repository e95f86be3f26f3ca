// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop

/// What is done once a plan is confirmed; each ends with what came of it.
extension OperationsLink {
    /// After Patroni has said that it is done: until etcd names the new leader.
    nonisolated static let successorPatience: Duration = .seconds(20)

    func carryOut(_ plan: Plan, _ confirmation: Confirmation, _ action: PlannedAction) {
        switch action {
        case .acknowledge(let id):
            self.around.deliver(.acknowledged(id, at: WallClock.milliseconds))
            self.ended(plan, confirmation, OperationResult(.done, "\(id) is vouched for"))
        case .switchOver(let order, let revisions):
            let terms = SwitchoverCall.Terms(
                person: confirmation.by.name, revisions: revisions,
                allowsPause: confirmation.overrides.contains(ObjectionRule.patroniPaused.rawValue))
            EventLoop.spawn {
                let outcome = await self.call.carryOut(order, for: terms)
                let isDone = if case .done = outcome { true } else { false }
                let leader = isDone ? await self.call.successor(of: order, within: Self.successorPatience) : nil
                self.ended(plan, confirmation, Self.result(of: outcome, order, leader))
            }
        case .pauseReactions(let seconds, let reason):
            EventLoop.spawn {
                self.ended(plan, confirmation, await self.pause(seconds, reason, by: confirmation.by.name))
            }
        case .resumeReactions: EventLoop.spawn { self.ended(plan, confirmation, await self.resume()) }
        }
    }

    /// `leader`: whom etcd names since; nil: nobody yet.
    nonisolated static func result(
        of outcome: SwitchoverOutcome, _ order: SwitchoverOrder, _ leader: String?
    ) -> OperationResult {
        switch outcome {
        case .done(let text):
            guard let leader else {
                return OperationResult(
                    .unanswered, "Patroni says: \(text); but etcd names no new leader yet",
                    advice: "pharos cluster; patronictl list")
            }
            guard leader == order.candidate.name else {
                return OperationResult(
                    .failed, "\(leader) leads, not \(order.candidate.name). Patroni says: \(text)",
                    advice: "pharos cluster; on \(order.candidate.name): journalctl -u patroni -n 50")
            }
            return OperationResult(.done, "\(leader) leads. Patroni says: \(text)")
        case .refused(let text):
            return OperationResult(
                .failed, "Patroni did not do it: \(text)",
                advice:
                    "patronictl list; on \(order.leader.name) and \(order.candidate.name): journalctl -u patroni -n 50")
        case .unanswered(let text):
            return OperationResult(
                .unanswered, "it is not known yet whether Patroni does it: \(text)",
                advice:
                    "pharos cluster shows who leads. A PostgreSQL that cannot stop at once delays it: on \(order.leader.name), look at its server's log; to call it off while \(order.leader.name) leads: patronictl flush switchover"
            )
        case .forestalled(let reason):
            return OperationResult(.refused, "Patroni was not asked: \(reason)", advice: "make a new plan")
        }
    }

    private func pause(_ seconds: Int64, _ reason: String, by name: String) async -> OperationResult {
        let since = WallClock.milliseconds
        let until = since + seconds * 1000
        let value = ReactionPause.value(by: name, reason: reason, since: since, until: until)
        do throws(EtcdError) {
            // The lease clears it away; that it is over, each daemon knows by itself.
            let lease = try await self.etcd.grantLease(seconds: seconds + 60).id
            _ = try await self.etcd.commit(
                Transaction(
                    compares: [],
                    success: self.keys.reactionKeys.map { .put(key: $0, value: value, lease: lease) }))
            return OperationResult(.done, "reactions are paused until \(Wording.time(until))")
        } catch {
            return Self.unwritten(error)
        }
    }

    private func resume() async -> OperationResult {
        do throws(EtcdError) {
            _ = try await self.etcd.commit(
                Transaction(compares: [], success: self.keys.reactionKeys.map { .delete(.key($0)) }))
            return OperationResult(.done, "reactions are not paused any more")
        } catch {
            return Self.unwritten(error)
        }
    }

    private nonisolated static func unwritten(_ error: EtcdError) -> OperationResult {
        let outcome: OperationResult.Outcome = error.kind == .outcomeUnknown ? .unanswered : .failed
        return OperationResult(
            outcome, "etcd: \(error.description)", advice: "pharos why says whether reactions are paused; then again")
    }
}
