// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EventLoop
import Glibc
import HTTPClient
import Journal
import LeaseKeys
import PatroniClient
import PostgresClient
import Settings
import StatusServer
import Testing
import VirtualAddress

@testable import Shell

/// What must hold between the limits, each with the reason; and docs/architecture.md's table of them.
struct LimitsTests {
    private func sum(_ shares: [Limits.Share]) -> Int { shares.reduce(0) { $0 + $1.amount } }

    private func fits(_ needed: Int, _ limit: Int?) -> Bool { limit.map { needed <= $0 } ?? true }

    // MARK: - Connections

    /// A request that waits for a connection can be kept waiting by one that takes its time: on the plane that the leases hang on
    /// that would be a renewal. So there is a connection for each watch and each request, whatever there is to be asked at once.
    @Test func `the plane of the leases has a connection for each watch and each request`() {
        #expect(!Limits.leaseWatches.isEmpty)
        #expect(fits(Limits.leaseWatches.count + Limits.leaseRequests, ConnectionLimits.unlimited.total))
        #expect(fits(Limits.leaseWatches.count + Limits.leaseRequests, ConnectionLimits.unlimited.perHost))
    }

    /// Groups that are scopes of their own each take a watch of their keys and one of what is published of them, all of one host;
    /// with fewer connections than watches the rest would wait for ever, and every request behind them.
    @Test func `the plane that looks at others has one for 64 groups as scopes, all of one host`() {
        #expect(Limits.lookingWatches.count > Settings.Citus.groupLimit)
        #expect(fits(Limits.lookingWatches.count + Limits.lookingRequests, ConnectionLimits.unlimited.total))
        #expect(fits(Limits.lookingWatches.count + Limits.lookingRequests, ConnectionLimits.unlimited.perHost))
    }

    /// A probe that waits for a connection fails by its own time limit, and would count against a member that is well.
    @Test func `each probe that is under way has its connection, and so has each endpoint of etcd`() throws {
        #expect(fits(Limits.probeRequests, Limits.probing.total))
        // Members on one host, as in a lab, wait for each other otherwise.
        #expect(try #require(Limits.probing.perHost) >= 16)
        #expect(EtcdHealthProbe.limit >= Settings.endpointLimit)
    }

    // MARK: - The unit

    /// Whoever gets no descriptor cannot connect, accept or start a child; and what is kept for `ip` must be there then. So there are
    /// enough for everything at its limit at the same moment, which never comes.
    @Test func `LimitNOFILE has room for everything at its limit, and for what is kept for ip`() throws {
        let limit = try #require(Int(try PharosUnit.value("LimitNOFILE")))
        let needed = sum(Limits.descriptors) + ChildBudget.reservedDescriptors
        #expect(needed <= limit, "\(Limits.descriptors.map { "\($0.what): \($0.amount)" })")
        // Not many times as much: one that leaks is found before the machine suffers.
        #expect(limit <= 4 * needed)
    }

    /// Above it the kernel ends the daemon, in the middle of whatever it does. What comes from the network fills buffers; all of
    /// them full at the same moment must fit.
    @Test func `MemoryMax has room for all buffers when they are full`() throws {
        let text = try PharosUnit.value("MemoryMax")
        #expect(text.hasSuffix("M"))
        let limit = try #require(Int(text.dropLast())) << 20
        #expect(sum(Limits.memory) <= limit, "\(Limits.memory.map { "\($0.what): \($0.amount >> 20) MiB" })")
    }

    /// The largest answers must be able to arrive at all: of each HTTP client several at a time, and of each plane more than one line.
    @Test func `what is allowed of one answer is allowed of several together`() {
        #expect(ConnectionLimits.unlimited.buffered >= 4 * HTTPRequest.usualBodyLimit)
        #expect(Limits.probing.buffered >= DetectorCore.probeLimit * PatroniClient.livenessAnswerLimit)
        #expect(EtcdClient.unfinishedLimit >= Limits.leaseWatches.count * WatchDecoder.lineLimit)
    }

    // MARK: - Time

