// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import PatroniClient
import PatroniValues

/// Asks Patroni for a switchover: once, by one daemon of the group, and only while the leader is still the one that was judged.
///
/// Patroni stops answering before a PostgreSQL that takes long to stop has stopped; what becomes of its request is then followed
/// in etcd.
///
/// One transaction claims the group's key before Patroni is asked. The claim ends with the answer, or by its lease: should the
/// power go out in between, others wait that long.
@EventLoop
final class SwitchoverCall {
    private let etcd: EtcdClient
    private let keys: DetectorKeys
    private let patroniKeys: PatroniKeys
    private let patroni: PatroniClient
    private let member: String

    nonisolated static let timeout: Duration = .seconds(90)
    /// Seconds; longer than the call.
    private static let claimTTL: Int64 = 120

    /// `patroni`: the local one, whose address and password are configured; it writes the request into etcd like any other.
    init(
        _ etcd: EtcdClient, _ keys: DetectorKeys, _ patroniKeys: PatroniKeys, _ patroni: PatroniClient, member: String
    ) {
        self.etcd = etcd
        self.keys = keys
        self.patroniKeys = patroniKeys
        self.patroni = patroni
        self.member = member
    }

    /// For whom it is asked, where a person wants it.
    struct Terms {
        let person: String
        /// What Patroni's keys must be in the moment of the claim: what the person has seen.
        let revisions: PatroniRevisions
        /// Whether the person puts up with maintenance mode.
        let allowsPause: Bool
    }

    /// `terms`: nil: on a verdict of this daemon's.
    func carryOut(_ order: SwitchoverOrder, for terms: Terms? = nil) async -> SwitchoverOutcome {
        guard let key = self.keys.switchover(of: order.leader.group) else { return .forestalled("no such group") }
        let lease: Int64
        do throws(EtcdError) {
            let request = try await self.etcd.range(.key(self.patroniKeys.failover), limit: 1).keyValues.first
            guard !Self.isPending(request) else { return .forestalled("somebody has asked for a switchover already") }
            lease = try await self.etcd.grantLease(seconds: Self.claimTTL).id
            let claim = DetectorKeys.claim(order, by: self.member, for: terms?.person, at: WallClock.seconds)
            let response = try await self.etcd.commit(
                Transaction(
                    compares: [
                        .absent(key), .init(self.patroniKeys.leader, is: .value(Array(order.leader.name.utf8))),
                        .init(self.patroniKeys.leader, is: .createRevision(order.since)),
                        .init(self.patroniKeys.failover, is: .modRevision(request?.modRevision ?? 0)),
                    ] + (terms.map { self.compares($0.revisions) } ?? []),
                    // The configuration as it is at the very moment of the claim: whoever pauses the cluster is heard.
                    success: [
                        .put(key: key, value: claim, lease: lease), .range(.key(self.patroniKeys.config), limit: 1),
                    ],
                    failure: [.range(.key(key), limit: 1)]))
            guard response.succeeded else {
                await self.release(lease)
                return .forestalled(Self.reason(response, isPersonal: terms != nil))
            }
            guard terms?.allowsPause == true || !Self.isPaused(response) else {
                await self.release(lease)
                return .forestalled("Patroni is in maintenance mode")
            }
        } catch {
            return .forestalled("etcd: \(error.description)")
        }
        let begun = Instant.now
        var outcome = await self.ask(order)
        if case .unanswered(let text) = outcome {
            outcome = await self.follow(order, text, until: begun + .seconds(Self.claimTTL - 10))
        }
        // What may yet be done keeps others from asking until the lease ends.
        if case .unanswered = outcome { return outcome }
        await self.release(lease)
        return outcome
    }

    /// Whether Patroni's key holds a request. One that is done is not deleted but emptied.
    private nonisolated static func isPending(_ request: KeyValue?) -> Bool {
        request.map { PatroniFailover(value: $0.value).isPending } ?? false
    }

