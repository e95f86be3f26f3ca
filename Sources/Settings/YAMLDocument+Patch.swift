// SPDX-License-Identifier: Apache-2.0

/// Several documents in one, as Patroni puts the files of a folder and its environment together (`patch_config` of its utils.py).
extension YAMLDocument {
    /// Takes another document's nodes in behind its own; answers where its root is now.
    mutating func append(_ other: YAMLDocument) -> Int? {
        let offset = self.nodes.count
        self.nodes += other.nodes.map { node in
            var node = node
            switch node.content {
            case .scalar: break
            case .sequence(let items): node.content = .sequence(items.map { $0 + offset })
            case .mapping(let pairs):
                node.content = .mapping(pairs.map { Pair(key: $0.key + offset, value: $0.value + offset) })
            }
            return node
        }
        return other.root.map { $0 + offset }
    }

    /// Lays one mapping over another: a key of both takes the later value, two mappings become one, and a key without a value
    /// takes the former away. No cycles, so it ends; `room` is how many keys may still be looked at.
    mutating func patch(_ target: Int, with source: Int, room: inout Int) {
        guard case .mapping(var pairs) = self[target].content, case .mapping(let patches) = self[source].content else {
            return
        }
        room -= pairs.count + patches.count
        guard room >= 0 else { return }
        // Of a key that stands twice in one file the last one counts.
        var places: [String: Int] = [:]
        for (index, pair) in pairs.enumerated() { if let key = self.text(pair.key) { places[key] = index } }
        var removed: Set<String> = []
        var last: [String: Int] = [:]
        for (index, patch) in patches.enumerated() { if let key = self.text(patch.key) { last[key] = index } }
        for (index, patch) in patches.enumerated() {
            guard let key = self.text(patch.key), last[key] == index else { continue }
            if self.isNull(patch.value) {
                removed.insert(key)
                continue
            }
            guard let place = places[key] else {
                places[key] = pairs.count
                pairs.append(patch)
                continue
            }
            if case .mapping = self[patch.value].content, case .mapping = self[pairs[place].value].content {
                self.patch(pairs[place].value, with: patch.value, room: &room)
            } else {
                pairs[place] = patch
            }
        }
        pairs.removeAll { self.text($0.key).map(removed.contains) ?? false }
        self.nodes[target].content = .mapping(pairs)
    }
}
