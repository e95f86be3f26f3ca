// SPDX-License-Identifier: Apache-2.0
public import Decision
import Journal

extension FailoverRecord {
    /// What the new leader lacks of the old one's log, in words; nil: it has not been judged.
    public var lostText: String? {
        guard let lost = self.lost else { return nil }
        let (before, leader) = (self.from ?? "nobody", self.to)
        let end = lost.end.map { LostLog.text($0) } ?? "?"
        let timeline = lost.timeline.map { "\($0)" } ?? "?"
        let seen = lost.seen.map { LostLog.text($0) } ?? "?"
        switch lost.finding {
        case .nothing(.synchronous):
            return
                "nothing of what \(before) acknowledged under synchronous_commit = on, remote_write or remote_apply: \(leader) was its synchronous standby. Commits under local or off may be missing"
        case .nothing(.shutdown):
            return "nothing: \(before) was shut down in order, and \(leader) has its log to the end (\(end))"
        case .atLeast(let bytes):
            return
                "at least \(bytes) bytes of \(before)'s log: it was seen at \(seen), and its timeline \(timeline) ends on \(leader) at \(end). \(self.lostSpanText). \(self.lostCommand(timeline, end))"
        case .notKnown(.notSeenFurther):
            return
                "how much is not known. \(leader) has \(before)'s log to \(end), all that was seen of it (to \(seen)). \(self.lostSpanText). \(self.lostCommand(timeline, end))"
        case .notKnown(.notSeen):
            return
                "how much is not known: nobody here saw how far \(before)'s log was. \(leader) has it to \(end). \(self.lostCommand(timeline, end))"
        case .notKnown(.noEnd):
            return
                "how much is not known: Patroni has not said where \(before)'s timeline ends (its key history). See \"What a failover has lost\" in docs/operations.md"
        case .notKnown(.standbyCluster): return "not known; in a standby cluster neither leader accepts writes"
        case .notKnown(.other): return "how much is not known: a later version of Pharos has written why"
        }
    }

    private var lostSpanText: String {
        let (before, leader) = (self.from ?? "nobody", self.to)
        guard let span = self.lostSpan else { return "Since when \(before)'s writes may be missing is not known" }
        let when =
            span == .zero
            ? "after its leader key was lost"
            : "in the last \(Wording.text(span)) before its leader key was lost, or later,"
        return "What \(before) acknowledged \(when) may be missing; what it acknowledged before is on \(leader)"
    }

    private func lostCommand(_ timeline: String, _ end: String) -> String {
        "To see what it was, on \(self.from ?? "nobody"), before Patroni starts there: pg_waldump --path=DATA_DIRECTORY/pg_wal --timeline=\(timeline) --start=\(end)"
    }
}

extension LogRecord {
    /// What this node, which leads now, lacks of the log of the leader before.
    init(lost record: FailoverRecord) {
        let finding = record.lost?.finding
        let priority: Priority =
            switch finding {
            case .atLeast: .error
            case .notKnown(.notSeenFurther), .notKnown(.notSeen), .notKnown(.noEnd), .notKnown(.other): .warning
            case .nothing, .notKnown(.standbyCluster), nil: .notice
            }
        var bytes = ""
        if case .atLeast(let count) = finding { bytes = "\(count)" }
        self.init(
            .logLost,
            "what the failover from \(record.from ?? "nobody") to \(record.to) has lost: \(record.lostText ?? "not known")",
            [
                "GROUP": "\(record.group)", "OLD_LEADER": record.from ?? "", "LEADER": record.to,
                "REVISION": "\(record.revision)", "LOST": finding?.code ?? "", "BYTES": bytes,
                "AFTER": record.lostSpan.map { Wording.text($0) } ?? "",
            ], priority: priority)
    }
}
