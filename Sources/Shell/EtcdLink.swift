// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import Journal
import LeaseKeys
import PatroniClient
import PatroniValues

/// The core's actions on etcd, each answered by one event.
@EventLoop
final class EtcdLink {
    let client: EtcdClient
    let keys: PharosKeys
    private let member: String
    private let node: String
    /// The TTL of the leases that this process was granted; an address's key tells it.
    private var ttls: [LeaseID: Duration] = [:]
    /// The addresses whose trails are read.
    var addresses: [AddressID] = []
    /// Whether etcd's user was last refused the keys that all scopes share: told once, and tried again each time.
    private var isFenceForbidden = false
    /// Clusters that were found to hold an address that was to be taken over here; as many as there are addresses.
    private var rivals: [AddressID: String] = [:]
    private let report: @EventLoop (LogRecord) -> Void
    private var complaints = Complaints<EtcdError.Kind>()
    /// The hash of the configuration of Patroni that was examined last.
    private var examined: Int?

    init(
        _ client: EtcdClient, _ keys: PharosKeys, member: String, node: String,
        report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.report = report
        self.client = client
        self.keys = keys
        self.member = member
        self.node = node
    }

    func read() async throws(EtcdError) -> Snapshot {
        let response = try await self.client.commit(
            Transaction(compares: [], success: self.keys.reads(of: self.addresses)))
        return self.snapshot(response)
    }

    private func snapshot(_ response: TransactionResponse) -> Snapshot {
        for case .range(let pairs) in response.responses { for pair in pairs { self.examine(pair) } }
        return self.keys.snapshot(response.header, response.responses)
    }

    /// What is watched: of Patroni's keys, in the order of their names, those from `config` to `leader` (the members and the
    /// status, which change with every one of its loops, lie behind); and ours.
    var watched: [KeyRange] { Self.watched(self.keys) }

    nonisolated static func watched(_ keys: PharosKeys) -> [KeyRange] {
        [.from(keys.patroni.config, through: keys.patroni.leader), .prefix(keys.prefix)]
    }

    /// What the changes of one revision mean to the core; nil: nothing.
    func event(_ clusterID: UInt64, _ revision: Int64, _ events: [WatchEvent]) -> Event? {
        var changes: [KeyChange] = []
        for event in events {
            if event.kind == .put { self.examine(event.keyValue) }
            if let change = self.keys.change(event) { changes.append(change) }
        }
        return changes.isEmpty ? nil : .watched(clusterID: clusterID, revision: revision, changes: changes)
    }

    /// Tells what in Patroni's configuration cannot be used: once for each content, in whatever order they come.
    func examine(_ pair: KeyValue) {
        guard pair.keyText == self.keys.patroni.config, pair.value.hashValue != self.examined else { return }
        self.examined = pair.value.hashValue
        let problems = PatroniConfig(value: pair.value).problems.joined(separator: "; ")
        guard !problems.isEmpty else { return }
        self.report(
            LogRecord(
                .patroniConfigOdd,
                "Patroni's configuration of revision \(pair.modRevision): \(problems). What cannot be read stays as it was",
                ["REVISION": "\(pair.modRevision)", "PROBLEMS": problems]))
    }

    /// The members that Patroni's keys name, at most 100; what cannot be a name is left out.
    /// Nil if etcd cannot tell, which is reported.
    func members(by client: EtcdClient) async -> [String]? {
        let prefix = self.keys.patroni.members
        do throws(EtcdError) {
            let answer = try await client.range(.prefix(prefix), limit: 100)
            self.complaints.succeeded("reading Patroni's members")
            return answer.keyValues.prefix(100).compactMap { patroniLeader(Array($0.key.dropFirst(prefix.utf8.count))) }
        } catch {
            self.failed("reading Patroni's members", nil, error)
            return nil
        }
    }

    /// Reports a failure on which the core decides nothing; what follows from it, if it goes on, is reported there.
    private func failed(_ request: String, _ address: AddressID?, _ error: EtcdError) {
        guard error.kind != .cancelled, self.complaints.failed(request, error.kind) else { return }
        self.report(
            LogRecord(
                .requestFailed, "\(request) has failed: \(error.description). It is tried again",
                ["ADDRESS": address ?? "", "REQUEST": request, "REASON": error.description]))
    }

    func read(sentAt: Instant) async -> Event {
        do throws(EtcdError) {
            return .readAnswered(try await self.read(), sentAt: sentAt)
        } catch {
            return .readFailed(reason: error.description)
        }
    }

    func grant(_ address: AddressID, ttl: Duration, sentAt: Instant) async -> Event {
        do throws(EtcdError) {
            let lease = try await self.client.grantLease(seconds: ttl.components.seconds)
            // Bounded: those of revoked leases go, and what is lost is only a hint.
            if self.ttls.count >= 256 { self.ttls = [:] }
            self.ttls[lease.id] = .seconds(lease.ttl)
            return .leaseGranted(address, lease: lease.id, ttl: .seconds(lease.ttl), sentAt: sentAt)
        } catch {
            return .leaseRefused(address, reason: error.description)
        }
    }

    func keepAlive(_ address: AddressID, _ lease: LeaseID, sentAt: Instant) async -> Event {
        do throws(EtcdError) {
            let answer = try await self.client.keepAlive(lease)
            self.complaints.succeeded("renewing the lease of \(address)")
            if answer.ttl <= 0 { return .leaseGone(address, lease: lease) }
            return .leaseKept(
                address, lease: lease, ttl: .seconds(answer.ttl), sentAt: sentAt, by: Answerer(answer.header))
        } catch {
            if error.kind == .leaseNotFound { return .leaseGone(address, lease: lease) }
            self.failed("renewing the lease of \(address)", address, error)
            return .leaseUnanswered(address, lease: lease, reason: error.description)
        }
    }

