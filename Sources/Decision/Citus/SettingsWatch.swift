// SPDX-License-Identifier: Apache-2.0

/// When one database of the coordinator is looked at for settings under which a failover hangs or fails, and what is told of it: once
/// when this daemon becomes the writer, and again only when it is something else.
struct SettingsWatch: Sendable {
    private(set) var question: Question
    private let names: AdviceNames
    /// What was told last; nil: nothing since this daemon became the writer.
    private var told: Set<SettingProblem>?

    /// Not in the moment of a failover; then every hour, or soon where nothing could be seen.
    static let (first, pace, again) = (Duration.seconds(10), Duration.seconds(3600), Duration.seconds(300))

    init(_ names: AdviceNames, at now: Instant) {
        self.names = names
        self.question = Question(due: now + Self.first)
    }

    /// This daemon becomes the writer, or is it no more.
    mutating func begin(at now: Instant) {
        self.told = nil
        self.question.due = now + Self.first
    }

    /// Answers whether it is to be looked at now.
    mutating func ask(at now: Instant) -> Bool {
        guard self.question.isDue(at: now) else { return false }
        self.question.ask(at: now, next: now + Self.pace)
        return true
    }

    /// Answers what is to be told; nil: nothing.
    mutating func learn(_ seen: ServerSettings, askedAt: Instant, at now: Instant) -> [SettingProblem]? {
        guard self.question.answered(askedAt) else { return nil }
        if seen.problem != nil { self.question.due = now + Self.again }
        let problems = settingProblems(seen, self.names).filter { $0.severity > .note }
        // How many processes run is another number each time.
        let before = self.told
        self.told = Set(problems.map { SettingProblem(rule: $0.rule, text: "") })
        return before ?? [] == self.told ? nil : problems
    }

    mutating func giveUp(at now: Instant, awakeSince: Instant) -> [SettingProblem]? {
        let askedAt = self.question.askedAt ?? now
        guard self.question.isUnderWay,
            now - max(askedAt, awakeSince) >= AnswerLimits.settings
        else { return nil }
        return self.learn(ServerSettings(problem: "no answer"), askedAt: askedAt, at: now)
    }
}
