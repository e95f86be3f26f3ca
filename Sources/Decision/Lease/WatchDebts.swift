// SPDX-License-Identifier: Apache-2.0

/// What reads have shown before the watch did, and until when it gets to show it too: a watch that does not is dead, or
/// behind, without saying so.
///
/// Patroni's keys and Pharos's have a watch each, and either can die alone: the leader key stands for the one, the addresses'
/// keys for the other.
/// At most one debt for each key; its deadline stays while the key goes on changing.
struct WatchDebts: Sendable {
    enum Key: Hashable, Sendable { case leader, holder(AddressID) }

    private struct Debt {
        let key: Key
        /// At which the key was as the read showed it.
        var revision: Int64
        let deadline: Instant
    }

    /// How long the watch may take.
    private static let patience: Duration = .seconds(1)
    private var debts: [Debt] = []

    /// The earliest; nil: nothing is owed.
    var deadline: Instant? { self.debts.lazy.map(\.deadline).min() }
    /// The newest revision that is owed.
    var revision: Int64 { self.debts.lazy.map(\.revision).max() ?? 0 }

    mutating func add(_ key: Key, at revision: Int64, now: Instant) {
        for index in self.debts.indices where self.debts[index].key == key {
            self.debts[index].revision = revision
            return
        }
        self.debts.append(Debt(key: key, revision: revision, deadline: now + Self.patience))
    }

    /// The watch has shown what the read did.
    mutating func settle(_ key: Key) {
        if !self.debts.isEmpty { self.debts.removeAll { $0.key == key } }
    }

    /// The watch begins behind `revision`, and owes nothing of before.
    mutating func watchBegins(after revision: Int64) { self.debts.removeAll { $0.revision <= revision } }

    mutating func clear() { self.debts = [] }
}
