// SPDX-License-Identifier: Apache-2.0

/// Merges, YAML 1.1's `<<: *defaults` and `<<: [*one, *other]`, with the semantics of PyYAML, which reads the file for
/// Patroni: own keys win over merged ones, an earlier source of a list over a later one, and a later `<<` over an earlier.
extension YAMLDocument {
    /// Puts what its `<<` name in place of them into a mapping that is complete, before its own pairs.
    ///
    /// To be called once, when the mapping ends: what it merges has ended before and needs no second look. `room` is how many
    /// values of its `limit` the file may still have; each source that is looked at, and each key and value in it, takes one.
    mutating func resolveMerges(in mapping: Int, room: inout Int, of limit: Int) throws(YAMLError) {
        guard case .mapping(let pairs) = self[mapping].content, pairs.contains(where: { self.isMerge($0.key) }) else {
            return
        }
        let own = pairs.filter { !self.isMerge($0.key) }
        var taken = Set(own.compactMap { self.text($0.key) })
        // From the strongest source to the weakest, so that the first to bring a key has it.
        var merged: [Pair] = []
        for pair in pairs.reversed() where self.isMerge(pair.key) {
            for source in try self.sources(of: pair) {
                room -= 1 + 2 * source.count
                guard room >= 0 else {
                    throw YAMLError(
                        mark: self[pair.key].mark,
                        message: "more values in one file than expected, with those that '<<' copies: at most \(limit)")
                }
                for pair in source.reversed() {
                    if let key = self.text(pair.key), !taken.insert(key).inserted {
                        if self.disputedMerge == nil, merged.contains(where: { self.differ(pair, $0, as: key) }) {
                            self.disputedMerge = (key, self[pair.key].mark)
                        }
                        continue
                    }
                    merged.append(pair)
                }
            }
        }
        self.nodes[mapping].content = .mapping(merged.reversed() + own)
    }

    /// Whether another source has already brought `key` with another value.
    private func differ(_ one: Pair, _ other: Pair, as key: String) -> Bool {
        guard self.text(other.key) == key, one.value != other.value else { return false }
        guard let text = self.text(one.value) else { return true }
        return text != self.text(other.value)
    }

    /// Whether a key is YAML 1.1's merge key: `<<` without quotes, or whatever has its tag.
    private func isMerge(_ key: Int) -> Bool {
        guard case .scalar(let text, let isPlain) = self[key].content else { return false }
        return isPlain && text == "<<" || self[key].tag == "tag:yaml.org,2002:merge"
    }

    /// The pairs of each mapping that a merge names.
    private func sources(of merge: Pair) throws(YAMLError) -> [[Pair]] {
        let nodes = if case .sequence(let items) = self[merge.value].content { items } else { [merge.value] }
        var sources: [[Pair]] = []
        for node in nodes {
            guard case .mapping(let pairs) = self[node].content else {
                throw YAMLError(
                    mark: self[merge.key].mark, message: "'<<': expected a mapping, or a list of mappings, to merge")
            }
            sources.append(pairs)
        }
        return sources
    }
}
