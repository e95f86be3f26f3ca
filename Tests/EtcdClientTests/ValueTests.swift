// SPDX-License-Identifier: Apache-2.0
import EtcdValues
import LenientJSON
import TestSupport
import Testing

@testable import EtcdClient

struct Base64Tests {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
    ])
    func `the RFC's examples`(text: String, encoded: String) {
        #expect(Base64.encode(Array(text.utf8)) == encoded)
        #expect(Base64.decode(encoded) == Array(text.utf8))
    }

    @Test(arguments: ["Z", "Zg=", "Zg", "====", "Z===", "Zg==Zg==", "Zm9!", "Zm 9", "Zm9v\n"])
    func `what is not base64`(text: String) { #expect(Base64.decode(text) == nil) }

    @Test func `every length and byte survives`() {
        var generator = SeededGenerator(7)
        for length in 0..<300 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
    }
}

struct KeyRangeTests {
    @Test func `a prefix ends before the next one`() {
        let range = KeyRange.prefix("/service/demo/")
        #expect(range.end == Array("/service/demo0".utf8))
        #expect(range.contains(Array("/service/demo/".utf8)) && range.contains(Array("/service/demo/leader".utf8)))
        #expect(!range.contains(Array("/service/demo0".utf8)) && !range.contains(Array("/service/dem".utf8)))
        #expect(KeyRange.prefix("").contains([1, 2]))
        let some = KeyRange.from("/s/d/config", through: "/s/d/leader")
        for name in ["config", "failsafe", "failover", "history", "initialize", "leader"] {
            #expect(some.contains(Array("/s/d/\(name)".utf8)))
        }
        for name in ["confi", "leader2", "leader/", "members/n1", "optime/leader", "status", "sync"] {
            #expect(!some.contains(Array("/s/d/\(name)".utf8)))
        }
        #expect(KeyRange.key("a").contains([97]) && !KeyRange.key("a").contains([97, 0]))
    }

    @Test func `what overlaps or touches is one, and nothing is added or lost`() {
        let joined = KeyRange.joined([
            .prefix("/service/demo/"), .from("/service/demo/config", through: "/service/demo/leader"),
            .key("/service/demo/leader"), .prefix("/pharos/demo/"), .key("/service/demo0"), .key("/service/demo2"),
        ])
        let patroni = KeyRange(start: Array("/service/demo/".utf8), end: Array("/service/demo0".utf8) + [0])
        #expect(joined == [.prefix("/pharos/demo/"), patroni, .key("/service/demo2")])
        #expect(KeyRange.joined([.key("b"), .prefix(""), .key("a")]) == [.prefix("")])

        var generator = SeededGenerator(11)
        // Every key of one or two bytes of four, and ranges between them.
        let letters: [UInt8] = [1, 2, 3, 0xFF]
        let keys = letters.flatMap { first in [[first]] + letters.map { [first, $0] } }
        for _ in 0..<2000 {
            let ranges = (0..<Int.random(in: 0...4, using: &generator)).map { _ -> KeyRange in
                let start = keys.randomElement(using: &generator) ?? []
                switch Int.random(in: 0...9, using: &generator) {
                case 0: return KeyRange(start: start, end: [0])
                case 1...3: return KeyRange(start: start, end: nil)
                default:
                    let end = keys.filter { start.lexicographicallyPrecedes($0) }.randomElement(using: &generator)
                    return KeyRange(start: start, end: end)
                }
            }
            let joined = KeyRange.joined(ranges)
            for key in keys {
                let count = joined.count { $0.contains(key) }
                #expect(count == (ranges.contains { $0.contains(key) } ? 1 : 0), "\(key) in \(ranges): \(joined)")
            }
            for (one, next) in zip(joined, joined.dropFirst()) {
                let end = one.end ?? one.start + [0]
                #expect(end != [0] && end.lexicographicallyPrecedes(next.start), "\(joined)")
            }
        }
    }
}

