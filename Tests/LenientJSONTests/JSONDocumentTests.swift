// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

struct JSONDocumentTests {
    @Test func `members keep their order, and what is absent is null or left out`() {
        let lease: Int? = nil
        let document: JSONDocument = [
            "z": .text("a\"b\\\n"), "a": .text(nil), "lease": .number(lease), "on": true, "list": [1, nil, "x"],
            "inner": .members(.init("one", 1), nil, .init("half", .fraction(0.5)), .init("none", .fraction(.nan))),
        ]
        #expect(
            document.compact
                == #"{"z":"a\"b\\\u000a","a":null,"lease":null,"on":true,"list":[1,null,"x"],"inner":{"one":1,"half":0.5,"none":null}}"#
        )
        #expect((["a": [1, 2]] as JSONDocument).readable() == #"{"a": [1, 2]}"#)
        #expect((["a": [1, 2], "b": 3] as JSONDocument).readable(lines: 2) == "{\"a\": [1,\n    2],\n  \"b\": 3}")
    }

    @Test(arguments: [UInt64(3), UInt64.max])
    func `a number that 64 bits do not hold is the nearest`(value: UInt64) {
        let number = JSONDocument.number(value).compact
        #expect(number == "\(Int64(clamping: value))")
    }

    /// Whatever a name or a value contains, the parser reads it as it was written.
    @Test func `what was written is read as it was`() throws {
        var texts = (0..<0x300).compactMap { Unicode.Scalar($0) }.map { "a\($0)b" }
        texts += ["", "\u{2028}", "😀", "\"},{\"", "</script>"]
        for text in texts {
            let document: JSONDocument = .object([.init(text, .list([.string(text), .object([])]))])
            for written in [document.compact, document.readable(lines: 3)] {
                let read = try #require(JSON.parse(written.utf8), "\(written)")
                #expect(read == .object([text: .array([.string(text), .object([:])])]))
            }
        }
    }
}
