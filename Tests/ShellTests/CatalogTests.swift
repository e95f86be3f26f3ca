// SPDX-License-Identifier: Apache-2.0
import Glibc
import Journal
import Settings
import Shell
import Testing

/// Whether `journalctl -x` explains every kind of record: systemd/pharos.catalog against ``LogKind``.
struct CatalogTests {
    @Test func `every kind of record has a message identifier of its own`() {
        var seen: [String: LogKind] = [:]
        for kind in LogKind.allCases {
            let id = kind.messageID
            #expect(id.utf8.count == 32 && id.utf8.allSatisfy(Self.isHexadecimal), "\(kind): \(id)")
            #expect(seen[id] == nil, "\(kind) and \(seen[id].map { "\($0)" } ?? "") share \(id)")
            seen[id] = kind
        }
    }

    @Test func `every kind of record is explained, and nothing else is`() throws {
        let explained = try Self.entries().map(\.id)
        #expect(Set(explained).count == explained.count, "an identifier is explained twice")
        for kind in LogKind.allCases {
            #expect(explained.contains(kind.messageID), "\(kind) (\(kind.messageID)) has no entry in pharos.catalog")
        }
        let known = Set(LogKind.allCases.map(\.messageID))
        for id in explained { #expect(known.contains(id), "\(id) in pharos.catalog belongs to no kind of record") }
    }

    @Test func `every entry has a subject, says who defined it, and has a body for a terminal`() throws {
        for entry in try Self.entries() {
            for name in ["Subject", "Defined-By", "Support", "Documentation"] {
                #expect(!(entry.headers[name] ?? "").isEmpty, "\(entry.id) has no \(name)")
            }
            #expect(entry.headers["Defined-By"] == "Pharos")
            #expect(entry.body.contains { !$0.isEmpty }, "\(entry.id) has no body")
            for line in entry.body { #expect(line.count <= 84, "\(entry.id): too wide: \(line)") }
        }
    }

    @Test func `entries refer only to fields that records can have`() throws {
        for entry in try Self.entries() {
            let text = ([entry.headers["Subject"] ?? ""] + entry.body).joined(separator: "\n")
            let pieces = text.split(separator: "@", omittingEmptySubsequences: false)
            #expect(pieces.count % 2 == 1, "\(entry.id): an @ without its pair")
            for index in stride(from: 1, to: pieces.count, by: 2) {
                #expect(Self.fields.contains(String(pieces[index])), "\(entry.id): no record has @\(pieces[index])@")
            }
        }
    }

    /// `make docs` runs this with PHAROS_WRITE_TABLES=1: it then writes the table instead of comparing it.
    @Test func `docs-records has each kind of record, the gravest first`() throws {
        let entries = try Dictionary(grouping: Self.entries(), by: \.id)
        var table = "| Priority | What | `MESSAGE_ID` |\n| --- | --- | --- |\n"
        for priority in [LogRecord.Priority.critical, .error, .warning, .notice, .info] {
            for kind in LogKind.allCases where kind.priority == priority {
                let subject = try #require(entries[kind.messageID]?.first?.headers["Subject"])
                let pieces = subject.split(separator: "@", omittingEmptySubsequences: false).enumerated().map {
                    $0.offset % 2 == 0 ? $0.element : "*\(Self.word(String($0.element)))*"
                }
                table += "| `\(Self.names[priority] ?? "")` | \(pieces.joined()) | `\(kind.messageID)` |\n"
            }
        }
        let text = try PharosUnit.text("docs/records.md")
        let start = try #require(text.firstRange(of: "<!-- made by make docs -->\n")?.upperBound)
        guard getenv("PHAROS_WRITE_TABLES") != nil else {
            return #expect(String(text[start...]) == table, "run make docs")
        }
        try PharosUnit.write(text[..<start] + table, to: "docs/records.md")
    }

    /// journalctl's names.
    private static let names: [LogRecord.Priority: String] = [
        .critical: "crit", .error: "err", .warning: "warning", .notice: "notice", .info: "info",
    ]

    /// `PHAROS_OLD_LEADER` as a person reads it.
    private static func word(_ field: String) -> String {
        String(field.dropFirst("PHAROS_".count).lowercased().map { $0 == "_" ? " " : $0 })
    }

    // MARK: - The catalog

    /// What `LogRecord` and its makers call their fields.
    private static let fields: Set<String> = Set(
        [
            "ADDRESS", "ADDRESSES", "AFTER", "AGE", "ANSWER", "CLUSTER", "CLUSTER_ID", "DRIFT_PPM", "HOLDER",
            "INTERFACE",
            "LAST_READ", "LEADER",
            "LEASE",
            "LIFETIME",
            "LINK_ADDRESS", "MEMBER", "MEMBERS", "NAME", "NODE", "OLD_CLUSTER_ID", "OTHER_CLUSTER_ID", "OLD_LEADER",
            "OLD_TTL", "PAUSED",
            "PORT", "POSTGRES", "PROBLEMS", "REASON", "REQUEST",
            "REVISION", "SCOPE", "STANCE", "TTL", "VERSION",
            // Of Citus.
            "CHANGES", "CODE", "DATABASE", "ENDPOINT", "ENDPOINTS", "GROUP", "NODES", "REMEDY", "RETRY_AFTER", "ROW",
            "SESSIONS",
            "UNVERIFIED",
            "WRITER",
            // Of the failure detector.
            "ASPECT", "EVIDENCE", "FORMER_VERDICT", "VERDICT",
            // Of a change of leader.
            "BYTES", "LOST",
            // Of the API.
            "FILE", "PEER",
            // Of what persons ask for.
            "BY", "OBJECTIONS", "OPERATION", "RESULT", "UNTIL",
        ].map { "PHAROS_" + $0 })

    private struct Entry {
        var id: String
        var headers: [String: String] = [:]
        var body: [String] = []
    }

    /// The catalog as journald reads it: `-- ID`, headers, an empty line, the body.
    private static func entries() throws -> [Entry] {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        let file = try SettingsEnvironment.system.read(root + "/systemd/pharos.catalog", 1 << 20).get()
        let text = String(decoding: file.contents, as: UTF8.self)
        var entries: [Entry] = []
        var isInBody = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) where !line.hasPrefix("#") {
            if line.hasPrefix("-- ") {
                entries.append(Entry(id: String(line.dropFirst(3))))
                isInBody = false
            } else if !entries.isEmpty, !isInBody, let colon = line.firstIndex(of: ":") {
                let value = line[line.index(after: colon)...].drop { $0 == " " }
                entries[entries.count - 1].headers[String(line[..<colon])] = String(value)
            } else if !entries.isEmpty {
                isInBody = true
                entries[entries.count - 1].body.append(String(line))
            }
        }
        return entries
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