struct EncodingTests {
    @Test func `a transaction as the gateway reads it`() throws {
        let transaction = Transaction(
            compares: [
                .absent("a"), .init("b", is: .value([1])), .init("c", is: .modRevision(5)), .init("d", is: .lease(7)),
            ],
            success: [.put(key: "a", value: [2], lease: 7), .delete(.prefix("x")), .range(.key("y"), limit: 3)]
        )
        let text = String(decoding: GatewayEncoding.transaction(transaction), as: UTF8.self)
        #expect(
            text == """
                {"compare":[{"key":"YQ==","result":"EQUAL","target":"CREATE","create_revision":"0"},\
                {"key":"Yg==","result":"EQUAL","target":"VALUE","value":"AQ=="},\
                {"key":"Yw==","result":"EQUAL","target":"MOD","mod_revision":"5"},\
                {"key":"ZA==","result":"EQUAL","target":"LEASE","lease":"7"}],\
                "success":[{"request_put":{"key":"YQ==","value":"Ag==","lease":"7"}},\
                {"request_delete_range":{"key":"eA==","range_end":"eQ=="}},\
                {"request_range":{"key":"eQ==","limit":"3"}}],"failure":[]}
                """
        )
        #expect(JSON.parse(Array(text.utf8)) != nil)
    }

    @Test func `names and passwords of any characters are JSON`() throws {
        let password = "p\"\\\n\u{01}é\u{7F}"
        let bytes = GatewayEncoding.authenticate(user: "u\t", password: password)
        let json = try #require(JSON.parse(bytes))
        #expect(json["name"]?.string == "u\t" && json["password"]?.string == password)
    }
}

struct EndpointListTests {
    @Test func `the first endpoint is drawn`() {
        #expect(EndpointList(["a", "b", "c"], jitter: 0).current == 0)
        #expect(EndpointList(["a", "b", "c"], jitter: 0.99).current == 2)
        #expect(EndpointList([], jitter: 0.5).best(without: [], now: 0) == nil)
    }

    @Test func `a failed endpoint is left, and is the last to be tried again`() {
        var list = EndpointList(["a", "b", "c"], jitter: 0)
        list.failed(0, now: 1000, jitter: 0.5)
        #expect(list.current == 1)
        list.failed(1, now: 1000, jitter: 0.5)
        #expect(list.current == 2)
        // a's backoff ends with b's; whichever comes next in order.
        #expect(list.best(without: [2], now: 1000) == 0)
        list.failed(2, now: 2000, jitter: 0.5)
        #expect(list.current == 0 && list.delay(now: 2000) == 99_000)
        #expect(list.delay(now: 200_000) == 0)
    }

    @Test func `a backoff doubles up to its limit, and a burst counts once`() {
        var list = EndpointList(["a"], jitter: 0)
        var now: Int64 = 0
        var delays: [Int64] = []
        for _ in 0..<8 {
            list.failed(0, now: now, jitter: 0.5)
            list.failed(0, now: now, jitter: 0.5)
            delays.append(list.delay(now: now))
            now += list.delay(now: now)
        }
        #expect(delays == [100, 200, 400, 800, 1600, 2000, 2000, 2000].map { $0 * 1000 })
        list.succeeded(0, now: now)
        #expect(list.delay(now: now) == 0)
    }

    @Test func `everyone moves to the endpoint that works`() {
        var list = EndpointList(["a", "b"], jitter: 0)
        list.failed(0, now: 0, jitter: 0)
        list.failed(1, now: 0, jitter: 0)
        #expect(list.current == 0)
        list.succeeded(1, now: 0)
        #expect(list.current == 1)
    }
}

struct SecretTests {
    @Test func `a configuration prints without its password`() {
        let configuration = EtcdConfiguration(endpoints: ["http://a:1"], username: "pharos", password: "s3cret")
        var dumped = ""
        dump(configuration, to: &dumped)
        #expect(!"\(configuration) \(String(reflecting: configuration)) \(dumped)".contains("s3cret"))
    }
}
