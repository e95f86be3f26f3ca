// SPDX-License-Identifier: Apache-2.0
import Secrets
import Testing

@testable import Journal

let testID = JournalRecord.MessageID(constant: "0123456789abcdef0123456789abcdef")

struct JournalRecordTests {
    @Test func `a record becomes a datagram of the native protocol`() {
        let record = JournalRecord(
            id: testID,
            priority: .warning,
            message: "two\nlines",
            fields: [("PHAROS_MEMBER", "n1"), ("PHAROS_EMPTY", ""), ("PHAROS_TEXT", "a=b\n")]
        )
        let expected: [[UInt8]] = [
            // A value with line ends: the name, its length in 8 bytes, the value.
            Array("MESSAGE\n".utf8), [9, 0, 0, 0, 0, 0, 0, 0], Array("two\nlines\n".utf8),
            Array("MESSAGE_ID=0123456789abcdef0123456789abcdef\n".utf8),
            Array("PRIORITY=4\nSYSLOG_IDENTIFIER=pharos\n".utf8),
            Array("PHAROS_MEMBER=n1\nPHAROS_EMPTY=\n".utf8),
            Array("PHAROS_TEXT\n".utf8), [4, 0, 0, 0, 0, 0, 0, 0], Array("a=b\n\n".utf8),
        ]
        #expect(record.nativeDatagram(identifier: "pharos") == expected.flatMap(\.self))
    }

    @Test func `a record becomes one line of text without anything that steers a terminal`() {
        let record = JournalRecord(
            id: testID,
            priority: .error,
            message: "took\n<0>10.0.0.1\u{1b}[2J\u{202e}",
            fields: [("PHAROS_MEMBER", "n1"), ("PHAROS_WHY", "the leader"), ("PHAROS_NONE", "")]
        )
        let line = "took\\u{a}<0>10.0.0.1\\u{1b}[2J\\u{202e} [member=n1 why=\"the leader\" none=\"\"]\n"
        #expect(record.textLine(prefixed: false) == line)
        #expect(record.textLine(prefixed: true) == "<3>" + line)
        #expect(JournalRecord(id: testID, priority: .info, message: "m").textLine(prefixed: false) == "m\n")
    }

    @Test(arguments: [
        ("PHAROS_A", true), ("PHAROS_A_1", true), ("PHAROS_" + String(repeating: "X", count: 57), true),
        ("PHAROS_" + String(repeating: "X", count: 58), false), ("PHAROS_", false), ("PHAROS", false),
        ("_PHAROS_A", false),
        ("MESSAGE", false), ("PHAROS_a", false), ("PHAROS_A=B", false), ("PHAROS_A\nB", false), ("PHAROS_Ä", false),
        ("", false),
    ]) func `names that are not ours never get through`(name: String, isValid: Bool) {
        #expect(JournalRecord.Field.isValidName(name) == isValid)
        let record = JournalRecord(id: testID, priority: .info, message: "m", fields: [(name, "v")]).limited()
        #expect(record.fields == [isValid ? .init(name, "v") : .init("PHAROS_OMITTED_FIELDS", "1")])
    }

    @Test func `long values are cut between characters, and many fields are left out`() {
        // 4 bytes each, so that the limit falls inside of one.
        let long = "x" + String(repeating: "🜁", count: 5000)
        let record = JournalRecord(
            id: testID,
            priority: .info,
            message: long,
            fields: (0..<200).map { ("PHAROS_F\($0)", "v") }
        )
        let limited = record.limited()
        #expect(limited.message.utf8.count <= JournalRecord.valueLimit)
        #expect(limited.message.utf8.count > JournalRecord.valueLimit - 8)
        #expect(limited.message.hasSuffix("🜁…"))
        #expect(limited.fields.count == JournalRecord.fieldLimit + 1)
        #expect(limited.fields.last == .init("PHAROS_OMITTED_FIELDS", "136"))
        let large = JournalRecord(
            id: testID,
            priority: .info,
            message: long,
            fields: (0..<64).map { ("PHAROS_F\($0)", long) }
        )
        let size = large.limited().nativeDatagram(identifier: "pharos").count
        #expect(size < JournalRecord.totalLimit + 4096 && size > JournalRecord.totalLimit - 8192)
    }

    @Test func `fields that are left out do not let others through unredacted`() {
        let fields = (0..<100).map { ($0 % 2 == 0 ? "bad" : "PHAROS_F\($0)", "topsecret") }
        let record = JournalRecord(id: testID, priority: .info, message: "m", fields: fields)
        let limited = record.limited(redacting: Redactor([Secret("topsecret")]))
        #expect(limited.fields.count == 51)
        #expect(limited.fields.dropLast().allSatisfy { $0.value == "[redacted]" })
    }

    @Test func `identifiers are 32 hexadecimal digits`() {
        #expect(JournalRecord.MessageID("0123456789abcdef0123456789abcdef") == testID)
        for text in ["", "0123", "0123456789ABCDEF0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"] {
            #expect(JournalRecord.MessageID(text) == nil)
        }
    }
}
