// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON

extension OperationDesk.Ticket {
    /// Of `/operations`: what was asked for, how far it has come, and the plan.
    func document(at now: Instant) -> JSONDocument {
        var members: [JSONDocument.Member] = [
            .init("number", .number(self.number)), .init("operation", .string(self.operation.code)),
            .init("by", .string(self.by.name)), .init("state", .string(self.code)),
            .init("plan", self.plan?.document(isOpen: self.code == "planned", at: now) ?? .null),
        ]
        switch self.state {
        case .looking, .planned: members.append(.init("result", .null))
        case .confirming(_, let confirmation, _), .underWay(_, let confirmation, _):
            members += [.init("confirmed_by", .string(confirmation.by.name)), .init("result", .null)]
        case .ended(_, let confirmation, let result, let at):
            members += [
                .init("confirmed_by", .text(confirmation?.by.name)),
                .init("result", result.document),
                .init("ended_seconds_ago", .seconds(max(.zero, now - at))),
            ]
        }
        return .object(members)
    }

    private var code: String {
        switch self.state {
        case .looking: "looking"
        case .planned: "planned"
        case .confirming: "confirming"
        case .underWay: "under_way"
        case .ended: "ended"
        }
    }
}

extension OperationResult {
    var document: JSONDocument {
        [
            "outcome": .string(self.outcome.rawValue), "text": .string(self.text), "advice": .text(self.advice),
        ]
    }
}

extension Plan {
    /// `isOpen`: whether it can still be confirmed.
    fileprivate func document(isOpen: Bool, at now: Instant) -> JSONDocument {
        let left = max(.zero, Plan.validity - (now - self.madeAt))
        return [
            "digest": .string(self.digest), "summary": .string(self.review.summary),
            "must_name": .text(self.review.mustName), "steps": .list(self.review.steps.map { .string($0) }),
            "effects": .list(self.review.effects.map { .string($0) }),
            "objections": .list(self.review.objections.map(\.document)),
            "hindrances": .list(
                self.review.hindrances.map { hindrance -> JSONDocument in
                    [
                        "code": .string(hindrance.code), "text": .string(hindrance.text),
                        "advice": .string(hindrance.advice),
                    ]
                }),
            "rests_on": .list(self.review.bound.map { .string("\($0.what): \($0.value)") }),
            "valid_for_seconds": .seconds(isOpen ? left : .zero),
            "needs_role": .string(self.role(overriding: Set(self.review.objections.map(\.name))).rawValue),
        ]
    }
}

extension Objection {
    fileprivate var document: JSONDocument {
        [
            "name": .string(self.name), "is_grave": .bool(self.rule.isGrave), "is_unseen": .bool(self.isUnseen),
            "text": .string(self.text), "evidence": .string(self.evidence), "age_seconds": .seconds(self.age),
        ]
    }
}
