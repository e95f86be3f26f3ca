// SPDX-License-Identifier: Apache-2.0

/// Who is connected to the status API, and who must go so that others are answered. A value; connections are known by their
/// descriptors, times are microseconds since boot.
///
/// A connection that asks is answered in one turn of the loop, so that whatever stays has not asked yet. The oldest of those
/// makes room for a new one: first among the connections of the same peer, so that nobody shuts others out. And a request has
/// ``patience`` in all, however many bytes come in between.
package struct ConnectionTable {
    /// Who is at the other end.
    package enum Peer: Hashable, Sendable {
        /// Over a unix socket, a user by number.
        case user(UInt32)
        /// Over TCP: an IPv4 address, or an IPv6 network of 64 bits.
        case network([UInt8])
        case unknown
    }

    private struct Connection {
        let descriptor: Int32
        let peer: Peer
        /// When it was opened, or its last answer was sent.
        var since: Int64
    }

    /// Connections at a time; of one peer. libmicrohttpd may hold some more for a moment: those that were told to go.
    package static let limit = 32
    package static let peerLimit = 8
    /// From the opening of a connection, or the answer before, to the end of a request: microseconds.
    package static let patience: Int64 = 5_000_000

    /// Oldest first.
    private var connections: [Connection] = []

    package init() {}

    package var count: Int { self.connections.count }

    /// When ``expired(at:)`` will have something to say.
    package var nextExpiry: Int64? { self.connections.map { $0.since + Self.patience }.min() }

    /// A new connection. Answers whose ends are to be shut down.
    package mutating func opened(_ descriptor: Int32, _ peer: Peer, at now: Int64) -> [Int32] {
        self.connections.append(Connection(descriptor: descriptor, peer: peer, since: now))
        var leaving: [Int32] = []
        if self.count(of: peer) > Self.peerLimit { leaving += self.removeOldest(of: peer) }
        if self.connections.count > Self.limit {
            let peers = Dictionary(grouping: self.connections, by: \.peer).mapValues(\.count)
            // Of peers with equally many, the one that has waited longest.
            let most = peers.values.max() ?? 0
            if let greediest = self.connections.first(where: { peers[$0.peer] == most })?.peer {
                leaving += self.removeOldest(of: greediest)
            }
        }
        return leaving
    }

    /// An answer was sent: the time of the next request begins.
    package mutating func answered(_ descriptor: Int32, at now: Int64) {
        guard let index = self.connections.firstIndex(where: { $0.descriptor == descriptor }) else { return }
        var connection = self.connections.remove(at: index)
        connection.since = now
        self.connections.append(connection)
    }

    package mutating func closed(_ descriptor: Int32) { self.connections.removeAll { $0.descriptor == descriptor } }

    /// Those whose time is over; their ends are to be shut down.
    package mutating func expired(at now: Int64) -> [Int32] {
        let expired = self.connections.filter { now - $0.since >= Self.patience }
        self.connections.removeAll { now - $0.since >= Self.patience }
        return expired.map(\.descriptor)
    }

    private func count(of peer: Peer) -> Int { self.connections.count { $0.peer == peer } }

    private mutating func removeOldest(of peer: Peer) -> [Int32] {
        guard let index = self.connections.firstIndex(where: { $0.peer == peer }) else { return [] }
        return [self.connections.remove(at: index).descriptor]
    }
}
