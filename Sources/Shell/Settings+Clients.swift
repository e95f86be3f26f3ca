// SPDX-License-Identifier: Apache-2.0
import Decision
import EtcdClient
import HTTPClient
import LeaseKeys
import NetworkAddress
import Secrets
import Settings
import StatusServer

/// What the clients, the keys and the status are told of the settings.
extension EtcdConfiguration {
    init(_ settings: Settings) {
        self.init(
            endpoints: settings.etcd.endpoints, username: settings.etcd.username,
            password: settings.etcd.password?.reveal(), tls: TLSFiles(settings.etcd.tls),
            requestTimeout: settings.lease.requestTimeout,
            attemptTimeout: Self.attempt(of: settings.lease.requestTimeout))
    }

    /// An attempt at one endpoint: what leaves time for another one within the same request.
    static func attempt(of request: Duration) -> Duration { request * 2 / 5 }
}

extension TLSFiles {
    /// Nil where nothing is said about TLS.
    init?(_ paths: Settings.CertificatePaths) {
        guard paths != Settings.CertificatePaths() else { return nil }
        self.init(authorities: paths.caFile, certificate: paths.certFile, key: paths.keyFile)
    }
}

extension Credentials {
    /// Nil where no user is named.
    init?(_ patroni: Settings.Patroni) {
        guard let user = patroni.username else { return nil }
        self.init(user: user, password: patroni.password?.reveal() ?? "")
    }
}

extension PharosKeys {
    init(_ settings: Settings) {
        self.init(
            root: settings.lease.root, namespace: settings.namespace, scope: settings.scope, group: settings.group)
    }
}

extension GroupKeys.Layout {
    /// The groups and where their keys are. Without Citus the cluster is one group, number 0.
    init(_ settings: Settings) {
        if let citus = settings.citus {
            self = citus.scopes.map { .scopes($0) } ?? .citusMode
        } else {
            self = settings.group == nil ? .scopes([0: settings.scope]) : .citusMode
        }
    }
}

extension GroupKeys {
    init(_ settings: Settings) {
        self.init(namespace: settings.namespace, scope: settings.scope, Layout(settings), own: settings.memberID.group)
    }
}

extension DetectorKeys {
    init(_ settings: Settings) {
        self.init(
            root: settings.lease.root, namespace: settings.namespace, scope: settings.scope, GroupKeys.Layout(settings))
    }
}

extension Settings.Status {
    var endpoints: [StatusEndpoint] {
        let tcp = self.listen.map { StatusEndpoint.tcp(address: $0.address.description, port: $0.port) }
        return [.unix(path: self.socket)] + [tcp].compactMap(\.self)
    }
}
