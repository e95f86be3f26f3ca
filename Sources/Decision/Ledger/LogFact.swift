// SPDX-License-Identifier: Apache-2.0

/// What Patroni's keys tell of a group's write-ahead log, each with the revision at which it was written. Positions are bytes.
public enum LogFact: Hashable, Sendable {
    /// Who confirms each commit before it is acknowledged.
    public struct Confirming: Hashable, Sendable {
        public var leader: String
        /// Each of them does.
        public var standbys: Set<String>

        public init(leader: String, standbys: Set<String>) {
            self.leader = leader
            self.standbys = standbys
        }
    }

    /// `status`: how far the leader's log was shortly before. A leader that has shut PostgreSQL down in order writes there where
    /// the last record of its log is, and gives its leader key back right after.
    case position(Int64, writtenAt: Int64)
    /// `members/NAME`: how far a member's log was shortly before, and on which timeline; nil: it does not say.
    case member(String, position: Int64?, timeline: Int64?, writtenAt: Int64)
    /// `history`: the last timeline that has ended, at which position, and who was promoted then; nil: it does not say.
    case ended(timeline: Int64, at: Int64, promoted: String?, writtenAt: Int64)
    /// `sync`; nil: no standby confirms every commit.
    case confirming(Confirming?, writtenAt: Int64)
}
