// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import TestSupport

/// A call that was recorded on a real Citus 13.2.2: where, by whom, and what it answered.
struct RecordedCall {
    /// What a server says beside its rows.
    struct Message: Equatable {
        var severity: String
        /// nil in recorded notices, which have none.
        var sqlState: String?
        var text: String
        var detail: String?
        var hint: String?
    }

    enum Answer: Equatable {
        case rows([[String?]], notices: [Message])
        case refusal(Message)
    }

    let id: String
    let node: String
    let user: String
    let setup: String?
    let sql: String
    let answer: Answer

    /// All recorded calls, in their order. `ports` takes the places of the recorded ones: see ``LocalCitus/ports``.
    static func load(ports: [Int]) throws -> [RecordedCall] {
        let recorded = [29700, 29701, 29702, 29711, 29712, 29799]
        let bytes = try fixture("citus-13.2.2-recorded.json")
        var text = String(decoding: bytes, as: UTF8.self)
        for (old, new) in zip(recorded, ports) { text.replace("\(old)", with: "\(new)") }
        guard let vectors = JSON.parse(Array(text.utf8))?["vectors"]?.array else {
            throw TestSupportError("the recorded calls cannot be read")
        }
        return try vectors.map { vector in
            guard let call = RecordedCall(vector) else { throw TestSupportError("no recorded call: \(vector)") }
            return call
        }
    }

    private init?(_ vector: JSON) {
        guard let id = vector["id"]?.string, let node = vector["on"]?.string, let user = vector["user"]?.string,
            let sql = vector["sql"]?.string
        else { return nil }
        self.id = id
        self.node = node
        self.user = user
        self.setup = vector["setup"]?.string
        self.sql = sql
        if let rows = vector["rows"]?.array {
            let notices = (vector["notices"]?.array ?? []).compactMap(\.string).compactMap(Self.notice)
            self.answer = .rows(rows.map { ($0.array ?? []).map(Self.value) }, notices: notices)
        } else if let state = vector["sqlstate"]?.string, let text = vector["message"]?.string {
            let message = Message(
                severity: "ERROR", sqlState: state, text: text, detail: vector["detail"]?.string,
                hint: vector["hint"]?.string)
            self.answer = .refusal(message)
        } else {
            return nil
        }
    }

    /// Booleans were recorded by a client that spells them out.
    private static func value(_ recorded: JSON) -> String? {
        switch recorded.string {
        case "True": "t"
        case "False": "f"
        case let text: text
        }
    }

    /// `WARNING:  text`, then perhaps a line `DETAIL:  text`.
    private static func notice(_ recorded: String) -> Message? {
        Message.parse(recorded + "\n").first
    }
}

extension RecordedCall.Message {
    /// Of one line each, and in no recording.
    private static let unrecorded = ["LOCATION", "CONTEXT", "SCHEMA NAME", "TABLE NAME", "CONSTRAINT NAME"]

    /// The messages in what psql prints, with or without VERBOSITY=verbose.
    static func parse(_ output: String) -> [Self] {
        var messages: [Self] = []
        var field: WritableKeyPath<Self, String?>?
        for line in output.split(separator: "\n", omittingEmptySubsequences: true).map(String.init) {
            if let severity = ["ERROR", "WARNING", "NOTICE"].first(where: { line.hasPrefix($0 + ":  ") }) {
                var text = line.dropFirst(severity.count + 3)
                var state: String?
                if case let code = text.prefix(5), text.dropFirst(5).hasPrefix(": "),
                    code.allSatisfy({ $0.isUppercase || $0.isNumber })
                {
                    state = String(code)
                    text = text.dropFirst(7)
                }
                messages.append(Self(severity: severity, sqlState: state, text: String(text)))
                field = nil
            } else if messages.isEmpty || Self.unrecorded.contains(where: { line.hasPrefix($0 + ":  ") }) {
                continue
            } else if line.hasPrefix("DETAIL:  ") {
                field = \.detail
                messages[messages.count - 1].detail = String(line.dropFirst(9))
            } else if line.hasPrefix("HINT:  ") {
                field = \.hint
                messages[messages.count - 1].hint = String(line.dropFirst(7))
            } else if let field {
                messages[messages.count - 1][keyPath: field]?.append("\n" + line)
            } else {
                messages[messages.count - 1].text += "\n" + line
            }
        }
        return messages
    }
}
