// SPDX-License-Identifier: Apache-2.0

/// Which failures have been reported: each kind of failure of each request once, until that request succeeds.
struct Complaints<Kind: Hashable> {
    private static var limit: Int { 64 }
    private var kinds: [String: Set<Kind>] = [:]

    /// Whether this failure is to be reported.
    mutating func failed(_ request: String, _ kind: Kind) -> Bool {
        guard self.kinds[request] != nil || self.kinds.count < Self.limit else { return false }
        return self.kinds[request, default: []].insert(kind).inserted
    }

    mutating func succeeded(_ request: String) { if !self.kinds.isEmpty { self.kinds[request] = nil } }
}
