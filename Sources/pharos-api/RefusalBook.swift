// SPDX-License-Identifier: Apache-2.0

/// Which refusals are told: of equal ones the first, and then once a minute how many there were. A value; times are microseconds
/// since boot.
struct RefusalBook: Sendable {
    struct Key: Hashable, Sendable {
        let peer: String
        let name: String
        let reason: String
    }

    private struct Entry {
        var toldAt: Int64
        /// Since then.
        var untold = 0
    }

    static let pace: Int64 = 60_000_000
    /// Different ones that are remembered; beyond them nothing is told one by one.
    static let limit = 256
    private var entries: [Key: Entry] = [:]
    /// Refusals in all.
    private(set) var total: Int64 = 0
    /// Those that found no room, since the last that were told together.
    private var crowd = 0
    private var crowdToldAt: Int64?

    /// What is to be told now: how often it was refused since it was told last, this time included; nil: nothing. `isCrowd`: it stands
    /// for many different ones.
    mutating func note(_ key: Key, at now: Int64) -> (count: Int, isCrowd: Bool)? {
        self.total += 1
        if var entry = self.entries[key] {
            entry.untold += 1
            guard now - entry.toldAt >= Self.pace else {
                self.entries[key] = entry
                return nil
            }
            self.entries[key] = Entry(toldAt: now)
            return (entry.untold, false)
        }
        if self.entries.count >= Self.limit {
            self.entries = self.entries.filter { now - $0.value.toldAt < Self.pace }
        }
        guard self.entries.count < Self.limit else {
            self.crowd += 1
            guard self.crowdToldAt.map({ now - $0 >= Self.pace }) ?? true else { return nil }
            defer { (self.crowd, self.crowdToldAt) = (0, now) }
            return (self.crowd, true)
        }
        self.entries[key] = Entry(toldAt: now)
        return (1, false)
    }
}
