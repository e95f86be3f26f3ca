// SPDX-License-Identifier: Apache-2.0

/// A server on which statements are to be run.
public enum StatementPlace: Hashable, Sendable, CustomStringConvertible {
    case server(NodeEndpoint)
    /// The leader of a group, of which etcd does not say where it is.
    case leader(of: Int)

    /// The leader of a group, where it is if that is known.
    init(_ endpoint: NodeEndpoint?, leads group: Int) {
        self = endpoint.map { .server($0) } ?? .leader(of: group)
    }

    public var description: String {
        switch self {
        case .server(let endpoint): "\(endpoint)"
        case .leader(let group): "the leader of group \(group)"
        }
    }
}

extension Finding {
    /// What puts it right.
    public struct Remedy: Hashable, Sendable {
        /// What is to be run in the database: nothing without the server that it is to be run on.
        public enum Action: Hashable, Sendable {
            case none
            /// By `pharos repair`, in order, gated and fenced like the daemon's own.
            case changes([RowChange], on: StatementPlace)
            /// `isRepaired`: `pharos repair` runs them; else a person does.
            case statements([String], on: StatementPlace, isRepaired: Bool)
        }

        /// What to do, for people.
        public var text: String
        public var action: Action
        /// Commands for a shell, on any node unless ``text`` names one.
        public var commands: [String]
        /// Why `pharos repair` does not do it; nil where it does.
        public var refusal: String?

        /// Nothing is to be run in a database.
        public init(_ text: String, commands: [String] = [], refusal: String? = nil) {
            self.init(text, .none, commands, refusal)
        }

        /// Rows are to be changed.
        public init(_ text: String, changes: [RowChange], on place: StatementPlace, refusal: String? = nil) {
            self.init(text, changes.isEmpty ? .none : .changes(changes, on: place), [], refusal)
        }

        /// A person is to run these.
        public init(_ text: String, sql: [String], on place: StatementPlace, refusal: String? = nil) {
            self.init(text, sql.isEmpty ? .none : .statements(sql, on: place, isRepaired: false), [], refusal)
        }

        /// `pharos repair` runs these.
        public init(_ text: String, repairedBy sql: [String], on place: StatementPlace, refusal: String? = nil) {
            self.init(text, sql.isEmpty ? .none : .statements(sql, on: place, isRepaired: true), [], refusal)
        }

        private init(_ text: String, _ action: Action, _ commands: [String], _ refusal: String?) {
            (self.text, self.action, self.commands) = (text, action, commands)
            let isRepaired =
                switch action {
                case .none: false
                case .changes: true
                case .statements(_, _, let isRepaired): isRepaired
                }
            self.refusal = isRepaired ? refusal : refusal ?? "it needs an operator's judgement"
        }
    }
}

extension Finding.Remedy {
    /// The rows' changes, in order.
    public var changes: [RowChange] { if case .changes(let changes, _) = self.action { changes } else { [] } }

    /// Statements that are no changes of rows.
    public var sql: [String] { if case .statements(let sql, _, _) = self.action { sql } else { [] } }

    /// Where they are to be run; nil where there are none.
    public var place: StatementPlace? {
        switch self.action {
        case .none: nil
        case .changes(_, let place), .statements(_, let place, _): place
        }
    }
}
