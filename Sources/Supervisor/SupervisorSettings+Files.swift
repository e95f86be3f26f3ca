// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import HTTPClient
import NetworkAddress
import Secrets
public import Settings
import StatusServer

extension SupervisorSettings {
    /// What the configuration files say, in the terms of the parts that use it.
    public init(_ settings: Settings) {
        var ttl: Duration?
        if case .fixed(let seconds) = settings.lease.ttl { ttl = .seconds(seconds) }
        var endpoints: [StatusEndpoint] = [.unix(path: settings.status.socket)]
        if let listen = settings.status.listen {
            endpoints.append(.tcp(address: listen.address.description, port: listen.port))
        }
        self.init(
            scope: settings.scope, member: settings.member, namespace: settings.namespace, group: settings.group,
            addresses: settings.addresses.map {
                Address(
                    prefix: $0.prefix, interface: $0.interface, acquire: AcquirePolicy($0.acquire), label: $0.label)
            },
            leaseTTL: ttl, margin: settings.lease.margin, clockDrift: settings.lease.clockDrift,
            root: settings.lease.root,
            etcd: EtcdConfiguration(
                endpoints: settings.etcd.endpoints, username: settings.etcd.username,
                password: settings.etcd.password?.reveal(), tls: TLSFiles(settings.etcd.tls),
                requestTimeout: Self.requestTimeout(ttl), attemptTimeout: Self.requestTimeout(ttl) * 2 / 5),
            patroniURL: settings.patroni.url, patroniTLS: TLSFiles(settings.patroni.tls),
            patroniCredentials: settings.patroni.username.map {
                Credentials(user: $0, password: settings.patroni.password?.reveal() ?? "")
            },
            conninfo: settings.postgres.conninfo, status: endpoints, citus: settings.citus.map { Citus($0) },
            detector: Detector(
                profile: settings.detector.profile, lagLimit: settings.detector.lagLimit,
                onGrayFailure: settings.detector.onGrayFailure,
                nodeConninfo: settings.detector.nodeConninfo),
            alert: settings.alert.map {
                Alert(command: $0.command, timeout: $0.timeout, priority: LogPriority($0.priority))
            })
    }

    /// A quarter of the lease, at most 5 s: a renewal that fails can be repeated twice before the address lapses.
    private static func requestTimeout(_ ttl: Duration?) -> Duration { min((ttl ?? .seconds(20)) / 4, .seconds(5)) }
}

extension SupervisorSettings.Citus {
    fileprivate init(_ citus: Settings.Citus) {
        let mode: CitusMode =
            switch citus.mode {
            case .own: .own
            case .reconcile: .reconcile
            case .observe: .observe
            }
        let admission: GroupAdmission =
            switch citus.addGroups {
            case .never: .never
            case .ask: .ask
            case .auto: .auto
            }
        self.init(
            scopes: citus.scopes, nodeConninfo: citus.nodeConninfo,
            core: CitusSettings(
                group: citus.group, databases: citus.databases, mode: mode, settle: citus.settle,
                registersSecondaries: citus.secondaries == .register, admission: admission, poolInfo: citus.poolInfo))
    }
}

extension AcquirePolicy {
    fileprivate init(_ acquire: Settings.Acquire) {
        switch acquire {
        case .writable: self = .writable
        case .leaderKey: self = .leaderKey
        }
    }
}

extension TLSFiles {
    fileprivate init?(_ files: Settings.TLSFiles) {
        guard files != Settings.TLSFiles() else { return nil }
        self.init(authorities: files.caFile, certificate: files.certFile, key: files.keyFile)
    }
}

extension LogPriority {
    fileprivate init(_ priority: Settings.Alert.Priority) {
        switch priority {
        case .critical: self = .critical
        case .error: self = .error
        case .warning: self = .warning
        case .notice: self = .notice
        }
    }
}