    /// The core gives up what is lost, not what is late: its limit is longer than all that the shell allows itself for the question,
    /// waiting for a child's slot included.
    @Test(arguments: [5, 8, 20, 30, 3600])
    func `the core waits longer than the shell does, for each question`(ttl: Int) {
        let request = min(.seconds(ttl) / Settings.Lease.requestsPerTTL, Settings.Lease.longestRequest)
        let limits = AnswerLimits(request: request)
        #expect(limits.etcd > request)
        // One request, and two more by the fence's rules.
        #expect(limits.transaction > request * 3)
        let (listing, change) = (AddressCommands.usualListTimeout, Limits.change(.patient))
        let slot = change
        #expect(limits.listing > listing * 2 + slot)
        #expect(limits.kernel > change * 5 + slot)
        #expect(limits.postgres > PostgresProbe.timeout * 4 + PatroniProbe.timeout)
        #expect(limits.patroni > PatroniProbe.timeout)
        #expect(limits.port > PortTry.timeout)
        for timeout in [Duration.seconds(1), .seconds(5)] { #expect(AnswerLimits.probe(timeout) > timeout) }
        #expect(AnswerLimits.switchover > SwitchoverCall.timeout + SwitchoverCall.timeout)
        #expect(AnswerLimits.writable > NodeConnections.timeout * 2)
        // Of as many workers as there may be, some at a time.
        let rounds = (GroupsView.groupLimit + CoordinatorDatabase.copiesAtOnce - 1) / CoordinatorDatabase.copiesAtOnce
        let copy = CoordinatorDatabase.connectTimeout + CoordinatorDatabase.statementTimeout
        #expect(AnswerLimits.copies > copy * rounds)
        // One change, the most of one group (three moves and a pool), and those of as many groups as there may be.
        for count in [1, 4, 4 * GroupsView.groupLimit] {
            let steps = Array(repeating: CitusUpdate.Step.pool(nodeID: 1, ""), count: count)
            var update = CitusUpdate([CitusUpdate.Part(group: 1, steps: steps, revision: 1)], etcdCluster: 1)
            update.statementTimeout = CoordinatorDatabase.statementTimeout + .seconds(2)
            // It may have to wait for its turn on the connection.
            let turn = CoordinatorDatabase.readLimit
            #expect(limits.update + AnswerLimits.change * count > turn + update.limit + update.statementTimeout)
        }
        #expect(AnswerLimits.verification >= CitusLink.verificationLimit * 2)
        #expect(AnswerLimits.settings >= CoordinatorDatabase.readLimit * 2)
        #expect(AnswerLimits.hold >= CitusDatabase.holdLimit)
    }

    /// A renewal comes every sixth of the TTL; one that fails must be repeated before the address lapses. And an endpoint that never
    /// answers must leave time for another one within the same request.
    @Test(arguments: [5, 6, 8, 20, 30, 3600])
    func `within one TTL a request can fail twice and be repeated, and each tries two endpoints`(ttl: Int) throws {
        let request = min(.seconds(ttl) / Settings.Lease.requestsPerTTL, Settings.Lease.longestRequest)
        #expect(request * 3 < .seconds(ttl))
        #expect(EtcdConfiguration.attempt(of: request) * 2 <= request)
    }

    /// A status that is asked for is answered while the loop turns: the longest that one request may hold a connection is below what
    /// `pharos status` and the watchdog wait for.
    @Test func `a request of the status has ended before the watchdog would end the daemon`() throws {
        let text = try PharosUnit.value("WatchdogSec")
        let watchdog = Duration.seconds(try #require(Int(text.dropLast())))
        #expect(text.hasSuffix("s"))
        #expect(.microseconds(ConnectionTable.patience) < watchdog)
        // Of three pings two may be late by a busy systemd.
        #expect(ServiceManager.pause * 4 <= watchdog / 3)
        #expect(
            ConnectionTable.peerLimit < ConnectionTable.limit && ConnectionTable.limit < StatusServer.openConnections)
    }

    /// systemd kills what has not stopped in time; a lapse by lifetime is no harm, but half a release is one more read for whoever
    /// takes over.
    @Test func `giving the addresses back has ended before systemd loses patience`() throws {
        let text = try PharosUnit.value("TimeoutStopSec")
        let limit = Duration.seconds(try #require(Int(text.dropLast())))
        #expect(Core.stopLimit + MemoryFile.timeout < limit)
    }

    /// Whoever looks a name up waits for a child, which has a slot for each look-up under way and one for each that was killed and is
    /// not gone yet; those that wait for the resolver wait there, not for a slot.
    @Test func `names that are looked up at a time have their slots`() {
        for kind in [ChildKind.leaseNameLookup, .nameLookup] {
            #expect(ChildBudget.limit(of: kind).running >= HostResolver.atOnce)
        }
        #expect(HostResolver.waitingLimit >= 2 * DetectorCore.probeLimit)
        #expect(HostResolver.limit >= DetectorCore.targetLimit)
    }

    // MARK: - Sizes

    /// A record is one datagram, which must fit the kernel's default send buffer (208 KiB) with its names and lengths: one that does not
    /// would be lost as a whole.
    @Test func `a record fits into one datagram, and a value into a record`() {
        #expect(LogRecord.valueLimit < LogRecord.totalLimit)
        #expect(LogRecord.totalLimit + LogRecord.fieldLimit * (LogRecord.Field.nameLimit + 16) < 208 << 10)
        #expect(RecentRecords.messageLimit <= LogRecord.valueLimit)
    }

    /// A read that took fewer keys than there can be would never succeed: of each address its key, its trail and its fence.
    @Test func `a read has room for the keys of all addresses`() {
        #expect(PharosKeys.readLimit >= Settings.addressLimit * 3)
        #expect(Memory.limit >= Settings.addressLimit)
    }

    // MARK: - The manual

    @Test func `each limit is told once, and more than nothing`() {
        let names = Limits.all.map(\.what)
        #expect(Set(names).count == names.count)
        for limit in Limits.all {
            switch limit.amount {
            case .count(let amount), .bytes(let amount): #expect(amount > 0, "\(limit.what)")
            case .span(let span): #expect(span > .zero, "\(limit.what)")
            }
        }
    }

    /// `make docs` runs this with PHAROS_WRITE_TABLES=1: it then writes the table instead of comparing it.
    @Test func `docs-architecture has the table of the limits`() throws {
        let text = try PharosUnit.text("docs/architecture.md")
        let (begin, end) = ("<!-- limits: made by make docs -->\n", "<!-- end of limits -->\n")
        let start = try #require(text.firstRange(of: begin)?.upperBound)
        let stop = try #require(text.firstRange(of: end)?.lowerBound)
        guard getenv("PHAROS_WRITE_TABLES") != nil else {
            return #expect(String(text[start..<stop]) == Limits.table, "run make docs")
        }
        try PharosUnit.write(text[..<start] + Limits.table + text[stop...], to: "docs/architecture.md")
    }
}
