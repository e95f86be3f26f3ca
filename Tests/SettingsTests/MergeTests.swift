// SPDX-License-Identifier: Apache-2.0
import Decision
import NetworkAddress
import Testing

@testable import Settings

/// YAML's merges, as PyYAML resolves them for Patroni.
struct MergeTests {
    /// The keys and values of `m`, in the order in which a reader that takes the last of a key goes through them.
    private func merged(_ text: String) throws -> [String: String] {
        let document = try YAMLParser.parse(Array(text.utf8))
        let node = try #require(document.root.flatMap { document.value(of: "m", in: $0) })
        guard case .mapping(let pairs) = document[node].content else { return [:] }
        return Dictionary(pairs.map { (document.text($0.key) ?? "", document.text($0.value) ?? "") }) { $1 }
    }

    private static let sources = "a: &a { x: a, y: a }\nb: &b { x: b, z: b }\n"

    /// What `yaml.safe_load` of PyYAML 6.0 makes of the same texts.
    @Test(
        arguments: [
            ("m: { <<: *a }", ["x": "a", "y": "a"]),
            ("m: { <<: *a, x: own }", ["x": "own", "y": "a"]),
            ("m: { x: own, <<: *a }", ["x": "own", "y": "a"]),
            ("m: { <<: [*a, *b] }", ["x": "a", "y": "a", "z": "b"]),
            ("m: { <<: [*b, *a] }", ["x": "b", "y": "a", "z": "b"]),
            ("m: { <<: *a, <<: *b }", ["x": "b", "y": "a", "z": "b"]),
            ("m: { <<: { x: in, w: in }, y: own }", ["x": "in", "w": "in", "y": "own"]),
            ("c: &c { <<: *a, x: c }\nm: { <<: [*c, *b] }", ["x": "c", "y": "a", "z": "b"]),
            ("m: { <<: [] }", [:]), ("m: { '<<': text }", ["<<": "text"]),
            ("m: { !!merge anything: *a }", ["x": "a", "y": "a"]),
            ("m: { <<: { x: 1, x: 2 } }", ["x": "2"]),
        ] as [(String, [String: String])])
    func `own keys win, then the earlier source of a list, then the later merge`(
        text: String, expected: [String: String]
    ) throws {
        #expect(try self.merged(Self.sources + text) == expected)
    }

    @Test(arguments: ["<<: text", "<<:", "<<: [*a, text]", "<<: [[*a]]"])
    func `what is no mapping cannot be merged`(merge: String) {
        let message = "'<<': expected a mapping, or a list of mappings, to merge"
        #expect(files("a: &a { x: a }\n\(merge)").errors() == ["pharos.yml:2:1: \(message)"])
        #expect(files(minimal, patroni: "a: &a { x: a }\n\(merge)").errors() == ["\(patroniPath):2:1: \(message)"])
    }

    @Test func `in pharos yml a merge is as good as what it stands for`() throws {
        let settings = try files(
            """
            patroni_config: /etc/patroni/config.yml
            addresses:
              - &first { address: 10.10.10.3/24, interface: eth1, acquire: leader_key }
              - { <<: *first, address: 10.10.10.4/24 }
            """
        ).load()
        #expect(settings.addresses.map(\.interface) == ["eth1", "eth1"])
        #expect(settings.addresses.map(\.acquire) == [.leaderKey, .leaderKey])
        #expect(settings.addresses.map(\.prefix.description) == ["10.10.10.3/24", "10.10.10.4/24"])
    }

    /// Eight sources in each of four levels, above a mapping of as many keys as fit: 4096 walks over it for each key that is
    /// looked for and not there, when merges are walked at each look.
    private static func bomb(keys: Int) -> String {
        func merge(_ level: Int) -> String {
            "<<: [" + Array(repeating: "*a\(level)", count: 8).joined(separator: ", ") + "]"
        }
        let last = "a0: &a0\n" + (0..<keys).map { "  key\($0): 1\n" }.joined()
        return last + (1...3).map { "a\($0): &a\($0) { \(merge($0 - 1)) }\n" }.joined() + merge(3) + "\n"
    }

    @Test func `a bomb of merges is refused before it costs anything`() throws {
        let text = Self.bomb(keys: 9000)
        #expect((100_000...130_000).contains(text.utf8.count))
        let message = "more values in one file than expected, with those that '<<' copies: at most 20000"
        #expect(files(minimal, patroni: text).errors() == ["\(patroniPath):9002:11: \(message)"])
        // What the same bytes cost without merges is what it may cost; the best of five, for the machine has other work too.
        func cost(_ text: String) -> Duration? {
            (1...5).map { _ in ContinuousClock().measure { _ = files(minimal, patroni: text).errors() } }.min()
        }
        let (plain, spent) = (try #require(cost(text.replacing("<<", with: "no"))), try #require(cost(text)))
        #expect(spent < plain * 2 + .milliseconds(20), "\(spent), without merges \(plain)")
        #expect(files(text).errors() == ["pharos.yml:9002:11: \(message)"])
    }

    @Test func `what merges copy counts, in whatever shape, and what is left after that is read`() throws {
        // As many empty sources, time and again: nothing is copied, and yet there is no end to it.
        let empty = "e: &e {}\nl: &l [" + Array(repeating: "*e", count: 4000).joined(separator: ", ") + "]\n"
        let many = (0..<4000).map { "k\($0): { <<: *l }\n" }.joined()
        #expect(files(minimal, patroni: empty + many).errors().first?.contains("'<<' copies") == true)
        // One source eight times over, within the limit: its keys are there once.
        let document = try YAMLParser.parse(Array(Self.bomb(keys: 100).utf8))
        let root = try #require(document.root)
        #expect(document.value(of: "key99", in: root) != nil && document.value(of: "key100", in: root) == nil)
        guard case .mapping(let pairs) = document[root].content else { return }
        #expect(pairs.count == 100 + 4)
    }
}
