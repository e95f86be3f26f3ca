// SPDX-License-Identifier: Apache-2.0
import Audit
import Decision
import EtcdClient
import EventLoop
import LenientJSON
import PatroniValues
import Settings

/// What the daemon knows anyway, as facts for the rules of the audit: nobody is asked for them.
extension Shell {
    /// Nil where no groups are followed.
    func auditFacts() -> AuditFacts? {
        guard let cluster = self.core.clusterStatus, cluster.readAt != nil else { return nil }
        var facts = AuditFacts()
        facts.isOfDaemon = true
        facts.scope = self.settings.scope
        facts.member = self.settings.member
        facts.group = self.settings.group
        facts.number = self.settings.memberID.group
        facts.pharos = AuditFacts.Configured(self.settings)
        facts.config = self.groups.own.configuration
        facts.keys = cluster.isCurrent ? self.groups.own.state : .unlooked(why: Self.past)
        facts.daemon =
            cluster.isCurrent ? .known(AuditFacts.Daemon(cluster), source: "etcd") : .unlooked(why: Self.past)
        facts.rest = Self.answers(cluster, facts)
        facts.etcd = self.etcdFacts()
        facts.file = .unlooked(why: "Patroni's file: \(AuditFacts.notByDaemon)")
        let unit = self.settings.instance.unit
        facts.node.units[unit] = .unlooked(why: "the unit \(unit): \(AuditFacts.notByDaemon)")
        facts.citus = self.settings.citus.map { settings in
            var use = AuditFacts.CitusUse()
            use.isPatroniMode = settings.scopes == nil
            use.databases = settings.core.databases
            use.refusals = self.refusals()
            return use
        }
        return facts
    }

    private nonisolated static let past = "etcd does not answer this daemon: what it knows is the past"

    /// What the failure detector holds of the members' Patroni stands for what that would answer.
    private static func answers(_ cluster: ClusterStatus, _ facts: AuditFacts) -> [String: Fact<AuditFacts.RestAnswer>]
    {
        var answers: [String: Fact<AuditFacts.RestAnswer>] = [:]
        let group = cluster.groups.first { $0.number == facts.number }
        for member in group?.members ?? [] {
            switch member.verdict {
            case .unknown: answers[member.id.name] = .unlooked(why: "no daemon has asked it yet")
            case .suspected: answers[member.id.name] = .unlooked(why: "suspected: \(member.reason)")
            // Where it is the member that failed, it is no candidate for that alone.
            case .well, .patroniFailed, .postgresFailed, .nodeFailed, .gray, .inRecovery, .lagging:
                var answer = AuditFacts.RestAnswer()
                answer.version = facts.keys.value?.members.first { $0.name == member.id.name }?.version
                answers[member.id.name] = .known(answer, source: "the failure detector")
            }
        }
        return answers
    }

    /// Its members as they were told last, and what came of the last question to each endpoint.
    private func etcdFacts() -> Fact<AuditFacts.Etcd> {
        guard let membership = self.endpoints.directory?.membership, !membership.members.isEmpty else {
            return .unlooked(
                why: self.settings.etcd.members == .learn
                    ? "etcd's members are not known here: nobody has told them yet"
                    : "etcd's members are not asked for (etcd.members in pharos.yml)")
        }
        return AuditFacts.Etcd.fact(membership, self.core.etcdEndpointStates)
    }

    /// Only the daemon that keeps `pg_dist_node` knows them.
    private func refusals() -> Fact<[Int: String]> {
        guard let citus = self.core.citusStatus, citus.isWriter else {
            return .unlooked(why: "pg_dist_node: the daemon on the coordinator's leader looks at it")
        }
        var refusals: [Int: String] = [:]
        for database in citus.databases {
            for (group, refusal) in database.refusals {
                let text = Wording.text(refusal, group: group)
                // The first sentence says what is; the record has the rest.
                let end = text.firstRange(of: ". ")?.lowerBound ?? text.endIndex
                refusals[group] = "\(database.name): \(text[..<end])"
            }
        }
        return .known(refusals, source: "pg_dist_node")
    }
}

extension AuditFacts.Etcd {
    /// A member to which no endpoint leads that has been asked makes all of it unknown: who of the members is there could not be told.
    static func fact(_ membership: EtcdMembership, _ endpoints: [EtcdEndpointState]) -> Fact<AuditFacts.Etcd> {
        var etcd = AuditFacts.Etcd()
        for state in endpoints {
            switch state.answers {
            case nil: continue
            case true?:
                var status = Status()
                status.memberID = membership.numbers[state.endpoint] ?? 0
                status.alarms = state.alarms
                etcd.statuses[state.endpoint] = .known(status, source: state.endpoint)
            case false?: etcd.statuses[state.endpoint] = .unlooked(why: state.reason ?? "no answer")
            }
        }
        guard !etcd.statuses.isEmpty else { return .unlooked(why: "no endpoint of etcd has been asked yet") }
        for member in membership.members where !member.isLearner && !member.clientURLs.isEmpty {
            let isAsked = etcd.statuses.keys.contains { url in
                member.clientURLs.contains(url) || membership.numbers[url] == member.id
            }
            guard isAsked else {
                return .unlooked(why: "no endpoint that is asked from here leads to etcd's member \(member.name)")
            }
        }
        etcd.members = .known(
            membership.members.map { told in
                var member = Member()
                member.name = told.name
                member.id = told.id
                member.clientURLs = told.clientURLs
                member.isLearner = told.isLearner
                return member
            }, source: "etcd's members")
        return .known(etcd, source: "etcd")
    }
}

extension AuditFacts.Daemon {
    /// What this daemon itself knows.
    init(_ cluster: ClusterStatus) {
        self.init()
        self.isCurrent = cluster.isCurrent
        self.groups = cluster.groups.map { status in
            var group = Group()
            group.number = status.number
            group.leader = status.leader
            group.members = status.members.map { status in
                var member = Member()
                member.name = status.id.name
                member.host = status.endpoint?.host
                member.mayLead = status.mayLead
                member.isRunning = status.isRunning
                member.isSynchronous = status.isSynchronous
                member.verdict = status.verdict.rawValue
                member.lag = status.lag
                member.hasDaemon = status.hasDaemon
                member.version = status.version
                return member
            }
            return group
        }
    }
}