    func revoke(_ address: AddressID, _ lease: LeaseID) async -> Event {
        self.ttls[lease] = nil
        do throws(EtcdError) {
            try await self.client.revokeLease(lease)
        } catch {
            if error.kind != .leaseNotFound {
                self.failed("giving back the key of \(address)", address, error)
                return .leaseUnanswered(address, lease: lease, reason: error.description)
            }
        }
        self.complaints.succeeded("giving back the key of \(address)")
        return .leaseRevoked(address, lease: lease)
    }

    func acquire(
        _ address: AddressID, _ lease: LeaseID, _ clusterID: UInt64, _ step: TrailStep, sentAt: Instant
    ) async -> Event {
        let holder = Holder(member: self.member, node: self.node, lease: lease, ttl: self.ttls[lease])
        let (since, addresses, keys) = (WallClock.seconds, self.addresses, self.keys)
        func acquisition(_ rule: PharosKeys.FenceRule) -> Transaction {
            keys.acquisition(
                of: address, holder, clusterID: clusterID, step, since: since, fence: rule, reading: addresses)
        }
        return await self.commit(address, lease, sentAt) { () async throws(EtcdError) in
            let response = try await self.fenced(acquisition, first: .absent)
            guard !response.succeeded, keys.fencedBy(response.responses, address) == keys.cluster else {
                return response
            }
            // As a rule another member of this cluster has the address, and the fence with it.
            let found = self.snapshot(response)
            guard !found.holders.contains(where: { $0.address == address }) else { return response }
            return try await self.client.commit(acquisition(.ours))
        }
    }

    func takeOver(
        _ address: AddressID, _ lease: LeaseID, from old: LeaseID, _ clusterID: UInt64, _ step: TrailStep,
        sentAt: Instant
    ) async -> Event {
        let holder = Holder(member: self.member, node: self.node, lease: lease, ttl: self.ttls[lease])
        let (since, addresses, keys) = (WallClock.seconds, self.addresses, self.keys)
        func takeOver(_ rule: PharosKeys.FenceRule) -> Transaction {
            keys.takeOver(
                of: address, holder, from: old, clusterID: clusterID, step, since: since, fence: rule,
                reading: addresses)
        }
        return await self.commit(address, lease, sentAt) { () async throws(EtcdError) in
            let response = try await self.fenced(takeOver, first: .ours)
            guard !response.succeeded, !self.isFenceForbidden else { return response }
            guard let cluster = keys.fencedBy(response.responses, address) else {
                // A version before has put none; or something else was in the way, and is so again.
                return try await self.client.commit(takeOver(.absent))
            }
            guard cluster != keys.cluster else { return response }
            // Both hold it already: it is told, once, and what stands here is not made worse.
            if self.rivals[address] != cluster {
                self.report(LogRecord(Report.heldByAnotherCluster(address, cluster: cluster)))
            }
            self.rivals[address] = cluster
            return try await self.client.commit(takeOver(.unused))
        }
    }

    /// With the fence, unless etcd's user may not use it: then without, as before there were any.
    private func fenced(
        _ transaction: (PharosKeys.FenceRule) -> Transaction, first rule: PharosKeys.FenceRule
    ) async throws(EtcdError) -> TransactionResponse {
        do throws(EtcdError) {
            let response = try await self.client.commit(transaction(rule))
            self.isFenceForbidden = false
            return response
        } catch {
            guard error.kind == .permissionDenied else { throw error }
            let response = try await self.client.commit(transaction(.unused))
            if !self.isFenceForbidden { self.report(.fencesForbidden(self.keys.fence(""))) }
            self.isFenceForbidden = true
            return response
        }
    }

    private func commit(
        _ address: AddressID, _ lease: LeaseID, _ sentAt: Instant,
        _ transaction: () async throws(EtcdError) -> TransactionResponse
    ) async -> Event {
        do throws(EtcdError) {
            let response = try await transaction()
            self.complaints.succeeded("acquiring the key of \(address)")
            if response.succeeded {
                return .acquired(
                    address, lease: lease, revision: response.header.revision, sentAt: sentAt,
                    by: Answerer(response.header))
            }
            let found = self.snapshot(response)
            return .acquireRefused(address, lease: lease, found: found, sentAt: sentAt)
        } catch {
            self.failed("acquiring the key of \(address)", address, error)
            if error.kind == .leaseNotFound { return .acquireFoundNoLease(address, lease: lease) }
            return .acquireUnanswered(address, lease: lease, reason: error.description)
        }
    }

    func mark(
        _ clusterID: UInt64, seen: Int64, quarantine: Duration, _ trails: [Addressed<TrailStep>], sentAt: Instant
    ) async -> Event {
        do throws(EtcdError) {
            let lease = try await self.client.grantLease(seconds: quarantine.components.seconds)
            let entry = Trail.Entry(lease: lease.id, ttl: .seconds(lease.ttl), isQuarantine: true)
            let response = try await self.client.commit(
                self.keys.marking(clusterID, seen: seen, quarantine: entry, trails))
            // Another member was first: our lease is of no use.
            if !response.succeeded { try await self.client.revokeLease(lease.id) }
            self.complaints.succeeded("marking the etcd cluster")
            return .markAnswered(reason: nil, sentAt: sentAt)
        } catch {
            self.failed("marking the etcd cluster", nil, error)
            return .markAnswered(reason: error.description, sentAt: sentAt)
        }
    }
}

extension Answerer {
    init(_ header: Header) { self.init(clusterID: header.clusterID, raftTerm: header.raftTerm) }
}
