// SPDX-License-Identifier: Apache-2.0
import Audit
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import LenientJSON
import PatroniValues
import Settings

/// What etcd holds of the group, and what it says of itself.
extension AuditCollector {
    func etcdClient() async -> EtcdClient {
        var configuration = EtcdConfiguration(self.settings)
        configuration.requestTimeout = min(configuration.requestTimeout, .seconds(3))
        let client = await EtcdClient.ofCommand(self.settings, self.http, configuration)
        guard self.settings.etcd.members == .learn else { return client }
        // The members that the configuration does not name count, too.
        var lists: [EtcdMemberList] = []
        for (_, answer) in await client.members() { if case .success(let list) = answer { lists.append(list) } }
        let news = EtcdDirectory.News(lists, [], client.configuredEndpoints)
        client.learn(news.urls)
        return client
    }

    /// Patroni's keys of this node's group.
    func keys(_ client: EtcdClient) async -> Fact<AuditFacts.PatroniState> {
        let keys = PatroniKeys(
            namespace: self.settings.namespace, scope: self.settings.scope, group: self.settings.group)
        do throws(EtcdError) {
            let answer = try await client.range(.prefix(keys.prefix), limit: Self.keyLimit)
            guard !answer.more else { return .unlooked(why: "more than \(Self.keyLimit) keys below \(keys.prefix)") }
            let pairs = answer.keyValues.compactMap { pair in
                keys.kind(of: pair.keyText).map { (kind: $0, value: pair.value) }
            }
            return .known(AuditFacts.PatroniState(pairs), source: "etcd, \(keys.prefix)")
        } catch {
            return .unlooked(why: "Patroni's keys in etcd: \(error.message)")
        }
    }

    /// Of one group.
    private nonisolated static let keyLimit = 1000

    func etcdFacts(_ client: EtcdClient) async -> Fact<AuditFacts.Etcd> {
        let urls = client.endpointStates.filter { !$0.isForeign }.map(\.url)
        guard !urls.isEmpty else { return .unlooked(why: "no endpoint of etcd is known") }
        let tasks = urls.map { url in
            (url, EventLoop.task { (await client.status(at: url), await client.figures(at: url)) })
        }
        var etcd = AuditFacts.Etcd()
        for (url, task) in tasks {
            let (status, figures) = await task.value
            switch status {
            case .success(let status):
                etcd.statuses[url] = .known(AuditFacts.Etcd.Status(status), source: "status of \(url)")
            case .failure(let error): etcd.statuses[url] = .unlooked(why: error.message)
            }
            switch figures {
            case .success(let figures):
                etcd.figures[url] = .known(AuditFacts.Etcd.Figures(figures), source: "\(url)/metrics")
            case .failure(let error): etcd.figures[url] = .unlooked(why: error.message)
            }
        }
        etcd.members = await self.etcdMembers(client)
        return .known(etcd, source: "etcd")
    }

    private func etcdMembers(_ client: EtcdClient) async -> Fact<[AuditFacts.Etcd.Member]> {
        var problem = "no endpoint tells its members"
        for (url, answer) in await client.members() {
            switch answer {
            case .success(let list):
                let members = list.members.map { told in
                    var member = AuditFacts.Etcd.Member()
                    member.name = told.name
                    member.id = told.id
                    member.clientURLs = told.clientURLs
                    member.isLearner = told.isLearner
                    return member
                }
                return .known(members, source: "members by \(url)")
            case .failure(let error): problem = error.description
            }
        }
        return .unlooked(why: problem)
    }
}

extension AuditFacts.Etcd.Status {
    init(_ status: EtcdStatus) {
        self.init()
        self.version = status.version
        self.memberID = status.memberID
        self.leaderID = status.leaderID
        self.size = status.size
        self.sizeInUse = status.sizeInUse
        self.alarms = status.alarms
    }
}

extension AuditFacts.Etcd.Figures {
    init(_ figures: EtcdFigures) {
        self.init()
        self.slowestSync = figures.slowestSync
        self.leaderChanges = figures.leaderChanges
        self.quota = figures.quota
        self.uptime = figures.startedAt.map { max(0, Double(WallClock.seconds) - $0) }
    }
}

extension AuditFacts.PatroniState.Member {
    init(_ member: PatroniMember) {
        self.init()
        self.name = member.name
        self.role = member.role.map { "\($0)" }
        self.state = member.state
        self.host = member.endpoint?.host
        self.port = member.endpoint?.port ?? 5432
        self.apiURL = member.apiURL
        self.timeline = member.timeline
        self.position = member.xlogLocation
        self.replicationState = member.replicationState
        self.version = member.version
        self.mayLead = !member.tags.noFailover
        self.maySync = !member.tags.noSync
    }
}
