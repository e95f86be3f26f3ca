// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON
import PatroniValues

/// What is asked for, as it stands in the body of a POST. Whatever is not expected there is refused: a misspelled member must not become
/// another operation.
enum OperationRequest {
    struct Mistake: Error, Equatable {
        /// Where, what, and what was expected.
        let message: String
    }

    /// Characters of a member's name.
    private static let nameLimit = 63
    /// Objections that one confirmation may override.
    private static let overrideLimit = 2 * ObjectionRule.allCases.count

    /// `group`: the one that is meant where the body names none.
    static func operation(_ body: [UInt8], group: Int) throws(Mistake) -> Operation {
        let fields = try self.object(body)
        guard let code = fields["operation"]?.string else {
            throw Mistake(
                message: "'operation': expected one of switchover, acknowledge, pause_reactions, resume_reactions")
        }
        switch code {
        case "switchover":
            try self.check(fields, ["operation", "group", "to"])
            return .switchover(
                group: try self.group(fields) ?? group, to: try self.name(fields, "to", isOptional: true))
        case "acknowledge":
            try self.check(fields, ["operation", "group", "member"])
            return .acknowledge(
                MemberID(try self.group(fields) ?? group, try self.name(fields, "member", isOptional: false) ?? ""))
        case "pause_reactions":
            try self.check(fields, ["operation", "seconds", "reason"])
            return .pauseReactions(seconds: try self.seconds(fields), reason: try self.reason(fields))
        case "resume_reactions":
            try self.check(fields, ["operation"])
            return .resumeReactions
        default:  // Text that somebody has sent.
            throw Mistake(
                message:
                    "'operation': '\(code.prefix(40))' is none; expected one of switchover, acknowledge, pause_reactions, resume_reactions"
            )
        }
    }

    static func confirmation(_ body: [UInt8], by: Requester) throws(Mistake) -> Confirmation {
        let fields = body.isEmpty ? [:] : try self.object(body)
        try self.check(fields, ["name", "overrides"])
        var overrides: Set<String> = []
        switch fields["overrides"] ?? .null {
        case .null: break
        case .array(let list) where list.count <= self.overrideLimit:
            for element in list {
                guard let name = element.string, Objection.names.contains(name) else {
                    throw Mistake(
                        message: "'overrides': expected names of objections, such as \(ObjectionRule.lag.rawValue)")
                }
                overrides.insert(name)
            }
        case .array, .bool, .integer, .unsigned, .fraction, .string, .object:
            throw Mistake(message: "'overrides': expected a list of \(self.overrideLimit) names at most")
        }
        return Confirmation(by: by, named: try self.name(fields, "name", isOptional: true), overrides: overrides)
    }

    /// What a command on this node has done itself, for the record: `pharos repair`.
    static func told(_ body: [UInt8]) throws(Mistake) -> (summary: String, result: OperationResult) {
        let fields = try self.object(body)
        try self.check(fields, ["operation", "code", "database", "result", "text"])
        guard fields["operation"]?.string == "repair" else { throw Mistake(message: "'operation': expected repair") }
        let result: OperationResult.Outcome
        switch fields["result"]?.string {
        case "done": result = .done
        case "failed": result = .failed
        default: throw Mistake(message: "'result': expected done or failed")  // Text that somebody has sent.
        }
        let code = try self.name(fields, "code", isOptional: false) ?? ""
        let database = try self.name(fields, "database", isOptional: false) ?? ""
        let text = String((fields["text"]?.string ?? "").firstLine)
        return (
            "repair \(code) in the database \(database)",
            OperationResult(result, text, advice: result == .done ? nil : "pharos verify")
        )
    }

    // MARK: - Fields

    private static func object(_ body: [UInt8]) throws(Mistake) -> [String: JSON] {
        guard let fields = JSON.parse(body)?.object else {
            throw Mistake(message: "expected a JSON object as the body")
        }
        return fields
    }

    private static func check(_ fields: [String: JSON], _ known: [String]) throws(Mistake) {
        guard let other = fields.keys.filter({ !known.contains($0) }).min() else { return }
        throw Mistake(
            message: "'\(other.prefix(40))' is not expected here; expected \(known.joined(separator: ", "))")
    }

    private static func group(_ fields: [String: JSON]) throws(Mistake) -> Int? {
        guard let value = fields["group"], value != .null else { return nil }
        guard case .integer(let number) = value, (0...Int64(Int32.max)).contains(number) else {
            throw Mistake(message: "'group': expected a whole number from 0, not \(value.kind)")
        }
        return Int(number)
    }

    private static func name(_ fields: [String: JSON], _ field: String, isOptional: Bool) throws(Mistake) -> String? {
        guard let value = fields[field], value != .null else {
            if isOptional { return nil }
            throw Mistake(message: "'\(field)': expected a name")
        }
        guard let text = value.string, text.unicodeScalars.count <= Self.nameLimit,
            let name = patroniLeader(Array(text.utf8))
        else {
            throw Mistake(message: "'\(field)': expected a name of 1 to \(Self.nameLimit) characters")
        }
        return name
    }

    private static func seconds(_ fields: [String: JSON]) throws(Mistake) -> Int64 {
        let (least, most) = (Operation.shortestPause, Operation.longestPause)
        guard case .integer(let seconds)? = fields["seconds"], (least...most).contains(seconds) else {
            throw Mistake(message: "'seconds': expected a whole number from \(least) to \(most), a day")
        }
        return seconds
    }

    private static func reason(_ fields: [String: JSON]) throws(Mistake) -> String {
        let text = fields["reason"]?.string ?? ""
        let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
        guard isPlain, (1...Operation.reasonLimit).contains(text.unicodeScalars.count), text.first != " " else {
            throw Mistake(
                message:
                    "'reason': expected a text of 1 to \(Operation.reasonLimit) characters in one line, the first not a blank"
            )
        }
        return text
    }
}
