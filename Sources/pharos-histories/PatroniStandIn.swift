// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import NetworkBed

/// Writes the keys that Patroni would write, and looks at Pharos's. There is no Patroni and no PostgreSQL here.
@EventLoop
final class PatroniStandIn {
    nonisolated static let scope = "demo"
    private nonisolated static let root = "/service/\(scope)/"
    private nonisolated static let pharos = "/pharos/\(scope)/"
    private let http = HTTPClient()
    private let etcd: EtcdClient

    init() {
        let endpoints = (0..<EtcdCluster.size).map { EtcdCluster.url($0) }
        var configuration = EtcdConfiguration(endpoints: endpoints)
        (configuration.requestTimeout, configuration.attemptTimeout) = (.seconds(3), .seconds(1))
        self.etcd = EtcdClient(configuration, http: self.http, jitter: { 0.5 })
    }

    isolated deinit { self.http.close() }

    /// What a Patroni cluster has in etcd from its first minute on.
    func initialize(leader: Int) async throws(BedError) {
        var puts: [Transaction.Operation] = [
            .put(key: Self.root + "initialize", value: Array("7710428007452706229".utf8), lease: 0),
            .put(
                key: Self.root + "config",
                value: Array(#"{"ttl":30,"loop_wait":10,"retry_timeout":10,"failsafe_mode":false}"#.utf8), lease: 0),
        ]
        for node in 0..<HistoryBed.nodeCount {
            let role = node == leader ? "primary" : "replica"
            let host = Node.address(node)
            let text =
                #"{"conn_url":"postgres://\#(host):5432/postgres","api_url":"http://\#(host):8008/patroni","#
                + #""state":"running","role":"\#(role)","version":"4.0.7","timeline":1}"#
            puts.append(.put(key: Self.root + "members/" + Node.member(node), value: Array(text.utf8), lease: 0))
        }
        try await self.commit(Transaction(compares: [], success: puts))
        try await self.lead(leader)
    }

    /// Moves the leader key. It hangs on a lease as Patroni's does, one that outlives the test.
    func lead(_ node: Int?) async throws(BedError) {
        let key = Self.root + "leader"
        guard let node else {
            try await self.commit(Transaction(compares: [], success: [.delete(.key(key))]))
            return
        }
        // Both together: etcd may be put back to another history in between, which knows nothing of the lease.
        _ = try await self.ask { () async throws(EtcdError) in
            let lease = try await self.etcd.grantLease(seconds: 86_400)
            let put = Transaction.Operation.put(key: key, value: Array(Node.member(node).utf8), lease: lease.id)
            return try await self.etcd.commit(Transaction(compares: [], success: [put]))
        }
    }

    /// The number of the node that the leader key names now; nil: there is no leader key.
    func leader() async throws(BedError) -> Int? {
        let found = try await self.ask { () async throws(EtcdError) in
            try await self.etcd.range(.key(Self.root + "leader")).keyValues.first
        }
        return (0..<HistoryBed.nodeCount).first { Node.member($0) == found?.valueText }
    }

    /// What others write meanwhile: it moves etcd's revision by `count`.
    func writeMuch(_ count: Int) async throws(BedError) {
        var (written, problem) = (0, BedError?.none)
        // Side by side, since a commit waits for the disk of a quorum.
        let writers = (0..<16).map { number in
            EventLoop.spawn {
                do throws(BedError) {
                    while written < count, problem == nil {
                        written += 1
                        let put = Transaction.Operation.put(key: "/elsewhere/\(number)", value: [0x78], lease: 0)
                        try await self.commit(Transaction(compares: [], success: [put]))
                    }
                } catch {
                    problem = error
                }
            }
        }
        for writer in writers { await writer.value }
        if let problem { throw problem }
    }

    // MARK: - Pharos's keys

    /// A key of Pharos's, such as `cluster`, and the revision of its last change; nil where it is absent.
    func pair(_ key: String) async throws(BedError) -> (value: String, revision: Int64)? {
        let found = try await self.ask { () async throws(EtcdError) in
            try await self.etcd.range(.key(Self.pharos + key)).keyValues.first
        }
        return found.map { ($0.valueText, $0.modRevision) }
    }

    /// The value of a key of Pharos's; nil where it is absent.
    func value(_ key: String) async throws(BedError) -> String? { try await self.pair(key)?.value }

    /// etcd's count of changes.
    func revision() async throws(BedError) -> Int64 { try await self.header().revision }

    /// The term of raft in which a quorum answers.
    func term() async throws(BedError) -> UInt64 { try await self.header().raftTerm }

    private func header() async throws(BedError) -> Header {
        try await self.ask { () async throws(EtcdError) in try await self.etcd.range(.key(Self.root + "leader")).header
        }
    }

    /// What the manual asks for after a restore on purpose.
    func deleteMark() async throws(BedError) {
        try await self.commit(Transaction(compares: [], success: [.delete(.key(Self.pharos + "cluster"))]))
    }

    private func commit(_ transaction: Transaction) async throws(BedError) {
        _ = try await self.ask { () async throws(EtcdError) in try await self.etcd.commit(transaction) }
    }

    /// Asks again, for half a minute, where etcd does not answer: nothing here may be done twice only by being lost.
    private func ask<Answer>(_ question: () async throws(EtcdError) -> Answer) async throws(BedError) -> Answer {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            do throws(EtcdError) {
                return try await question()
            } catch {
                guard ContinuousClock.now < deadline else { throw BedError(error.description) }
            }
            try await pause(.milliseconds(50))
        }
    }
}
