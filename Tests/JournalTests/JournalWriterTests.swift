// SPDX-License-Identifier: Apache-2.0
import Glibc
import Secrets
import TestSupport
import Testing

@testable import Journal

/// A pipe in place of standard error.
final class Pipe {
    let reading: CInt
    private(set) var writing: CInt

    init() throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        (self.reading, self.writing) = (ends[0], ends[1])
    }

    deinit {
        close(self.reading)
        close(self.writing)
    }

    /// What is in the pipe now.
    func read() -> String {
        var wanted = pollfd(fd: self.reading, events: Int16(POLLIN), revents: 0)
        var all: [UInt8] = []
        while poll(&wanted, 1, 0) == 1, wanted.revents & Int16(POLLIN) != 0 {
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = Glibc.read(self.reading, &bytes, bytes.count)
            guard count > 0 else { break }
            all += bytes.prefix(count)
        }
        return String(decoding: all, as: UTF8.self)
    }
}

struct JournalWriterTests {
    private func record(_ message: String, _ fields: [(String, String)] = []) -> LogRecord {
        LogRecord(message, .notice, fields: fields)
    }

    @Test func `records reach a journal in its native form, without secrets`() throws {
        let (journal, pipe) = (try Receiver(), try Pipe())
        let writer = JournalWriter(
            redacting: [Secret("s3cret!"), Secret("n1")],
            destination: .native(path: journal.path),
            descriptor: pipe.writing
        )
        writer.write(
            self.record("login s3cret! of n1", [("ANSWER", "token=s3cret!\n"), ("MEMBER", "n1")])
        )
        let length = "\u{11}\0\0\0\0\0\0\0"
        #expect(
            journal.receive()
                == "MESSAGE=login [redacted] of n1\nMESSAGE_ID=\(LogKind.leaderChanged.messageID)\nPRIORITY=5\nSYSLOG_IDENTIFIER=pharos\n"
                + "PHAROS_ANSWER\n\(length)token=[redacted]\n\nPHAROS_MEMBER=n1\n"
        )
        #expect(pipe.read() == "")
    }

    @Test func `a secret across the limit of a value is not half there`() throws {
        let journal = try Receiver()
        let writer = JournalWriter(
            redacting: [Secret("topsecret-topsecret")],
            destination: .native(path: journal.path),
            descriptor: -1
        )
        writer.write(self.record(String(repeating: "x", count: LogRecord.valueLimit - 12) + "topsecret-topsecret"))
        let datagram = try #require(journal.receive())
        #expect(!datagram.contains("topsecret") && datagram.contains("xx[redact"))
    }

    @Test func `the largest record fits into a datagram`() throws {
        let journal = try Receiver()
        let writer = JournalWriter(redacting: [], destination: .native(path: journal.path), descriptor: -1)
        let large = String(repeating: "x", count: 100_000)
        writer.write(self.record(large, (0..<100).map { ("F\($0)", large) }))
        #expect(try #require(journal.receive()).utf8.count > 90_000)
    }

    @Test func `without a journal the record is text on standard error`() throws {
        let pipe = try Pipe()
        let lost = JournalWriter(
            redacting: [],
            destination: .native(path: "/nonexistent/socket"),
            descriptor: pipe.writing
        )
        lost.write(self.record("one", [("MEMBER", "n1")]))
        #expect(pipe.read() == "<5>one [member=n1]\n")
        let prefixed = JournalWriter(redacting: [Secret("abcd")], destination: .prefixedText, descriptor: pipe.writing)
        prefixed.write(self.record("two abcd"))
        #expect(pipe.read() == "<5>two [redacted]\n")
        let plain = JournalWriter(redacting: [], destination: .text, descriptor: pipe.writing)
        plain.write(self.record("three"))
        #expect(pipe.read() == "three\n")
    }

    @Test func `a journal that takes nothing is not waited for, and the loss is told`() throws {
        let (journal, pipe) = (try Receiver(), try Pipe())
        // Standard error hangs in the same way: the pipe is full.
        let filler = [UInt8](repeating: 0x2e, count: 4096)
        var wanted = pollfd(fd: pipe.writing, events: Int16(POLLOUT), revents: 0)
        while poll(&wanted, 1, 0) == 1 { #expect(Glibc.write(pipe.writing, filler, filler.count) == filler.count) }
        let writer = JournalWriter(redacting: [], destination: .native(path: journal.path), descriptor: pipe.writing)
        for _ in 0..<5000 { writer.write(self.record("m")) }
        var taken = 0
        while journal.receive() != nil { taken += 1 }
        #expect(taken > 0 && taken < 5000)
        writer.write(self.record("again"))
        #expect(try #require(journal.receive()).hasSuffix("\nPHAROS_LOST=\(5000 - taken)\n"))
        writer.write(self.record("and again"))
        #expect(try #require(journal.receive()).hasSuffix("SYSLOG_IDENTIFIER=pharos\n"))
    }

    @Test func `a socket as standard error is not waited for either`() throws {
        var ends: [CInt] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        let writer = JournalWriter(redacting: [], destination: .prefixedText, descriptor: ends[1])
        for _ in 0..<5000 { writer.write(self.record(String(repeating: "m", count: 1000))) }
        // The reader goes away: no signal, no crash.
        close(ends[0])
        writer.write(self.record("nobody"))
        JournalWriter(redacting: [], destination: .text, descriptor: -1).write(self.record("nothing"))
    }

    @Test func `a pipe without a reader is not written to`() throws {
        var ends: [CInt] = [0, 0]
        try #require(pipe(&ends) == 0)
        close(ends[0])
        JournalWriter(redacting: [], destination: .text, descriptor: ends[1]).write(self.record("nobody"))
        close(ends[1])
    }

    @Test func `the journal is used where standard error belongs to it`() throws {
        let (journal, pipe) = (try Receiver(), try Pipe())
        var status = stat()
        try #require(fstat(pipe.writing, &status) == 0)
        let own = "\(status.st_dev):\(status.st_ino)"
        func destination(_ stream: String?, _ path: String) -> JournalWriter.Destination {
            JournalWriter.destination(journalStream: stream, descriptor: pipe.writing, nativePath: path)
        }
        #expect(destination(own, journal.path) == .native(path: journal.path))
        #expect(destination(own, journal.directory.file("absent")) == .prefixedText)
        #expect(destination(own, journal.directory.path) == .prefixedText)
        for stream in [nil, "", "1:2", own + "0", "x"] { #expect(destination(stream, journal.path) == .text) }
        #expect(JournalWriter.destination(journalStream: own, descriptor: -1, nativePath: journal.path) == .text)
    }
}
