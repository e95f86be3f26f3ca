// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal
import Shell

/// What is told of a restore point.
enum RestorePointText {
    static func made(_ point: RestorePoint) -> String {
        let places = point.places.map { "    group \($0.group) (\($0.member)): \($0.lsn) in \($0.segment)" }
        let attempts = point.attempts == 1 ? "" : ", at attempt \(point.attempts)"
        return LogRecord.escaped(
            "restore point \(point.name) is made on \(point.places.count) nodes; commits waited \(point.blocked) ms\(attempts)"
        )
            + "\n" + places.map { LogRecord.escaped($0) }.joined(separator: "\n")
    }

    static func line(_ point: RestorePoint) -> String {
        let archived = point.places.filter { $0.archived != nil }.count
        let state =
            !point.isComplete
            ? "NOT COMPLETE, never restore to it"
            : point.isArchived ? "archived everywhere" : "archived in \(archived) of \(point.places.count) groups"
        return LogRecord.escaped(
            "\(HistoryText.date(Instant(sinceBoot: .milliseconds(point.made))))  \(point.name)  \(state), commits waited \(point.blocked) ms"
        )
    }

    /// Why nobody should restore to a point.
    struct Refusal: Error, CustomStringConvertible {
        let description: String
    }

    /// What PostgreSQL is told on each group's server, of the points on record under a name. PostgreSQL reads the timeline as C does: with
    /// a leading 0 it would be octal, so the first digits of a file's name mean another timeline than they say.
    static func recoverySettings(_ points: [RestorePoint], _ name: String) throws(Refusal) -> String {
        guard let point = points.last else {
            throw Refusal(
                description:
                    "no restore point \(name) is on record in etcd: pharos restore-points lists those that are; where etcd was lost, look for the record that was kept beside it"
            )
        }
        guard points.count == 1 else {
            throw Refusal(
                description:
                    "\(points.count) restore points are called \(name): a restore stops at the first, so nothing could be proven; choose another one"
            )
        }
        guard point.isComplete else {
            throw Refusal(description: "restore point \(name) did not come to its end: never restore to it")
        }
        var lines = [self.line(point)]
        for place in point.places {
            guard let timeline = UInt32(place.segment.prefix(8), radix: 16) else {
                throw Refusal(
                    description: "the record of \(name) names no timeline of group \(place.group): '\(place.segment)'")
            }
            let state = place.archived == nil ? "not known to be in the archive" : "in the archive"
            lines += [
                "group \(place.group): \(place.lsn) in \(place.segment), \(state); made by \(place.member)",
                "    recovery_target_name = '\(point.name)'",
                "    recovery_target_timeline = '\(timeline)'",
                "    recovery_target_action = 'promote'",
            ]
        }
        return lines.map { LogRecord.escaped($0) }.joined(separator: "\n")
    }
}
