// SPDX-License-Identifier: Apache-2.0
import Secrets
import Testing

@testable import Journal

extension LogRecord {
    /// A record of some kind, with fields that need not be constants.
    init(_ message: String, _ priority: Priority, fields: [(String, String)] = []) {
        self.init(.leaderChanged, message, priority: priority)
        self.fields = fields.map { Field($0.0, $0.1) }
    }
}

struct LogRecordEncodingTests {
    @Test func `a record becomes a datagram of the native protocol`() {
        let record = LogRecord(
            "two\nlines", .warning,
            fields: [("MEMBER", "n1"), ("EMPTY", ""), ("TEXT", "a=b\n")]
        )
        let expected: [[UInt8]] = [
            // A value with line ends: the name, its length in 8 bytes, the value.
            Array("MESSAGE\n".utf8), [9, 0, 0, 0, 0, 0, 0, 0], Array("two\nlines\n".utf8),
            Array("MESSAGE_ID=\(LogKind.leaderChanged.messageID)\n".utf8),
            Array("PRIORITY=4\nSYSLOG_IDENTIFIER=pharos\n".utf8),
            Array("PHAROS_MEMBER=n1\nPHAROS_EMPTY=\n".utf8),
            Array("PHAROS_TEXT\n".utf8), [4, 0, 0, 0, 0, 0, 0, 0], Array("a=b\n\n".utf8),
        ]
        #expect(record.nativeDatagram(identifier: "pharos") == expected.flatMap(\.self))
    }

    @Test func `a record becomes one line of text without anything that steers a terminal`() {
        let record = LogRecord(
            "took\n<0>10.0.0.1\u{1b}[2J\u{202e}", .error,
            fields: [("MEMBER", "n1"), ("WHY", "the leader"), ("NONE", "")]
        )
        let line = "took\\u{a}<0>10.0.0.1\\u{1b}[2J\\u{202e} [member=n1 why=\"the leader\" none=\"\"]\n"
        #expect(record.textLine(prefixed: false) == line)
        #expect(record.textLine(prefixed: true) == "<3>" + line)
        #expect(LogRecord("m", .info).textLine(prefixed: false) == "m\n")
    }

    @Test(arguments: [
        ("A", true), ("A_1", true), (String(repeating: "X", count: 57), true),
        (String(repeating: "X", count: 58), false),
        ("", false), ("a", false), ("A=B", false), ("A\nB", false), ("Ä", false),
    ]) func `names that are not ours never get through`(name: String, isValid: Bool) {
        #expect(LogRecord.Field.isValidName(name) == isValid)
        let record = LogRecord("m", .info, fields: [(name, "v")]).limited()
        #expect(record.fields == [isValid ? .init(name, "v") : .init("OMITTED_FIELDS", "1")])
    }

    @Test func `long values are cut between characters, and many fields are left out`() {
        // 4 bytes each, so that the limit falls inside of one.
        let long = "x" + String(repeating: "🜁", count: 5000)
        let record = LogRecord(
            long, .info,
            fields: (0..<200).map { ("F\($0)", "v") }
        )
        let limited = record.limited()
        #expect(limited.message.utf8.count <= LogRecord.valueLimit)
        #expect(limited.message.utf8.count > LogRecord.valueLimit - 8)
        #expect(limited.message.hasSuffix("🜁…"))
        #expect(limited.fields.count == LogRecord.fieldLimit + 1)
        #expect(limited.fields.last == .init("OMITTED_FIELDS", "136"))
        let large = LogRecord(
            long, .info,
            fields: (0..<64).map { ("F\($0)", long) }
        )
        let size = large.limited().nativeDatagram(identifier: "pharos").count
        #expect(size < LogRecord.totalLimit + 4096 && size > LogRecord.totalLimit - 8192)
    }

    @Test func `fields that are left out do not let others through unredacted`() {
        let fields = (0..<100).map { ($0 % 2 == 0 ? "bad" : "F\($0)", "topsecret") }
        let record = LogRecord("m", .info, fields: fields)
        let limited = record.limited(redacting: Redactor([Secret("topsecret")]))
        #expect(limited.fields.count == 51)
        #expect(limited.fields.dropLast().allSatisfy { $0.value == "[redacted]" })
    }
}
