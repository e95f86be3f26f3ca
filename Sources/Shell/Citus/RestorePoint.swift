// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// A restore point of all groups: its name, and where it lies in each group's write-ahead log.
///
/// In etcd it stands outside of the databases that are restored: below `backups/points/`, under the time at which it was made.
public struct RestorePoint: Hashable, Sendable {
    /// Not the same for any two.
    public var id: String
    public var name: String
    /// Milliseconds since 1970.
    public var made: Int64
    /// Whose daemon's node made it.
    public var by: String
    public var citusVersion: String?
    /// For how long commits of distributed transactions waited, in milliseconds.
    public var blocked: Int64
    public var attempts: Int
    /// Whether it is on every node, and nothing was committed while it was being made. One that is not must never be restored to.
    public var isComplete: Bool
    public var places: [Place]

    /// Where it lies in one group.
    public struct Place: Hashable, Sendable {
        public var group: Int
        public var member: String
        public var system: String
        public var lsn: String
        /// The file of the log that it is in; the first eight digits are the timeline.
        public var segment: String
        /// When that file was seen to have been archived, in milliseconds since 1970; nil: not yet.
        public var archived: Int64?
    }

    /// Whether every group's archive has it.
    public var isArchived: Bool { !self.places.isEmpty && self.places.allSatisfy { $0.archived != nil } }

    /// What a name may be: PostgreSQL takes 63 bytes, and it is written into configurations and shells.
    public static func problem(ofName name: String) -> String? {
        guard (1...63).contains(name.utf8.count) else { return "a restore point's name has 1 to 63 characters" }
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "._:+-".utf8.contains(byte)
            }
        }
        return isPlain ? nil : "a restore point's name consists of letters, digits and . _ : + -"
    }

    /// Notes that the archive has a file, by the name of the last one that the group's leader `member` has archived, on the server whose
    /// system identifier is `system`. Only who made the point says so: another member archives the rest of its timeline under names
    /// that tell nothing (`….partial`), and leaves out what the one before owed. A name on another timeline says nothing.
    mutating func note(lastArchived file: String, of group: Int, _ member: String, system: String, at now: Int64) {
        guard file.utf8.count == 24 else { return }
        for index in self.places.indices
        where self.places[index].group == group && self.places[index].system == system
            && self.places[index].member == member && self.places[index].archived == nil
        {
            let wanted = self.places[index].segment
            if file.prefix(8) == wanted.prefix(8), file >= wanted { self.places[index].archived = now }
        }
    }
}

extension RestorePoint {
    private static let sizeLimit = 256 << 10

    public var json: String {
        let places = self.places.map { place in
            [
                "group": .number(place.group), "member": .string(place.member), "system": .string(place.system),
                "lsn": .string(place.lsn), "segment": .string(place.segment), "archived_ms": .number(place.archived),
            ] as JSONDocument
        }
        let document: JSONDocument = [
            "id": .string(self.id), "name": .string(self.name), "made_ms": .integer(self.made), "by": .string(self.by),
            "citus": .text(self.citusVersion), "blocked_ms": .integer(self.blocked), "attempts": .number(self.attempts),
            "complete": .bool(self.isComplete), "groups": .list(places),
        ]
        return document.compact
    }

    /// From what stands in etcd; nil for what is none.
    init?(value: [UInt8]) {
        guard let json = JSON.parse(value, limit: Self.sizeLimit) else { return nil }
        self.init(json)
    }

    /// What `pharos restore-point --json` or `restore-points --json` has printed; nil for what is neither.
    public static func records(_ text: [UInt8]) -> [RestorePoint]? {
        guard let json = JSON.parse(text, limit: Self.sizeLimit * 16) else { return nil }
        let points = (json.array ?? [json]).map { RestorePoint($0) }
        return points.contains(nil) ? nil : points.compactMap { $0 }
    }

    private init?(_ json: JSON) {
        guard let id = json["id"]?.string,
            let name = json["name"]?.string, let made = json["made_ms"]?.int64, let list = json["groups"]?.array
        else { return nil }
        let places = list.prefix(10_000).compactMap { place -> Place? in
            guard let group = place["group"]?.int64, let member = place["member"]?.string,
                let system = place["system"]?.string, let lsn = place["lsn"]?.string,
                let segment = place["segment"]?.string
            else { return nil }
            return Place(
                group: Int(group), member: member, system: system, lsn: lsn, segment: segment,
                archived: place["archived_ms"]?.int64)
        }
        self.init(
            id: id, name: name, made: made, by: json["by"]?.string ?? "", citusVersion: json["citus"]?.string,
            blocked: json["blocked_ms"]?.int64 ?? 0, attempts: Int(json["attempts"]?.int64 ?? 0),
            isComplete: json["complete"]?.bool ?? false && places.count == list.count, places: places)
    }
}
