// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import ServiceRecords

/// What is read out of name servers' bytes.
struct ServiceQuestionTests {
    private static let name = "_etcd-client._tcp.example.org"

    private static func question() throws -> ServiceQuestion { try #require(ServiceQuestion(Self.name, id: 0x1234)) }

    /// An answer as dnsmasq gives it.
    private static let answer: [UInt8] =
        [
            0x12, 0x34,  // the question's number
            0x85, 0x80,  // an answer, with authority, recursion asked for and offered
            0, 1, 0, 2, 0, 0, 0, 0,  // one question, two records
            12,
        ] + Array("_etcd-client".utf8) + [4] + Array("_tcp".utf8) + [7] + Array("example".utf8) + [3]
        + Array("org".utf8) + [
            0, 0, 33, 0, 1,  // the root; SRV, IN
            0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 11,  // the name that is asked for; 60 s, 11 bytes
            0, 10, 0, 5, 0x09, 0x4B, 2, 0x4E, 0x31, 0xC0, 30,  // priority 10, weight 5, port 2379, N1.example.org
            0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 11,
            0, 20, 0, 5, 0x09, 0x4B, 2, 0x6E, 0x32, 0xC0, 30,
        ]

    @Test func `a question is sent as every name server understands it`() throws {
        let bytes = try Self.question().bytes
        #expect(bytes.prefix(12) == [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        #expect(bytes.dropFirst(12) == Self.answer[12..<(12 + 35)])
    }

    @Test func `targets, in lower case, behind pointers`() throws {
        #expect(
            try Self.question().answer(in: Self.answer)
                == .records([
                    ServiceRecord(priority: 10, weight: 5, port: 2379, target: "n1.example.org"),
                    ServiceRecord(priority: 20, weight: 5, port: 2379, target: "n2.example.org"),
                ]))
    }

    @Test(arguments: [
        (0x8183, ServiceQuestion.Answer.noSuchName), (0x8182, .refused(2)), (0x8185, .refused(5)), (0x8380, .truncated),
        (0x8180, .records([])),
    ]) func `what else a server says`(flags: Int, answer: ServiceQuestion.Answer) throws {
        let question = try Self.question()
        #expect(try question.answer(in: TestNameServer.message(question.bytes, flags: UInt16(flags))) == answer)
    }

    @Test func `another question's answer is none`() throws {
        let question = try Self.question()
        let others = [ServiceQuestion(Self.name, id: 0x1235), ServiceQuestion("_etcd._tcp.example.org", id: 0x1234)]
        for other in others.compactMap(\.self) {
            #expect(throws: MalformedMessage.self) { try other.answer(in: Self.answer) }
        }
        // The question itself, sent back.
        #expect(throws: MalformedMessage.self) { try question.answer(in: question.bytes) }
    }

    @Test func `an alias is followed, and nothing that belongs to another name`() throws {
        let question = try Self.question()
        let target = TestNameServer.name("srv.example.net")
        func record(_ owner: [UInt8], _ type: UInt8, _ data: [UInt8]) -> [UInt8] {
            owner + [0, type, 0, 1, 0, 0, 0, 60, 0, UInt8(data.count)] + data
        }
        let service: [UInt8] = [0, 0, 0, 0, 0, 80] + TestNameServer.name("h.example.net")
        let alias = record([0xC0, 12], 5, target)
        let other = record(TestNameServer.name("else.example.net"), 33, service)
        let own = record(target, 33, service)
        let answer = try question.answer(
            in: TestNameServer.message(question.bytes, flags: 0x8180, [other, own, alias]))
        #expect(answer == .records([ServiceRecord(priority: 0, weight: 0, port: 80, target: "h.example.net")]))
        // Aliases in a circle end.
        let circle = record(target, 5, [0xC0, 12])
        #expect(
            try question.answer(in: TestNameServer.message(question.bytes, flags: 0x8180, [alias, circle]))
                == .records([]))
    }

    @Test(arguments: ["", ".", "a b.example.org", "n1.example.org/x", "user:pw@h", "h:2379", "ä.example.org"])
    func `a target that is no host's name is left out`(target: String) throws {
        let question = try Self.question()
        let records = [TestNameServer.service(0, 2379, target), TestNameServer.service(0, 0, "no-port")]
        let answer = try question.answer(in: TestNameServer.message(question.bytes, flags: 0x8180, records))
        #expect(answer == .records([]))
    }

    @Test func `names that lead forwards, in circles, or on without end are malformed`() throws {
        let question = try Self.question()
        let place = UInt8(question.bytes.count)
        let long = Array(repeating: [UInt8(63)] + Array(repeating: UInt8(ascii: "a"), count: 63), count: 5)
        let owners: [[UInt8]] = [
            [0xC0, place], [0xC0, place + 2, 0xC0, place], [0xFF, 0xFF], [0xC0], [0x80, 1], [0x40, 1], [5, 1],
            long.flatMap(\.self) + [0],
        ]
        for owner in owners {
            let message = TestNameServer.message(question.bytes, flags: 0x8180, [owner])
            #expect(throws: MalformedMessage.self, "\(owner.prefix(4))") { try question.answer(in: message) }
        }
    }

    @Test func `records without end are cut`() throws {
        let question = try Self.question()
        let records = (0..<400).map { TestNameServer.service(0, UInt16($0 + 1), "h") }
        let answer = try question.answer(in: TestNameServer.message(question.bytes, flags: 0x8180, records))
        guard case .records(let list) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(list.count == ServiceQuestion.recordLimit)
    }

    @Test func `no bytes crash it`() throws {
        let question = try Self.question()
        var generator = SeededGenerator(7)
        for end in 0..<Self.answer.count {
            #expect(throws: MalformedMessage.self) { try question.answer(in: Array(Self.answer.prefix(end))) }
        }
        for _ in 0..<20_000 {
            do { _ = try question.answer(in: mutated(Self.answer, &generator)) } catch {
                #expect(!error.message.isEmpty)
            }
        }
    }

    @Test(arguments: ["", "a..b", "-x y", "a/b", String(repeating: "a", count: 64), "ü"])
    func `what no name server can have is not asked for`(name: String) { #expect(ServiceQuestion(name, id: 1) == nil) }

    @Test func `a name of more than 255 bytes neither`() {
        #expect(ServiceQuestion(Array(repeating: "abcdefg", count: 31).joined(separator: "."), id: 1) != nil)
        #expect(ServiceQuestion(Array(repeating: "abcdefg", count: 32).joined(separator: "."), id: 1) == nil)
    }
}
