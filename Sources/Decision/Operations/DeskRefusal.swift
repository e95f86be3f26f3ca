// SPDX-License-Identifier: Apache-2.0

/// Why a desk does not do what it is told.
public struct DeskRefusal: Error, Hashable, Sendable {
    public enum Reason: Hashable, Sendable {
        case role(needed: OperationRole, has: OperationRole)
        /// As many plans as may be are looked at or carried out.
        case crowded
        /// No plan has this digest.
        case unknown
        case used
        case over(since: Duration)
        case hindered(Hindrance)
        case noSuchObjection(String)
        case notOverridden([String])
        case named(String?, expected: String)
        /// What is under way.
        case busy(String)
    }
    public let reason: Reason

    public init(_ reason: Reason) { self.reason = reason }

    /// A word that stays the same.
    public var code: String {
        switch self.reason {
        case .role: "role_not_enough"
        case .crowded: "too_many_plans"
        case .unknown: "no_such_plan"
        case .used: "plan_used"
        case .over: "plan_expired"
        case .hindered: "hindered"
        case .noSuchObjection: "no_such_objection"
        case .notOverridden: "objections"
        case .named: "name_expected"
        case .busy: "another_operation"
        }
    }

    /// What is, and what was expected.
    public var text: String {
        switch self.reason {
        case .role(let needed, let has): "the role \(has.rawValue) is not enough: this needs \(needed.rawValue)"
        case .crowded:
            "\(OperationDesk.limit) plans are being looked at or carried out by this daemon, as many as may be"
        case .unknown:
            "this daemon has no plan with this digest: it keeps the last \(OperationDesk.limit), and none over its restart"
        case .used: "this plan was confirmed already: each can be used once"
        case .over(let span):
            "this plan is \(span.components.seconds) s old, and a plan is valid for \(Plan.validity.components.seconds) s"
        case .hindered(let hindrance): hindrance.text
        case .noSuchObjection(let name):
            "the plan has no objection '\(name)': what is overridden must be one of its own"
        case .notOverridden(let names):
            "objections stand against it, and were not overridden by name: \(names.joined(separator: ", "))"
        case .named(let name, let expected):
            name.map { "'\($0)' was named; expected '\(expected)', which is what it says yes to" }
                ?? "it must name what it says yes to: '\(expected)'"
        case .busy(let what): "another operation is under way: \(what). One at a time"
        }
    }

    /// What to do.
    public var advice: String {
        switch self.reason {
        case .role: "ask somebody who may; on this node, as root: pharos token list"
        case .crowded: "wait a moment, then ask again"
        case .unknown, .used, .over: "make a new plan"
        case .hindered(let hindrance): hindrance.advice
        case .noSuchObjection, .notOverridden:
            "look at each objection; then name those that you put up with: --override NAME"
        case .named(_, let expected): "--yes \(expected)"
        case .busy: "pharos operations says how far it has come"
        }
    }
}
