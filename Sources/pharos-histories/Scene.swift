// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// A history that was once seen to give two nodes an address, or that must not disturb anybody.
enum Scene: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// etcd A, then B, then A again.
    case `return`
    /// The same with one number for both: the data folders were not mounted, and then are.
    case sameNumber = "same-number"
    /// A snapshot is restored, and the daemon that acquires first was restarted meanwhile.
    case restoredRestarted = "restored-restarted"
    /// A snapshot is restored, and others' writes have passed the old revision before a daemon reads.
    case restoredBusy = "restored-busy"
    /// The same with daemons that were restarted meanwhile, and so many writes that nothing else can tell, as
    /// `etcdutl snapshot restore --bump-revision` of etcd 3.6 would have it.
    case bumped
    /// A member that led answers keep-alives after another was elected.
    case staleKeepAlive = "stale-keep-alive"
    /// The same with one that stood still: six times, since it takes luck.
    case frozenLeader = "frozen-leader"
    /// Daemons and etcd's members are restarted; nothing else happens.
    case restarts
    /// The holder knows one endpoint of etcd, and loses it; then its daemon begins without it.
    case oneEndpoint = "one-endpoint"
    /// An older version is replaced node by node, and comes back.
    case upgrade
    /// Two nodes are given the address by hand: what the observer must find.
    case twoHolders = "two-holders"

    /// Seconds: the TTL with which the scene plays.
    var ttl: Int {
        switch self {
        case .return, .sameNumber, .restoredRestarted, .restoredBusy, .restarts, .oneEndpoint, .upgrade, .twoHolders: 10
        // The many writes take their time, within which the address must not lapse.
        case .bumped: 20
        // The deposed leader must go on answering for several seconds, and a lease must outlive that.
        case .staleKeepAlive, .frozenLeader: 20
        }
    }

    /// The member of etcd that is slow to notice that nobody follows it.
    var slowMember: Int? {
        switch self {
        case .return, .sameNumber, .restoredRestarted, .restoredBusy, .bumped, .restarts, .oneEndpoint, .upgrade,
            .twoHolders,
            .frozenLeader:
            nil
        case .staleKeepAlive: 0
        }
    }

    var needsOlder: Bool { self == .upgrade }
}
