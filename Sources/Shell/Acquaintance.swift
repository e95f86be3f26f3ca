// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import Journal

/// What is looked at once in a while, and only told: whether Patroni knows this member, and of which versions etcd's members are.
@EventLoop
final class Acquaintance {
    private let member: String
    private let scope: String
    private let etcd: EtcdClient
    private let members: @EventLoop () async -> [String]?
    private let report: @EventLoop (LogRecord) -> Void
    /// When Patroni's members were asked for.
    private var askedAt: Instant?
    private var isKnownAsUnknown = false
    private var wereVersionsAsked = false

    private static let pause: Duration = .seconds(60)
    private static let listLimit = 20

    /// `members`: those that Patroni's keys name, nil where they cannot be read.
    init(
        member: String, scope: String, _ etcd: EtcdClient, members: @escaping @EventLoop () async -> [String]?,
        report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.member = member
        self.scope = scope
        self.etcd = etcd
        self.members = members
        self.report = report
    }

    /// Once a watch stands, there is time to look around: for members at most once a minute, for versions once.
    func look() {
        if self.askedAt.map({ Instant.now - $0 >= Self.pause }) ?? true {
            self.askedAt = .now
            EventLoop.spawn { if let members = await self.members() { self.meet(members) } }
        }
        if !self.wereVersionsAsked {
            self.wereVersionsAsked = true
            EventLoop.spawn { await self.lookAtVersions() }
        }
    }

    private func lookAtVersions() async {
        for case (let endpoint, let version?) in await self.etcd.versions() where version.trustsDeposedLeaders {
            self.report(.etcdOutdated(version.description, endpoint))
        }
    }

    /// A member that Patroni does not know will never lead. Said once, and not of a cluster that is only being made.
    private func meet(_ members: [String]) {
        guard !members.isEmpty, !members.contains(self.member), !self.isKnownAsUnknown else { return }
        self.isKnownAsUnknown = true
        let list = members.prefix(Self.listLimit).joined(separator: " ") + (members.count > Self.listLimit ? " …" : "")
        self.report(
            LogRecord(
                .memberUnknown,
                "Patroni has no member \(self.member) in \(self.scope); it has \(list). No address can come here. Compare 'name' in Patroni's file with 'member': pharos check-config",
                ["MEMBER": self.member, "MEMBERS": list]))
    }
}
