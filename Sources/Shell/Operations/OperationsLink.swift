// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import Decision
import EtcdClient
import EventLoop
import Journal
import LenientJSON
import PatroniClient
import PatroniValues
import Settings
import StatusServer

/// What persons ask of this daemon: keeps the desk, looks at the facts, carries out what was confirmed, and records it.
///
/// All of it belongs to the plane that looks at others. Every request is answered in the turn in which it comes; what takes longer is
/// followed by asking again, in `/operations`.
@EventLoop
final class OperationsLink {
    /// What it needs from the shell around it.
    struct Surroundings {
        /// Nil while the shell is made, and when it is gone.
        let core: @EventLoop () -> Core?
        let deliver: @EventLoop (DetectorEvent) -> Void
        let log: @EventLoop (LogRecord) -> Void
        /// The text as it may leave the process.
        let outward: @EventLoop (String) -> String
    }

    let etcd: EtcdClient
    let keys: DetectorKeys
    private let look: SwitchoverLook
    let call: SwitchoverCall
    private let nodes: NodeConnections
    let record: OperationLog
    private let own: MemberID
    let around: Surroundings
    private(set) var desk = OperationDesk()
    /// Refusals of a plan that are on record.
    private var refusals: [Int: Int] = [:]
    private var toldStrangerAt: Instant?

    /// More refusals of one plan are not recorded.
    nonisolated static let refusalLimit = 3

    init(
        _ etcd: EtcdClient, _ settings: Settings, _ keys: DetectorKeys, patroni: PatroniClient, resolver: HostResolver,
        _ around: Surroundings
    ) {
        let patroniKeys = PatroniKeys(
            namespace: settings.namespace, scope: settings.scope, group: settings.group)
        (self.etcd, self.keys, self.own, self.around) = (etcd, keys, settings.memberID, around)
        self.nodes = NodeConnections(
            conninfo: settings.detector.nodeConninfo, database: settings.citus?.core.databases.first ?? "postgres",
            resolver: resolver)
        self.look = SwitchoverLook(
            etcd, patroniKeys, claim: keys.switchover(of: settings.memberID.group) ?? "", nodes: self.nodes)
        self.call = SwitchoverCall(etcd, keys, patroniKeys, patroni, member: settings.member)
        self.record = OperationLog(etcd, keys, member: settings.member)
    }

    func stop() {
        self.nodes.stop()
        self.record.stop()
    }

    // MARK: - To plan

    /// `POST /plan`.
    func plan(_ body: [UInt8], by: Requester) -> StatusServer.Answer {
        do throws(OperationRequest.Mistake) {
            return self.plan(try OperationRequest.operation(body, group: self.own.group), by: by)
        } catch {
            return Self.error(400, "bad_body", error.message)
        }
    }

    private func plan(_ operation: Operation, by: Requester) -> StatusServer.Answer {
        do throws(DeskRefusal) {
            let number = try self.desk.plan(operation, by: by, at: .now)
            self.refusals = self.refusals.filter { self.desk.ticket($0.key) != nil }
            self.lookAt(number, operation)
            return self.ticket(number, status: 202)
        } catch {
            return self.refused(error)
        }
    }

    /// Looks at the facts of a plan, or of one that was confirmed.
    private func lookAt(_ number: Int, _ operation: Operation) {
        let core = self.around.core()
        switch operation {
        case .switchover(let group, let wanted):
            guard let sight = core?.switchoverSight(of: group, at: .now) else {
                return self.looked(number, Self.unwatched("switch group \(group) over"))
            }
            EventLoop.spawn {
                let facts = await self.look.facts(group: group, to: wanted, sight)
                self.looked(number, SwitchoverReview(group: group, to: wanted, facts).review)
            }
        case .acknowledge(let id):
            self.looked(number, core?.acknowledgement(of: id, at: .now) ?? Self.unwatched("vouch for \(id)", id))
        case .pauseReactions, .resumeReactions:
            self.looked(number, core?.pauseReview(operation) ?? Self.unwatched(operation.code))
        }
    }

    private static func unwatched(_ summary: String, _ id: MemberID? = nil) -> Review {
        let text =
            id.map { "no member \($0) is watched here" } ?? "this daemon follows no groups, and knows nothing of them"
        return Review(
            summary: summary, hindrances: [Hindrance("not_watched", text, advice: "pharos why names who is watched")],
            action: nil)
    }

    private func looked(_ number: Int, _ review: Review) {
        let now = Instant.now
        switch self.desk.looked(number, review, at: now, digest: Self.digest) {
        case .planned, .stale: break
        case .carryOut(let plan, let confirmation, let action):
            self.around.log(.confirmed(plan, confirmation))
            self.carryOut(plan, confirmation, action)
        case .ended(let plan, let confirmation, let result): self.tell(plan, confirmation, result)
        }
    }

