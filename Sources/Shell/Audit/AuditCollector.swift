// SPDX-License-Identifier: Apache-2.0
public import Audit
import Decision
import EtcdClient
public import EventLoop
import HTTPClient
import LenientJSON
import PatroniClient
import PatroniValues
public import Settings

/// Looks at a cluster from one of its nodes: fills ``AuditFacts``. Each question has a time limit of its own, and what could not be asked
/// says why. Changes nothing.
@EventLoop
public struct AuditCollector {
    let settings: Settings
    let http: HTTPClient
    let resolver: HostResolver
    private let local: LocalFacts

    /// Members that are asked: more than one group has.
    nonisolated static let memberLimit = 64
    /// To Patroni and to the daemon.
    nonisolated static let timeout: Duration = .seconds(2)

    /// `local`: what was found on this node, with the rights that it takes.
    public init(_ settings: Settings, local: LocalFacts) {
        self.settings = settings
        self.local = local
        let resolver = HostResolver(kind: .tool)
        self.resolver = resolver
        self.http = HTTPClient(resolve: { await resolver.answer(to: $0) })
    }

    /// All of it: within half a minute, whoever keeps silent.
    public func facts() async -> AuditFacts {
        defer { self.http.close() }
        var facts = AuditFacts()
        facts.scope = self.settings.scope
        facts.member = self.settings.member
        facts.group = self.settings.group
        facts.number = self.settings.memberID.group
        facts.patroniConfig = self.local.patroniConfig
        facts.pharos = AuditFacts.Configured(self.settings)
        facts.node = self.local.node
        facts.file = self.local.file
        let etcd = await self.etcdClient()
        let daemon = EventLoop.task { await self.daemon() }
        let endpoints = EventLoop.task { await self.etcdFacts(etcd) }
        facts.config = await self.configuration()
        facts.keys = await self.keys(etcd)
        let members = Array((facts.keys.value?.members ?? []).prefix(Self.memberLimit))
        let answers = EventLoop.task { await self.restAnswers(members) }
        (facts.servers, facts.citus) = await self.servers(members)
        facts.rest = await answers.value
        facts.etcd = await endpoints.value
        facts.daemon = await daemon.value
        return facts
    }

    // MARK: - Patroni

    private func configuration() async -> Fact<DynamicConfiguration> {
        let patroni = PatroniClient(
            self.settings.patroni.url, tls: TLSFiles(self.settings.patroni.tls),
            credentials: Credentials(self.settings.patroni), http: self.http)
        do throws(PatroniError) {
            let json = try await patroni.configuration(timeout: Self.timeout)
            return .known(DynamicConfiguration(json), source: "/config of \(self.settings.member)")
        } catch {
            return .unlooked(why: "Patroni's /config here: \(error.message)")
        }
    }

    private func restAnswers(_ members: [AuditFacts.PatroniState.Member]) async -> [String: Fact<AuditFacts.RestAnswer>]
    {
        let tasks = members.map { member in (member.name, EventLoop.task { await self.restAnswer(member) }) }
        var answers: [String: Fact<AuditFacts.RestAnswer>] = [:]
        for (name, task) in tasks { answers[name] = await task.value }
        return answers
    }

    private func restAnswer(_ member: AuditFacts.PatroniState.Member) async -> Fact<AuditFacts.RestAnswer> {
        guard let url = member.apiURL else { return .unlooked(why: "it does not tell its api_url") }
        let client = PatroniClient(url, tls: TLSFiles(self.settings.patroni.tls), http: self.http)
        do throws(PatroniError) {
            let json = try await client.statusDocument(timeout: Self.timeout)
            var answer = AuditFacts.RestAnswer()
            answer.version = json["patroni"]?["version"]?.string
            answer.systemIdentifier = json["database_system_identifier"]?.string
            answer.isRestartPending = json["pending_restart"]?.bool ?? false
            answer.pendingSettings = (json["pending_restart_reason"]?.object ?? [:]).keys.sorted().prefix(20).map { $0 }
            answer.scheduledRestart = json["scheduled_restart"]?["schedule"]?.string
            return .known(answer, source: "/patroni of \(member.name)")
        } catch {
            return .unlooked(why: error.message)
        }
    }

    // MARK: - The daemon

    private func daemon() async -> Fact<AuditFacts.Daemon> {
        var request = HTTPRequest(.get, "http://localhost/cluster")
        request.unixSocket = self.settings.status.socket
        request.timeout = Self.timeout
        do throws(HTTPError) {
            let response = try await self.http.send(request)
            guard response.status == 200, let json = JSON.parse(response.body), json.object != nil else {
                return .unlooked(
                    why: "the daemon here does not answer /cluster: systemctl status \(self.settings.instance.unit)")
            }
            guard json["read_seconds_ago"]?.int64 != nil else {
                return .unlooked(why: "the daemon here has not read the groups in etcd yet: pharos status")
            }
            return .known(AuditFacts.Daemon(json), source: "/cluster of \(self.settings.member)")
        } catch {
            return .unlooked(
                why:
                    "the daemon here does not answer (\(error.message)): systemctl status \(self.settings.instance.unit)"
            )
        }
    }
}

extension AuditFacts.Configured {
    init(_ settings: Settings) {
        self.init()
        self.addresses = settings.addresses.map { .init(prefix: $0.prefix, interface: $0.interface) }
        self.leaseTTL = settings.lease.ttl.map { Int($0.components.seconds) }
        self.detection = Int(settings.detector.profile.window.components.seconds)
        self.endpoints = settings.etcd.endpoints
        self.hasEtcdUser = settings.etcd.username != nil
        self.hasEtcdClientCertificate = settings.etcd.tls.certFile != nil
        self.unit = settings.instance.unit
    }
}

extension AuditFacts.Daemon {
    /// From what `/cluster` answers.
    init(_ json: JSON) {
        self.init()
        self.isCurrent = json["is_current"]?.bool ?? false
        self.groups = (json["groups"]?.array ?? []).map { json in
            var group = Group()
            group.number = json["group"]?.int64.flatMap { Int(exactly: $0) } ?? 0
            group.leader = json["leader"]?.string
            group.members = (json["members"]?.array ?? []).map { json in
                var member = Member()
                member.name = json["member"]?.string ?? "?"
                member.host = json["endpoint"]?.string.flatMap { NodeEndpoint($0)?.host }
                member.mayLead = json["may_lead"]?.bool ?? true
                member.isRunning = json["is_running"]?.bool ?? false
                member.isSynchronous = json["is_synchronous"]?.bool
                member.verdict = json["verdict"]?.string ?? "unknown"
                member.lag = json["lag_bytes"]?.int64
                member.hasDaemon = json["has_daemon"]?.bool ?? false
                member.version = json["version"]?.string
                return member
            }
            return group
        }
    }
}
