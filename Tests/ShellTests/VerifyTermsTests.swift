// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import Settings
import Testing

@testable import Shell

/// The terms of `pharos verify`, in the manual and from one module to the next.
struct VerifyTermsTests {
    @Test func `the manual has every code`() throws {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        let file = try SettingsEnvironment.system.read(root + "/docs/citus.md", 1 << 20).get()
        let manual = String(decoding: file.contents, as: UTF8.self)
        for code in Finding.Code.allCases {
            #expect(manual.contains("`\(code.rawValue)`"), "docs/citus.md does not have \(code.rawValue)")
        }
    }

    /// The rows of the table "Versions" in which the manual says that the daemon tells it.
    private static func rows(_ limit: VersionLimit) -> [String] {
        switch limit {
        case .tooOld: ["| Citus 11.0 |", "| PostgreSQL 14 |"]
        case .sparesHolders: ["| Citus 11.2 |"]
        case .holdsNothing: ["| Citus 12.1 |"]
        case .unknown: ["What is newer than Citus 14.0 or PostgreSQL 18"]
        }
    }

    @Test func `the manual has what is told of each version, and nothing else`() throws {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        let file = try SettingsEnvironment.system.read(root + "/docs/citus.md", 1 << 20).get()
        let told = String(decoding: file.contents, as: UTF8.self).split(separator: "\n").filter {
            $0.contains("*told*") && !$0.hasPrefix("becomes the writer")
        }
        let rows = VersionLimit.allCases.flatMap(Self.rows)
        for row in rows { #expect(told.contains { $0.hasPrefix(row) }, "docs/citus.md does not say: \(row)") }
        #expect(told.count == rows.count, "\(told)")
    }

    @Test func `what is asked of a catalog is what is judged`() {
        #expect(Set(Irregularity.allCases.map(\.rawValue)) == Set(CitusIrregularity.allCases.map(\.rawValue)))
        #expect(Set(CatalogTable.allCases.map(\.rawValue)) == Set(CitusTable.allCases.map(\.rawValue)))
    }

    @Test func `a restore point's name is plain, and an archive's file covers it on its own timeline alone`() {
        #expect(RestorePoint.problem(ofName: "hourly-2026.11_30:02+x") == nil)
        for name in ["", String(repeating: "a", count: 64), "a b", "a'b", "ü", "a\nb"] {
            #expect(RestorePoint.problem(ofName: name) != nil, "\(name)")
        }
        func archived(_ file: String, group: Int = 1, member: String = "w", system: String = "7") -> Bool {
            var point = RestorePoint(
                id: "a", name: "b", made: 1, by: "c", citusVersion: nil, blocked: 1, attempts: 1, isComplete: true,
                places: [
                    .init(
                        group: 1, member: "w", system: "7", lsn: "0/5", segment: "000000020000000100000005",
                        archived: nil)
                ])
            point.note(lastArchived: file, of: group, member, system: system, at: 9)
            #expect(RestorePoint(value: Array(point.json.utf8)) == point)
            return point.isArchived
        }
        #expect(archived("000000020000000100000005"))
        // A promoted standby archives the rest of the old timeline under this name, and nothing before it.
        #expect(!archived("000000020000000100000005.partial") && !archived("000000020000000100000006.partial"))
        #expect(!archived("000000020000000100000005", member: "w2"))
        #expect(archived("0000000200000001000000FF"))
        #expect(!archived("000000020000000100000004") && !archived("000000030000000100000006"))
        #expect(!archived("00000003.history") && !archived("", system: "7"))
        #expect(!archived("000000020000000100000005", group: 2) && !archived("000000020000000100000005", system: "8"))
        #expect(RestorePoint(value: Array("{}".utf8)) == nil)
        let point = RestorePoint(
            id: "a", name: "b", made: 1, by: "c", citusVersion: "13.2-1", blocked: 1, attempts: 1, isComplete: true,
            places: [])
        #expect(RestorePoint.records(Array(point.json.utf8)) == [point])
        #expect(RestorePoint.records(Array("[\(point.json), \(point.json)]".utf8)) == [point, point])
        #expect(RestorePoint.records(Array("[{}]".utf8)) == nil && RestorePoint.records(Array("x".utf8)) == nil)
    }
}
