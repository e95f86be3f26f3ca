// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import TestSupport
import Testing

struct JSONParserTests {
    private func parse(_ text: String) -> JSON? { JSON.parse(Array(text.utf8)) }

    @Test func `every kind of value is read`() {
        let text = #" {"a": [1, -2, 1.5, true, false, null, "x", {}], "b": {"c": []}} "#
        let expected = JSON.object([
            "a": .array([
                .integer(1), .integer(-2), .fraction(1.5), .bool(true), .bool(false), .null, .string("x"), .object([:]),
            ]), "b": .object(["c": .array([])]),
        ])
        #expect(self.parse(text) == expected)
    }

    @Test func `integers keep all their bits`() {
        #expect(self.parse("9223372036854775807") == .integer(.max))
        #expect(self.parse("-9223372036854775808") == .integer(.min))
        #expect(self.parse("18446744073709551615") == .unsigned(.max))
        #expect(self.parse("18446744073709551616") == .fraction(18446744073709551616))
        #expect(self.parse("-0") == .integer(0))
    }

    @Test func `a fraction without fractional part is an integer`() {
        #expect(self.parse("30.0") == .integer(30))
        #expect(self.parse("3e1") == .integer(30))
        #expect(self.parse("25E-1") == .fraction(2.5))
    }

    @Test func `escapes and surrogate pairs are decoded`() {
        #expect(self.parse(#""\"\\\/\b\f\n\r\t""#) == .string("\"\\/\u{8}\u{c}\n\r\t"))
        #expect(self.parse(#""\u00e4 \ud83d\ude00 \u0000 ä""#) == .string("ä 😀 \u{0} ä"))
    }

    @Test func `of members with one name the last counts`() {
        #expect(self.parse(#"{"a": 1, "a": 2}"#) == .object(["a": .integer(2)]))
    }

    @Test(arguments: [
        "", " ", "{", "}", "[", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}",
        "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"", "\"a\\\n\"", "tru", "truE", "nul",
        "01", "-", "+1", "1.", ".5", "1e", "1e+", "1e999", "-1e999", "0x10", "NaN", "Infinity", "1 2", "{} {}", "'a'",
        "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"", "\u{FEFF}1", "[1]]", "null,",
    ])
    func `what is not JSON is refused`(_ text: String) {
        #expect(self.parse(text) == nil)
    }

    @Test func `malformed UTF-8 is refused`() {
        #expect(JSON.parse([0x22, 0xFF, 0x22]) == nil)
        #expect(JSON.parse([0x22, 0xC0, 0x80, 0x22]) == nil)
        #expect(JSON.parse([0x22, 0xED, 0xA0, 0x80, 0x22]) == nil)
        #expect(JSON.parse([0x22, 0x5C, 0x6E, 0xC3, 0x22]) == nil)
    }

    @Test func `nesting has a limit`() {
        let nested = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(self.parse(nested(128)) != nil)
        #expect(self.parse(nested(130)) == nil)
        #expect(self.parse(String(repeating: "[", count: 1_000_000)) == nil)
        #expect(self.parse(String(repeating: #"{"a":"#, count: 1_000_000)) == nil)
    }

    @Test func `a text longer than its limit is refused`() {
        #expect(JSON.parse(Array("[1,2]".utf8), limit: 5) != nil)
        #expect(JSON.parse(Array("[1,2]".utf8), limit: 4) == nil)
    }

    @Test func `no prefix of a text is taken for the whole, and no changed byte makes it crash`() {
        let text = Array(
            #"{"header":{"id":"1","n":-12.5e+1},"kvs":[{"k":"\u00e4\ud83d\ude00\n"},null,true,false]}"#.utf8)
        for length in 0..<text.count { #expect(JSON.parse(text[..<length]) == nil) }
        var generator = SeededGenerator(8259)
        for _ in 0..<20_000 {
            var changed = text
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                changed[Int.random(in: 0..<changed.count, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            _ = JSON.parse(changed)
        }
    }

    @Test func `what was quoted is read back`() {
        let text = "\"quoted\" \\ \u{0}\u{1f}\n\t ä 😀"
        #expect(self.parse(JSON.quoted(text)) == .string(text))
    }
}
