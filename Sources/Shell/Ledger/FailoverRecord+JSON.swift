// SPDX-License-Identifier: Apache-2.0
public import Decision
import LeaseKeys
import LenientJSON

extension LedgerEntry {
    /// `now` and `wall` are the same moment, by the clock of this boot and in milliseconds since 1970.
    func json(at now: Instant, _ wall: Int64) -> String {
        switch self {
        case .own(let record), .witnessed(let record): record.json(at: now, wall)
        case .metadata(_, let revision, let phases, let member):
            JSONDocument.members(
                .init("id", .integer(revision)), .init("by", .string(member)),
                .init("phases", FailoverRecord.document(phases, at: now, wall))
            ).compact
        }
    }
}

/// How a record stands in etcd: times are milliseconds since 1970, so that another node can read them.
extension FailoverRecord {
    /// Bytes of a record that is read.
    private static let sizeLimit = 64 << 10
    private static let noteLimit = 32

    /// `now` and `wall` are the same moment, by the clock of this boot and in milliseconds since 1970.
    func json(at now: Instant, _ wall: Int64) -> String { self.document(at: now, wall).compact }

    func document(at now: Instant, _ wall: Int64) -> JSONDocument {
        let notes = self.notes.map {
            ["at": .integer(Self.time($0.at, now, wall)), "text": .string($0.text)] as JSONDocument
        }
        let (cause, detail) = Self.code(self.cause)
        return [
            "id": .integer(self.revision), "group": .number(self.group), "from": .text(self.from),
            "to": .string(self.to), "cause": .string(cause), "cause_detail": .text(detail),
            "detection_budget_ms": .integer(Int64(self.detectionBudget / .milliseconds(1))),
            "by": .text(self.by), "phases": Self.document(self.phases, at: now, wall),
            "expected": .list(Phase.allCases.filter { self.expected.contains($0) }.map { .string($0.rawValue) }),
            "clocks": .object(
                Phase.allCases.compactMap { phase in
                    self.clocks[phase].map { .init(phase.rawValue, .string($0)) }
                }), "notes": .list(notes),
            "lost": self.lostDocument(at: now, wall),
        ]
    }

    static func time(_ instant: Instant, _ now: Instant, _ wall: Int64) -> Int64 {
        wall - Int64((now - instant) / .milliseconds(1))
    }

    fileprivate static func document(
        _ phases: [Phase: Instant], at now: Instant, _ wall: Int64
    ) -> JSONDocument {
        .object(
            Phase.allCases.compactMap { phase in
                phases[phase].map { .init(phase.rawValue, .integer(self.time($0, now, wall))) }
            })
    }

    private static func code(_ cause: Cause) -> (code: String, detail: String?) {
        switch cause {
        case .switchover: ("switchover", nil)
        case .grayFailure(let member): ("gray_failure", member)
        case .failure(let verdict): ("failure", verdict.rawValue)
        case .unknown: ("unknown", nil)
        }
    }

    private static func cause(_ code: String?, _ detail: String?) -> Cause {
        switch code {
        case "switchover": .switchover
        case "gray_failure": .grayFailure(by: detail ?? PharosKeys.unreadable)
        case "failure": .failure(detail.flatMap { DetectorVerdict(rawValue: $0) } ?? .unknown)
        default: .unknown  // Text; a later version may know more.
        }
    }

    /// As it stands in etcd; of a record that was read from there.
    public var json: String { self.json(at: Instant(sinceBoot: .zero), 0) }

    /// A record from what stands in etcd, its instants counted from 1970; nil for what is none.
    init?(value: [UInt8]) {
        guard let json = JSON.parse(value, limit: Self.sizeLimit), let id = json["id"]?.int64,
            let group = json["group"]?.int64, let to = json["to"]?.string, let times = json["phases"]?.object
        else { return nil }
        let notes = (json["notes"]?.array ?? []).prefix(Self.noteLimit).compactMap { note -> Note? in
            guard let at = Self.instant(note["at"]), let text = note["text"]?.string else { return nil }
            return Note(at: at, text: text)
        }
        let budget = json["detection_budget_ms"]?.int64 ?? 150_000
        self.init(
            revision: id, group: Int(group), from: json["from"]?.string, to: to,
            cause: Self.cause(json["cause"]?.string, json["cause_detail"]?.string), phases: Self.phases(times),
            notes: notes,
            detectionBudget: .milliseconds(min(max(budget, 0), 86_400_000)),
            expected: Set((json["expected"]?.array ?? []).compactMap { $0.string.flatMap { Phase(rawValue: $0) } }),
            by: json["by"]?.string)
        self.lost = LostLog(json["lost"])
    }

    /// Adds what stands beside it, of the group's metadata.
    mutating func add(metadata value: [UInt8]) {
        guard let json = JSON.parse(value, limit: Self.sizeLimit), json["id"]?.int64 == self.revision,
            let times = json["phases"]?.object
        else { return }
        for (phase, instant) in Self.phases(times) where self.isNearer(instant, of: phase) {
            self.phases[phase] = instant
            self.clocks[phase] = json["by"]?.string
        }
    }

    /// What the new leader's own daemon has told is nearer, as a rule. But without addresses it looks whether PostgreSQL accepts writes
    /// with its probes alone, up to an interval late, and the coordinator's daemon, which is about to move the row, every 15 ms: what is
    /// earlier by more than clocks differ is the moment that was seen first. Before the leader key nothing was.
    private func isNearer(_ instant: Instant, of phase: Phase) -> Bool {
        guard let own = self.phases[phase] else { return true }
        let gained = self.phases[.keyGained] ?? own
        return phase == .writable && own - instant > Self.clockDifference && instant >= gained
    }

    /// Clocks of nodes that a time service keeps differ by less.
    private static let clockDifference: Duration = .seconds(1)

    private static func phases(_ times: [String: JSON]) -> [Phase: Instant] {
        var phases: [Phase: Instant] = [:]
        for phase in Phase.allCases { phases[phase] = self.instant(times[phase.rawValue]) }
        return phases
    }

    static func instant(_ value: JSON?) -> Instant? {
        guard let milliseconds = value?.int64, (0...1 << 50).contains(milliseconds) else { return nil }
        return Instant(sinceBoot: .milliseconds(milliseconds))
    }
}
