// SPDX-License-Identifier: Apache-2.0

/// A finding that somebody has accepted until a day.
public struct AcceptedFinding: Sendable, Equatable {
    public let code: String
    public let reason: String
    public let until: AuditDate

    public init(code: String, reason: String, until: AuditDate) {
        self.code = code
        self.reason = reason
        self.until = until
    }
}

/// A day, UTC.
public struct AuditDate: Sendable, Comparable, CustomStringConvertible {
    public let year: Int
    public let month: Int
    public let day: Int

    /// From `2027-01-31`; nil for what is no day.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.map(\.utf8.count) == [4, 2, 2],
            parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } }),
            let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2]), (1...12).contains(month),
            (1...Self.days(in: month, of: year)).contains(day)
        else { return nil }
        (self.year, self.month, self.day) = (year, month, day)
    }

    /// The day on which a second since 1970 falls.
    public init(secondsSince1970 seconds: Int64) {
        // Days are counted from a first of March, so that a leap day is the last of its year.
        let days = (seconds >= 0 ? seconds : seconds - 86_399) / 86_400 + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        self.day = Int(dayOfYear - (153 * shifted + 2) / 5 + 1)
        self.month = Int(shifted < 10 ? shifted + 3 : shifted - 9)
        self.year = Int(yearOfEra + era * 400) + (self.month <= 2 ? 1 : 0)
    }

    /// Days since 1970-01-01.
    public var daysSince1970: Int64 {
        let year = Int64(self.month <= 2 ? self.year - 1 : self.year)
        let era = year / 400
        let yearOfEra = year - era * 400
        let month = Int64(self.month)
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + Int64(self.day) - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400)) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31  // Numbers of months.
        }
    }

    public static func < (a: AuditDate, b: AuditDate) -> Bool { (a.year, a.month, a.day) < (b.year, b.month, b.day) }

    public var description: String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(self.year)-\(two(self.month))-\(two(self.day))"
    }
}

/// What all rules say of some facts, and which failures would be survived.
public struct AuditReport: Sendable {
    public struct Entry: Sendable {
        public let finding: AuditFinding
        /// Nil: nobody has accepted it.
        public let accepted: AcceptedFinding?
        /// An acceptance that has ended.
        public let expired: AcceptedFinding?
    }

    /// Reds first; within a grade in the order of the rules.
    public let entries: [Entry]
    public let readiness: [Readiness]
    /// Acceptances of which there is no finding any more.
    public let needless: [AcceptedFinding]
    /// Those that hold, by code.
    private let holding: [String: AcceptedFinding]

    /// `today`: an acceptance holds through the day that it names. `rules`: those that are asked; nil: all.
    public init(
        _ facts: AuditFacts, accepted: [AcceptedFinding] = [], today: AuditDate, rules: [AuditRule]? = nil
    ) {
        var byCode: [String: AcceptedFinding] = [:]
        for acceptance in accepted { byCode[acceptance.code] = acceptance }
        let holding = byCode.filter { today <= $0.value.until }
        self.holding = holding
        let entries = (rules ?? AuditRule.all).flatMap { $0.findings(in: facts) }.map { finding in
            let accepted = holding[finding.code]
            return Entry(
                finding: finding, accepted: accepted, expired: accepted == nil ? byCode[finding.code] : nil)
        }
        self.entries = AuditGrade.allCases.sorted(by: >).flatMap { grade in entries.filter { $0.finding.grade == grade }
        }
        let found = Set(entries.map(\.finding.code))
        self.needless = accepted.filter { !found.contains($0.code) }
        self.readiness = Readiness.all(facts)
    }

    /// Who has accepted that a failure is not survived: with the finding of the same cause. Nil: nobody, or it need not be.
    public func acceptance(of line: Readiness.Line) -> AcceptedFinding? {
        guard case .notSurvived = line.outcome else { return nil }
        return line.code.flatMap { self.holding[$0] }
    }

    /// Those that nobody has accepted.
    public func count(_ grade: AuditGrade) -> Int {
        self.entries.count { $0.finding.grade == grade && $0.accepted == nil }
    }

    public var acceptedCount: Int { self.entries.count { $0.accepted != nil } }

    /// 0 nothing amber or red, 1 amber, 2 red, 3 nothing amber or red, and something could not be looked at.
    public var exitStatus: Int32 {
        if self.count(.red) > 0 { return 2 }
        if self.count(.amber) > 0 { return 1 }
        return self.count(.unlooked) > 0 ? 3 : 0
    }
}
