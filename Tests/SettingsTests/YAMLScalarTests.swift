// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Testing

@testable import Settings

/// YAML 1.1's types, as PyYAML has them: recorded by scripts/record-yaml-scalars.
struct YAMLScalarTests {
    @Test func `a scalar without quotes is what PyYAML takes it for`() throws {
        let rows = try #require(PatroniShape.file("scalars.json")?.array)
        #expect(rows.count > 1000)
        var wrong: [String] = []
        for row in rows {
            let texts = (row.array ?? []).compactMap(\.string)
            try #require(texts.count == 3)
            let (kind, text) = Self.described(YAMLScalar(plain: texts[0]))
            // What this reader has no use for is only not to be taken for something else.
            let isSame = kind == texts[1] && text == texts[2]
            if !isSame, !(kind == "other" && ["float", "int", "datetime"].contains(texts[1])) {
                wrong.append("\(texts) is \(kind) \(text)")
            }
        }
        #expect(wrong.isEmpty, "\(wrong.count): \(wrong.prefix(20))")
    }

    private static func described(_ scalar: YAMLScalar) -> (String, String) {
        let kind =
            switch scalar {
            case .text: "str"
            case .null: "NoneType"
            case .boolean: "bool"
            case .integer: "int"
            case .float: "float"
            case .date: "date"
            case .other: "other"
            }
        return (kind, scalar.pythonText ?? "")
    }
}