    private static func digest(_ text: String) -> String {
        SHA256.digest(Array(text.utf8)).prefix(16).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    // MARK: - To confirm

    /// `POST /confirm/DIGEST`.
    func confirm(_ digest: String, _ body: [UInt8], by: Requester) -> StatusServer.Answer {
        do throws(OperationRequest.Mistake) {
            return self.confirm(digest, try OperationRequest.confirmation(body, by: by))
        } catch {
            return Self.error(400, "bad_body", error.message)
        }
    }

    private func confirm(_ digest: String, _ confirmation: Confirmation) -> StatusServer.Answer {
        do throws(DeskRefusal) {
            let number = try self.desk.confirm(digest, confirmation, at: .now)
            if let plan = self.desk.ticket(number)?.plan { self.lookAt(number, Self.resolved(plan)) }
            return self.ticket(number, status: 202)
        } catch {
            if let plan = self.desk.tickets.compactMap(\.plan).first(where: { $0.digest == digest }),
                self.refusals[plan.number, default: 0] < Self.refusalLimit
            {
                self.refusals[plan.number, default: 0] += 1
                self.tell(plan, confirmation, OperationResult(.refused, error.text, advice: error.advice))
            }
            return self.refused(error)
        }
    }

    /// What was planned: of a switchover with the candidate that was found.
    private static func resolved(_ plan: Plan) -> Operation {
        guard case .switchOver(let order, _) = plan.review.action else { return plan.operation }
        return .switchover(group: order.leader.group, to: order.candidate.name)
    }

    /// `POST /acknowledge/GROUP/MEMBER`: naming the member is the confirmation.
    func acknowledge(_ id: MemberID, by: Requester) -> StatusServer.Answer {
        guard self.around.core()?.acknowledgement(of: id, at: .now) != nil else {
            return StatusServer.Answer(
                status: 404, contentType: "text/plain", body: "no member \(id) is watched here\n")
        }
        do throws(DeskRefusal) {
            let operation = Operation.acknowledge(id)
            let number = try self.desk.plan(operation, by: by, at: .now)
            self.lookAt(number, operation)
            guard let plan = self.desk.ticket(number)?.plan else { throw DeskRefusal(.unknown) }
            _ = try self.desk.confirm(plan.digest, Confirmation(by: by, named: id.name), at: .now)
            self.lookAt(number, operation)
            return StatusServer.Answer(contentType: "text/plain", body: "acknowledged\n")
        } catch {
            return StatusServer.Answer(
                status: 409, contentType: "text/plain", body: "\(error.text). \(error.advice)\n")
        }
    }

    func ended(_ plan: Plan, _ confirmation: Confirmation, _ result: OperationResult) {
        self.desk.ended(plan.number, result, at: .now)
        self.tell(plan, confirmation, result)
    }

    /// In the journal and on record.
    private func tell(_ plan: Plan, _ confirmation: Confirmation, _ result: OperationResult) {
        self.around.log(
            .ended(plan.review.summary, plan.operation.code, by: confirmation.by.name, result))
        self.record.add(
            [
                .init("by", .string(confirmation.by.name)), .init("planned_by", .string(plan.by.name)),
                .init("operation", .string(plan.operation.code)), .init("summary", .string(plan.review.summary)),
                .init("overridden", .list(confirmation.overrides.sorted().map { .string($0) })),
                .init("result", .string(result.outcome.rawValue)), .init("text", .string(result.text)),
                .init("advice", .text(result.advice)),
            ], at: WallClock.milliseconds)
    }

    /// `POST /told`: what a command on this node has done itself.
    func told(_ body: [UInt8], by: Requester) -> StatusServer.Answer {
        do throws(OperationRequest.Mistake) {
            let (summary, result) = try OperationRequest.told(body)
            self.around.log(.ended(summary, "repair", by: by.name, result))
            self.record.add(
                [
                    .init("by", .string(by.name)), .init("planned_by", .string(by.name)), .init("operation", "repair"),
                    .init("summary", .string(summary)), .init("overridden", .list([])),
                    .init("result", .string(result.outcome.rawValue)), .init("text", .string(result.text)),
                    .init("advice", .text(result.advice)),
                ], at: WallClock.milliseconds)
            return StatusServer.Answer(status: 202, body: "{}\n")
        } catch {
            return Self.error(400, "bad_body", error.message)
        }
    }

    /// Somebody who may ask for nothing; told once a minute at most.
    func refuseStranger(_ name: String, _ path: String) -> StatusServer.Answer {
        let now = Instant.now
        if self.toldStrangerAt.map({ now - $0 >= .seconds(60) }) ?? true {
            self.toldStrangerAt = now
            self.around.log(.strangerRefused(name, path))
        }
        return StatusServer.Answer(status: 403, contentType: "text/plain", body: "only root may do that\n")
    }

    // MARK: - Answers

    /// `GET /operations/NUMBER`, and what a POST is answered with.
    func ticket(_ number: Int, status: UInt32 = 200) -> StatusServer.Answer {
        guard let ticket = self.desk.ticket(number) else {
            return Self.error(404, "no_such_operation", "this daemon keeps no operation \(number) any more")
        }
        return StatusServer.Answer(
            status: status, body: self.around.outward(ticket.document(at: .now).compact + "\n"))
    }

    /// `GET /operations`: this daemon's own, and those on record.
    func list() -> StatusServer.Answer {
        let now = Instant.now
        let (records, ago, reason) = self.record.records(at: now)
        let head: JSONDocument = [
            "current": .list(self.desk.tickets.map { $0.document(at: now) }), "read_seconds_ago": .seconds(ago),
            "reason": .text(reason),
        ]
        // The records are JSON already.
        let list = records.map { "[" + $0.joined(separator: ",\n") + "]" } ?? "null"
        return StatusServer.Answer(
            body: self.around.outward(String(head.compact.dropLast()) + ",\n\"operations\":\(list)}\n"))
    }

    private func refused(_ refusal: DeskRefusal) -> StatusServer.Answer {
        let status: UInt32 =
            switch refusal.reason {
            case .role: 403
            case .crowded: 429
            case .unknown: 404
            case .noSuchObjection, .named: 400
            case .used, .over, .hindered, .notOverridden, .busy: 409
            }
        return Self.error(
            status, refusal.code, self.around.outward(refusal.text), hint: self.around.outward(refusal.advice))
    }

    private static func error(
        _ status: UInt32, _ code: String, _ message: String, hint: String? = nil
    ) -> StatusServer.Answer {
        let said: JSONDocument = ["error": .string(code), "message": .string(message), "hint": .text(hint)]
        return StatusServer.Answer(status: status, body: said.compact + "\n")
    }
}