    private func compares(_ revisions: PatroniRevisions) -> [Transaction.Compare] {
        [
            .init(self.patroniKeys.config, is: .modRevision(revisions.config)),
            .init(self.patroniKeys.failover, is: .modRevision(revisions.failover)),
            .init(self.patroniKeys.sync, is: .modRevision(revisions.sync)),
        ]
    }

    private static func reason(_ response: TransactionResponse, isPersonal: Bool) -> String {
        for case .range(let pairs) in response.responses {
            if let pair = pairs.first { return "the daemon of \(DetectorKeys.claimant(pair.value)) was first" }
        }
        return isPersonal
            ? "the leader, or one of Patroni's keys config, failover and sync, has moved in the last moment"
            : "the leader is another by now, or an operator has asked for a switchover"
    }

    private static func isPaused(_ response: TransactionResponse) -> Bool {
        for case .range(let pairs) in response.responses {
            if let pair = pairs.first { return PatroniConfig(value: pair.value).isPaused }
        }
        return false
    }

    private func release(_ lease: Int64) async {
        do throws(EtcdError) {
            try await self.etcd.revokeLease(lease)
        } catch {
            // It ends by itself.
        }
    }

    private func ask(_ order: SwitchoverOrder) async -> SwitchoverOutcome {
        do throws(PatroniError) {
            let (leader, candidate) = (order.leader.name, order.candidate.name)
            switch try await self.patroni.switchOver(from: leader, to: candidate, timeout: Self.timeout) {
            case .done(let text): return .done(text.firstLine)
            case .refused(let text): return .refused(text.firstLine)
            case .open(let text): return .unanswered(text.firstLine)
            }
        } catch {
            return .unanswered(error.message.firstLine)
        }
    }

    /// Waits until the leader is another, or Patroni has given up its request.
    private func follow(_ order: SwitchoverOrder, _ text: String, until end: Instant) async -> SwitchoverOutcome {
        while Instant.now < end {
            do throws(EtcdError) {
                let response = try await self.etcd.commit(
                    Transaction(
                        compares: [],
                        success: [
                            .range(.key(self.patroniKeys.leader), limit: 1),
                            .range(.key(self.patroniKeys.failover), limit: 1),
                        ]))
                if let outcome = Self.outcome(order, response) { return outcome }
            } catch {
                // Asked again.
            }
            do { try await EventLoop.sleep(for: .seconds(1)) } catch { break }
        }
        return .unanswered(text)
    }

    /// Who leads once `order` is done, as etcd says: nil while the leader is still the old one, or nobody.
    func successor(of order: SwitchoverOrder, within limit: Duration) async -> String? {
        let end = Instant.now + limit
        while Instant.now < end {
            do throws(EtcdError) {
                let leader = try await self.etcd.range(.key(self.patroniKeys.leader), limit: 1).keyValues.first
                if let leader, leader.createRevision != order.since, let name = patroniLeader(leader.value) {
                    return name
                }
            } catch {
                // Asked again.
            }
            do { try await EventLoop.sleep(for: .milliseconds(500)) } catch { break }
        }
        return nil
    }

    /// What the leader key and Patroni's request say; nil: nothing yet.
    nonisolated static func outcome(_ order: SwitchoverOrder, _ response: TransactionResponse) -> SwitchoverOutcome? {
        guard response.responses.count == 2, case .range(let leaders) = response.responses[0],
            case .range(let requests) = response.responses[1]
        else { return nil }
        // Between two leaders there is none.
        guard let leader = leaders.first else { return nil }
        guard leader.createRevision == order.since else {
            guard let name = patroniLeader(leader.value), name != order.leader.name else {
                return .refused("\(order.leader.name) leads again")
            }
            return .done("\(name) leads")
        }
        if Self.isPending(requests.first) { return nil }
        return .refused("its request is gone from etcd, and \(order.leader.name) still leads")
    }
}
