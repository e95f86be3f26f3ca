// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

extension Settings.Etcd {
    /// The name of the host that is the one endpoint, which may stand for several servers; nil where there are more, where an
    /// address says which server is meant, and with TLS, where certificates are for the name. As for Patroni.
    public var soleName: (host: String, port: UInt16)? {
        guard self.discovery == nil, self.members == .learn, self.endpoints.count == 1 else { return nil }
        do throws(InvalidValue) {
            let url = try EndpointURL(self.endpoints[0], defaultPort: 2379)
            guard !url.isTLS, IPAddress(url.host) == nil, !LoopbackName.contains(url.host) else { return nil }
            return (url.host, url.port)
        } catch {
            return nil
        }
    }
}
