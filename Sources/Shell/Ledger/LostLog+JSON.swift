// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON

/// How what was lost stands in a record: positions in bytes, times in milliseconds since 1970.
extension FailoverRecord {
    func lostDocument(at now: Instant, _ wall: Int64) -> JSONDocument {
        guard let lost = self.lost else { return .null }
        var (proof, reason): (String?, String?) = (nil, nil)
        var bytes: Int64?
        switch lost.finding {
        case .nothing(let value): (proof, bytes) = (value.rawValue, 0)
        case .atLeast(let value): bytes = value
        case .notKnown(let value): reason = value.rawValue
        }
        let number = { (value: Int64?) in value.map { JSONDocument.integer($0) } ?? .null }
        return [
            "finding": .string(lost.finding.code), "proof": .text(proof), "reason": .text(reason),
            "bytes": number(bytes), "kept_until": number(lost.keptUntil.map { Self.time($0, now, wall) }),
            "span_ms": number(self.lostSpan.map { Int64($0 / .milliseconds(1)) }),
            "timeline": number(lost.timeline), "end": number(lost.end), "seen": number(lost.seen),
        ]
    }
}

extension LostLog {
    /// Nil where nothing is said. What cannot be read is not known.
    init?(_ json: JSON?) {
        guard let json, json.object != nil else { return nil }
        let count = { (name: String) in json[name]?.int64.flatMap { $0 >= 0 ? $0 : nil } }
        let finding: Finding =
            switch (json["finding"]?.string, json["proof"]?.string.flatMap { Proof(rawValue: $0) }, count("bytes")) {
            case ("nothing", let proof?, _): .nothing(proof)
            case ("at_least", _, let bytes?): .atLeast(bytes: bytes)
            default: .notKnown(json["reason"]?.string.flatMap { Reason(rawValue: $0) } ?? .other)  // Text.
            }
        self.init(
            finding, keptUntil: FailoverRecord.instant(json["kept_until"]), timeline: count("timeline"),
            end: count("end"),
            seen: count("seen"))
    }
}
