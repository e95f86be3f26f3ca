// SPDX-License-Identifier: Apache-2.0

/// What a simulated run may do wrong on purpose, to prove that the simulator notices.
public enum Mutation: String, CaseIterable, Sendable {
    /// Lifetimes in the kernel end with the lease, not before it.
    case noMargin = "no-margin"
    /// The margin is what was allowed while the kernel was believed to be at most half a second late.
    case shortMargin = "short-margin"
    /// Clocks may differ in rate by as much as chrony makes them, and the margin allows for 1 %.
    case smallDrift = "small-drift"
    /// The kernel is later than the margin allows for.
    case slowKernel = "slow-kernel"
    /// The announcer does not ask the kernel.
    case announcesBlindly = "announces-blindly"
    /// The announcer does not hear that it should fall silent.
    case keepsAnnouncing = "keeps-announcing"
    /// The announcer does not hear that it should begin.
    case staysSilent = "stays-silent"
    /// An address may become the primary one of the node's own subnet.
    case sharedSubnet = "shared-subnet"
    /// An address is acquired wherever the leader key is, whatever PostgreSQL says.
    case ignoredPolicy = "ignored-policy"
    /// An etcd without space refuses to keep leases alive, too.
    case fullStopsRenewal = "full-stops-renewal"
    /// The key is given back before the address is taken off the kernel.
    case keyBeforeAddress = "key-before-address"
    /// The acquire transaction compares nothing.
    case noCompares = "no-compares"
    /// The acquire transaction does not compare the leader key.
    case noLeaderCompare = "no-leader-compare"
    /// Reads answer what the watch last showed.
    case noPeriodicRead = "no-periodic-read"
    /// A member of etcd that was deposed unawares answers keep-alives as if it led.
    case staleRenewals = "stale-renewals"
    /// etcd keeps no trails: nobody can tell an old copy from what it was made from.
    case noTrails = "no-trails"
    /// Whichever endpoint of etcd answers is believed, whatever cluster it belongs to.
    case believesAnyEtcd = "believes-any-etcd"
    /// Another etcd is followed as soon as the one of before does not answer.
    case impatient
    /// A new process does not know which etcd the one of before followed.
    case forgetsEtcd = "forgets-etcd"
    /// The kernel is given a fraction of the lifetime that was reckoned.
    case briefLifetimes = "brief-lifetimes"
    /// What was asked for is waited for, for ever.
    case noDeadline = "no-deadline"
    /// Contact with etcd is lost by a read that fails, not by its age.
    case agelessContact = "ageless-contact"
}

/// An invariant that did not hold.
public struct Violation: Error, CustomStringConvertible, Sendable {
    public let seed: UInt64
    /// Simulated seconds since the beginning.
    public let time: Double
    public let message: String
    public var description: String { "seed \(self.seed), after \(self.time) simulated seconds: \(self.message)" }
}
