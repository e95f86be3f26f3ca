// SPDX-License-Identifier: Apache-2.0
package import StatusServer

/// How often each peer may do something, and all together: a bucket of permissions for each, which fills again with time. A value;
/// times are microseconds since boot.
///
/// Invariant: a peer that is not remembered has a full bucket, so that whoever is forgotten loses nothing. Of peers at most ``limit``
/// are remembered; where there are more, a new one shares in what all have together alone.
package struct PeerBuckets: Sendable {
    package struct Rate: Sendable {
        /// Permissions at once, and how many come back each second.
        package let (burst, perSecond): (Double, Double)
        package init(burst: Double, perSecond: Double) { (self.burst, self.perSecond) = (burst, perSecond) }
    }

    private struct Bucket {
        var content: Double
        var at: Int64

        mutating func take(_ rate: Rate, at now: Int64) -> Bool {
            self.fill(rate, at: now)
            guard self.content >= 1 else { return false }
            self.content -= 1
            return true
        }

        mutating func fill(_ rate: Rate, at now: Int64) {
            self.content = min(rate.burst, self.content + Double(max(now - self.at, 0)) / 1_000_000 * rate.perSecond)
            self.at = now
        }
    }

    /// What a TLS handshake may cost: some 4 ms of a processor each, so at most a fifth of one, and of one peer a fiftieth. Whoever
    /// checks every second over a new connection stays below it.
    package static let ofHandshakes = PeerBuckets(
        each: Rate(burst: 20, perSecond: 5), all: Rate(burst: 100, perSecond: 50))
    /// Requests that were refused for what they bring: after that they are told to slow down.
    package static let ofRefusals = PeerBuckets(
        each: Rate(burst: 10, perSecond: 1), all: Rate(burst: 100, perSecond: 20))
    package static let limit = 1024

    private let (each, all): (Rate, Rate)
    private var buckets: [ConnectionTable.Peer: Bucket] = [:]
    private var common: Bucket

    package init(each: Rate, all: Rate) {
        (self.each, self.all) = (each, all)
        self.common = Bucket(content: all.burst, at: 0)
    }

    /// Takes one permission of the peer's and one of all; answers whether both were there.
    package mutating func take(_ peer: ConnectionTable.Peer, at now: Int64) -> Bool {
        if self.buckets[peer] == nil {
            if self.buckets.count >= Self.limit { self.forgetFull(at: now) }
            if self.buckets.count < Self.limit { self.buckets[peer] = Bucket(content: self.each.burst, at: now) }
        }
        // Whoever has used up his own takes nothing of the others'.
        guard self.buckets[peer]?.take(self.each, at: now) ?? true else { return false }
        return self.common.take(self.all, at: now)
    }

    private mutating func forgetFull(at now: Int64) {
        for (peer, var bucket) in self.buckets {
            bucket.fill(self.each, at: now)
            if bucket.content >= self.each.burst { self.buckets[peer] = nil }
        }
    }
}
