// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import PatroniClient

/// The core's actions on etcd, each answered by one event.
@EventLoop
final class EtcdLink {
    let client: EtcdClient
    let keys: PharosKeys
    private let member: String
    private let node: String
    /// The TTL of the leases that this process was granted; an address's key tells it.
    private var ttls: [LeaseID: Duration] = [:]

    init(_ client: EtcdClient, _ keys: PharosKeys, member: String, node: String) {
        self.client = client
        self.keys = keys
        self.member = member
        self.node = node
    }

    func read() async throws(EtcdError) -> Snapshot {
        let response = try await self.client.commit(Transaction(compares: [], success: self.keys.reads))
        return self.keys.snapshot(response.header, response.responses)
    }

    /// The members that Patroni's keys name, at most 100.
    func members() async throws(EtcdError) -> [String] {
        let prefix = self.keys.patroni.members
        let answer = try await self.client.range(.prefix(prefix), limit: 100)
        return answer.keyValues.map { String($0.keyText.dropFirst(prefix.count)) }
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
            if answer.ttl <= 0 { return .leaseGone(address, lease: lease) }
            return .leaseKept(address, lease: lease, ttl: .seconds(answer.ttl), sentAt: sentAt)
        } catch {
            if error.kind == .leaseNotFound { return .leaseGone(address, lease: lease) }
            return .leaseUnanswered(address, lease: lease, reason: error.description)
        }
    }

    func revoke(_ address: AddressID, _ lease: LeaseID) async -> Event {
        self.ttls[lease] = nil
        do throws(EtcdError) {
            try await self.client.revokeLease(lease)
        } catch {
            if error.kind != .leaseNotFound {
                return .leaseUnanswered(address, lease: lease, reason: error.description)
            }
        }
        return .leaseRevoked(address, lease: lease)
    }

    func acquire(_ address: AddressID, _ lease: LeaseID, _ clusterID: UInt64, sentAt: Instant) async -> Event {
        let holder = Holder(member: self.member, node: self.node, lease: lease, ttl: self.ttls[lease])
        return await self.commit(
            self.keys.acquisition(of: address, holder, clusterID: clusterID, since: WallClock.seconds), address, lease,
            sentAt)
    }

    func takeOver(
        _ address: AddressID, _ lease: LeaseID, from old: LeaseID, _ clusterID: UInt64, sentAt: Instant
    ) async -> Event {
        let holder = Holder(member: self.member, node: self.node, lease: lease, ttl: self.ttls[lease])
        return await self.commit(
            self.keys.takeOver(of: address, holder, from: old, clusterID: clusterID, since: WallClock.seconds), address,
            lease, sentAt)
    }

    private func commit(
        _ transaction: Transaction, _ address: AddressID, _ lease: LeaseID, _ sentAt: Instant
    ) async -> Event {
        do throws(EtcdError) {
            let response = try await self.client.commit(transaction)
            if response.succeeded {
                return .acquired(address, lease: lease, revision: response.header.revision, sentAt: sentAt)
            }
            let found = self.keys.snapshot(response.header, response.responses)
            return .acquireRefused(address, lease: lease, found: found, sentAt: sentAt)
        } catch {
            if error.kind == .leaseNotFound { return .acquireFoundNoLease(address, lease: lease) }
            return .acquireUnanswered(address, lease: lease, reason: error.description)
        }
    }

    func mark(_ clusterID: UInt64, seen: UInt64?, quarantine: Duration) async -> Event {
        do throws(EtcdError) {
            let lease = try await self.client.grantLease(seconds: quarantine.components.seconds)
            let response = try await self.client.commit(self.keys.marking(clusterID, seen: seen, lease: lease.id))
            // Another member was first: our lease is of no use.
            if !response.succeeded { try await self.client.revokeLease(lease.id) }
            return .markAnswered(reason: nil)
        } catch {
            return .markAnswered(reason: error.description)
        }
    }
}
