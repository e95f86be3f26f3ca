// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Lab

/// The bodies are etcd 3.4's, as it answered them in the lab.
struct LeaderAnswerTests {
    private static let header =
        "\"header\":{\"cluster_id\":\"16463067521460089277\",\"member_id\":\"17193776063128022319\",\"revision\":\"4\"}"

    private static func range(_ answer: String) -> LeaderWatch.Range? {
        JSON.answer(LeaderWatch.Range.self, from: answer)
    }

    @Test func `an answer names the leader, or says that there is none`() throws {
        let named = try #require(Self.range("{\(Self.header),\"kvs\":[{\"value\":\"bjE=\"}]}"))
        #expect(named.kvs?.first?.text == "n1")
        let none = try #require(Self.range("{\(Self.header)}"))
        #expect(none.kvs?.first?.text == nil)
    }

    @Test func `an error does not say that there is no leader`() {
        let changed = "etcdserver: leader changed"
        #expect(Self.range("{\"error\":\"\(changed)\",\"message\":\"\(changed)\",\"code\":14}") == nil)
        #expect(Self.range("") == nil)
    }
}
