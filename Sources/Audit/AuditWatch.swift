// SPDX-License-Identifier: Apache-2.0

/// What has begun and what has ended of what would not be survived, and of red findings: told once it has lasted, and seldom of what comes
/// and goes. A value; time is an argument, and counts from any moment.
///
/// What is not known neither begins nor ends anything.
public struct AuditWatch: Sendable {
    /// So long something lasts before it is told: longer than from one probe of etcd to the next, so that a single one that failed is not.
    public static let settling: Duration = .seconds(30)
    /// Whatever has ended so often lasts 2, 4, … times as long until its next end is told.
    private static let longestEndings = 5
    /// What has not been seen for so long begins anew.
    private static let memory: Duration = .seconds(3600)

    private enum Subject: Hashable {
        case failure(group: Int, Readiness.Failure, String?)
        case finding(String)
    }

    private struct Track {
        var text: String
        var group: Int
        /// Whether it is so now, and since when.
        var isSo = true
        var since: Duration
        /// Since when what was told last has been so; nil: nothing is told that has not ended.
        var toldSince: Duration?
        var endings = 0

        /// When the next word of it is due; nil: nothing is.
        var due: Duration? {
            switch (self.isSo, self.toldSince) {
            case (true, nil): self.since + AuditWatch.settling
            case (false, .some): self.since + AuditWatch.settling * (1 << min(self.endings, AuditWatch.longestEndings))
            case (true, .some), (false, nil): nil
            }
        }
    }

    /// What is over, and how long it lasted.
    public struct Ended: Sendable, Equatable {
        public let group: Int
        public let text: String
        public let lasted: Duration
    }

    /// What is to be told.
    public struct News: Sendable {
        /// Failures that would not be survived, by group.
        public var lost: [Int: [Readiness.Line]] = [:]
        public var survivedAgain: [Ended] = []
        /// Red findings, those of one rule together.
        public var found: [[AuditFinding]] = []
        public var gone: [Ended] = []
    }

    private var tracks: [Subject: Track] = [:]

    public init() {}

    /// When to look again at the latest, for what has only begun or ended to be told; nil: nothing has.
    public var due: Duration? { self.tracks.values.compactMap(\.due).min() }

    /// Since when a failure would not be survived; nil: it would be, or that is not known.
    public func since(_ line: Readiness.Line, group: Int) -> Duration? {
        let track = self.tracks[.failure(group: group, line.failure, line.member)]
        return track.flatMap { $0.isSo ? $0.since : nil }
    }

    /// Takes a judgement over. Of groups other than `own`, their own nodes tell. What somebody has accepted is told no more.
    public mutating func look(_ report: AuditReport, own: Int, at now: Duration) -> News {
        var news = News()
        var seen: Set<Subject> = []
        for readiness in report.readiness {
            for line in readiness.lines {
                let subject = Subject.failure(group: readiness.group, line.failure, line.member)
                seen.insert(subject)
                if report.acceptance(of: line) != nil {
                    self.tracks[subject] = nil
                    continue
                }
                let isSo: Bool? =
                    switch line.outcome {
                    case .notSurvived: true
                    case .survived: false
                    case .notKnown: nil
                    }
                guard let isTold = self.take(subject, isSo, line.text, readiness.group, at: now) else { continue }
                guard readiness.group == own else { continue }
                switch isTold {
                case .begun: news.lost[readiness.group, default: []].append(line)
                case .ended(let ended): news.survivedAgain.append(ended)
                }
            }
        }
        for entry in report.entries where entry.accepted != nil { self.tracks[.finding(entry.finding.code)] = nil }
        let reds = report.entries.filter { $0.finding.grade == .red && $0.accepted == nil }.map(\.finding)
        let unseen = Set(report.entries.lazy.filter { $0.finding.grade == .unlooked }.map(\.finding.code))
        for findings in Dictionary(grouping: reds, by: \.code).values.sorted(by: { $0[0].code < $1[0].code }) {
            let subject = Subject.finding(findings[0].code)
            seen.insert(subject)
            if case .begun? = self.take(subject, true, findings[0].code, own, at: now) { news.found.append(findings) }
        }
        self.end(allBut: seen, unseen, of: report, own: own, at: now, &news)
        return news
    }

    /// What is not named any more: findings that are gone, standbys that are none.
    private mutating func end(
        allBut seen: Set<Subject>, _ unseen: Set<String>, of report: AuditReport, own: Int, at now: Duration,
        _ news: inout News
    ) {
        for (subject, track) in self.tracks.sorted(by: { $0.value.text < $1.value.text }) where !seen.contains(subject)
        {
            let isKnown: Bool
            switch subject {
            case .finding(let code): isKnown = !unseen.contains(code)
            case .failure(let group, let failure, _):
                // One line without a name stands for all standbys while nobody knows them.
                let lines = report.readiness.first { $0.group == group }?.lines ?? []
                isKnown = !lines.contains { line in
                    if line.failure == failure, case .notKnown = line.outcome { true } else { false }
                }
            }
            guard case .ended(let ended)? = self.take(subject, isKnown ? false : nil, track.text, track.group, at: now)
            else { continue }
            switch subject {
            case .finding: news.gone.append(ended)
            case .failure(let group, _, _): if group == own { news.survivedAgain.append(ended) }
            }
        }
    }

    private enum Word {
        case begun
        case ended(Ended)
    }

    /// `isSo`: nil where it is not known. Answers what is to be told of it.
    private mutating func take(
        _ subject: Subject, _ isSo: Bool?, _ text: String, _ group: Int, at now: Duration
    ) -> Word? {
        guard let isSo else { return nil }
        guard var track = self.tracks[subject] else {
            if isSo { self.tracks[subject] = Track(text: text, group: group, since: now) }
            return nil
        }
        if track.isSo != isSo { (track.isSo, track.since) = (isSo, now) }
        track.text = text
        var word: Word?
        if let due = track.due, now >= due {
            if let since = track.toldSince {
                word = .ended(Ended(group: track.group, text: track.text, lasted: track.since - since))
                track.toldSince = nil
                track.endings += 1
            } else {
                word = .begun
                track.toldSince = track.since
            }
        }
        let isForgotten =
            !track.isSo && track.toldSince == nil && (track.endings == 0 || now - track.since > Self.memory)
        self.tracks[subject] = isForgotten ? nil : track
        return word
    }
}
