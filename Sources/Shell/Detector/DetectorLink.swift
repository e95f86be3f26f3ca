// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EtcdValues
import EventLoop
import HTTPClient
import Journal
import PatroniClient
import PatroniValues
import Settings

/// Carries the failure detector's actions out, each probe answered by one event.
@EventLoop
final class DetectorLink {
    private let conninfo: String
    private let probe: MemberProbe
    private let nodes: NodeConnections
    private let observation: LeasedKey?
    private let switchover: SwitchoverCall
    private let etcdHealth: EtcdHealthProbe
    private let deliver: @EventLoop (DetectorEvent) -> Void

    init(
        _ etcd: EtcdClient, _ settings: Settings, _ keys: DetectorKeys, patroni: PatroniClient,
        http: HTTPClient, resolver: HostResolver,
        report: @escaping @EventLoop (LogRecord) -> Void, deliver: @escaping @EventLoop (DetectorEvent) -> Void
    ) {
        self.conninfo = settings.postgres.conninfo
        self.nodes = NodeConnections(
            conninfo: settings.detector.nodeConninfo, database: settings.citus?.core.databases.first ?? "postgres",
            resolver: resolver)
        self.probe = MemberProbe(http: http, tls: TLSFiles(settings.patroni.tls), nodes: self.nodes, report: report)
        self.observation = keys.observation(of: settings.memberID).map { LeasedKey(etcd, $0) }
        self.switchover = SwitchoverCall(
            etcd, keys, PatroniKeys(namespace: settings.namespace, scope: settings.scope, group: settings.group),
            patroni,
            member: settings.member)
        self.etcdHealth = EtcdHealthProbe(
            http: http,
            endpoints: {
                etcd.endpointStates.filter { !$0.isForeign }.map { (url: $0.url, isConfigured: $0.isConfigured) }
            },
            tls: TLSFiles(settings.etcd.tls))
        self.deliver = deliver
    }

    func stop() {
        self.nodes.stop()
        self.observation?.stop()
    }

    /// The same, and others do not hear of this daemon any more.
    func withdraw() async {
        self.nodes.stop()
        await self.observation?.withdraw()
    }

    func carryOut(_ action: DetectorAction) {
        let now = Instant.now
        switch action {
        case .probe(let id, let api, let endpoint, let timeout):
            self.answer {
                let findings = await self.probe.ask(id, api: api, endpoint: endpoint, timeout: timeout)
                return findings.map { .probed(id, $0, askedAt: now) } ?? .notProbed(id)
            }
        case .askWALReceiver(let timeout):
            self.answer {
                .walReceiver(
                    await WALReceiverProbe.ask(
                        conninfo: self.conninfo, resolver: self.nodes.resolver, timeout: timeout), askedAt: now)
            }
        case .probeEtcd(let timeout): self.answer { .etcdProbed(await self.etcdHealth.ask(timeout: timeout)) }
        case .publish(let observation, let ttl):
            self.observation?.set(DetectorKeys.value(of: observation), ttl: ttl)
        case .switchOver(let order):
            self.answer { .switchoverEnded(order, await self.switchover.carryOut(order)) }
        }
    }

    private func answer(with event: @escaping @EventLoop () async -> DetectorEvent) {
        EventLoop.spawn { self.deliver(await event()) }
    }
}
