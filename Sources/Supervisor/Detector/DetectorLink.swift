// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import EventLoop
import HTTPClient

/// Carries the failure detector's actions out, each probe answered by one event.
@EventLoop
final class DetectorLink {
    private let conninfo: String
    private let probe: MemberProbe
    private let nodes: NodeConnections
    private let observation: LeasedKey?
    private let deliver: @EventLoop (DetectorEvent) -> Void

    init(
        _ etcd: EtcdClient, _ settings: SupervisorSettings, _ keys: ObservationKeys, http: HTTPClient,
        report: @escaping @EventLoop (LogRecord) -> Void, deliver: @escaping @EventLoop (DetectorEvent) -> Void
    ) {
        self.conninfo = settings.conninfo
        self.nodes = NodeConnections(
            conninfo: settings.detector.nodeConninfo, database: settings.citus?.databases.first ?? "postgres")
        self.probe = MemberProbe(http: http, tls: settings.patroniTLS, nodes: self.nodes, report: report)
        self.observation = keys.key(of: settings.memberID).map { LeasedKey(etcd, $0) }
        self.deliver = deliver
    }

    func stop() {
        self.nodes.stop()
        self.observation?.stop()
    }

    func carryOut(_ action: DetectorAction) {
        let now = Instant.now
        switch action {
        case .probe(let id, let api, let endpoint, let timeout):
            self.answer {
                .probed(
                    id, await self.probe.ask(id, api: api, endpoint: endpoint, timeout: timeout), askedAt: now)
            }
        case .askWALReceiver(let timeout):
            self.answer {
                .walReceiver(
                    await WALReceiverProbe.ask(conninfo: self.conninfo, timeout: timeout), askedAt: now)
            }
        case .publish(let observation, let ttl):
            self.observation?.set(ObservationKeys.value(of: observation), ttl: ttl)
        case .readGroups: break  // The supervisor's: Citus follows the groups too.
        }
    }

    private func answer(with event: @escaping @EventLoop () async -> DetectorEvent) {
        EventLoop.spawn { self.deliver(await event()) }
    }
}
