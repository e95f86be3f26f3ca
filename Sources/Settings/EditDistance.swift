// SPDX-License-Identifier: Apache-2.0

/// The candidate that `word` was probably meant to be; nil when none is near. Ties go to the first.
///
/// Near: at most a third of the longer word has to be inserted, deleted, replaced or swapped with its neighbor.
func nearest(to word: String, in candidates: [String]) -> String? {
    // Longer than any key can be meant to be; also the limit of the work below.
    guard word.utf8.count <= 64 else { return nil }
    var best: (candidate: String, distance: Int)?
    for candidate in candidates {
        let distance = editDistance(word.lowercased(), candidate)
        let allowed = max(1, max(word.utf8.count, candidate.utf8.count) / 3)
        if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.candidate
}

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbors, one each.
func editDistance(_ left: String, _ right: String) -> Int {
    let (left, right) = (Array(left.utf8), Array(right.utf8))
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for i in left.indices {
        var row = [i + 1]
        for j in right.indices {
            var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (left[i] == right[j] ? 0 : 1))
            if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                cost = min(cost, beforeLast[j - 1] + 1)
            }
            row.append(cost)
        }
        (beforeLast, last) = (last, row)
    }
    return last[right.count]
}
