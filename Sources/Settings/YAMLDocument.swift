// SPDX-License-Identifier: Apache-2.0

/// A YAML document as a flat array of nodes that refer to each other by index.
///
/// An alias is one more reference to the same node, never a copy, so that aliases of aliases cost nothing. There are no
/// cycles: ``YAMLParser`` refuses an alias to a node that is not complete yet.
struct YAMLDocument: Sendable {
    /// Where a node begins; both count from 1.
    struct Mark: Sendable, Hashable {
        var line: Int
        var column: Int
        static let start = Mark(line: 1, column: 1)
    }

    struct Pair: Sendable {
        var key: Int
        var value: Int
    }

    enum Content: Sendable {
        /// `isPlain`: written without quotes, so that `true` and `30` may mean more than their text.
        case scalar(String, isPlain: Bool)
        case sequence([Int])
        case mapping([Pair])
    }

    struct Node: Sendable {
        var content: Content
        var mark: Mark
        /// An explicit tag such as `!!binary`; nil without one and for `!!str`, which reads as quotes do.
        var tag: String?
    }

    var nodes: [Node] = []
    /// The index of the root; nil for a file without content.
    var root: Int?

    /// The first anchor that was given to a second node.
    var repeatedAnchor: (name: String, mark: Mark)?
    /// The first key that two sources of merges bring with different values: of a list, PyYAML takes the first one's before its
    /// version 6.0.4, and the last one's since.
    var disputedMerge: (key: String, mark: Mark)?
    /// Where texts in quotes and blocks of text stand, in characters from the start, in order.
    var opaque: [Range<Int>] = []

    subscript(index: Int) -> Node { self.nodes[index] }

    /// The text of a scalar that says nothing: `key:`, `key: ~`, `key: null`.
    func isNull(_ index: Int) -> Bool {
        guard case .scalar(let text, isPlain: true) = self[index].content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// A scalar's text; nil for lists, mappings and null.
    func text(_ index: Int) -> String? {
        guard case .scalar(let text, _) = self[index].content, !self.isNull(index) else { return nil }
        return text
    }

    /// The value of the last pair named `key`, as Patroni's own reader has it.
    func value(of key: String, in mapping: Int) -> Int? {
        guard case .mapping(let pairs) = self[mapping].content else { return nil }
        return pairs.last { self.text($0.key) == key }?.value
    }
}
