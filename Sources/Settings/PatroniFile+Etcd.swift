// SPDX-License-Identifier: Apache-2.0
import Secrets

/// The section `etcd3`. As for Patroni, `proxy` comes before `srv`, `url` before `hosts`, and `hosts` before `host`; what these
/// three name counts where the SRV records name nothing.
extension PatroniFile {
    mutating func readEtcd(_ reader: inout PatroniFileReader) {
        let isTLS = reader.value("etcd3", "protocol") { $0.lowercased() == "https" }?.value ?? false
        let port = reader.value("etcd3", "port", parse: Self.port)?.value ?? 2379
        if let node = reader.node("etcd3", "proxy") ?? reader.node("etcd3", "url") {
            self.readURL(node, &reader)
        } else if let node = reader.node("etcd3", "hosts") {
            self.readHosts(node, isTLS: isTLS, defaultPort: port, &reader)
        } else if let node = reader.node("etcd3", "host") {
            let endpoint = reader.value(node, named: "etcd3.host") { text throws(InvalidValue) in
                try Self.endpoint(text, isTLS: isTLS, defaultPort: port)
            }
            self.settings.etcdEndpoints = endpoint.map { Sourced(value: [$0.value], position: $0.position) }
        }
        self.readDiscovery(&reader)
        if let proxy = reader.node("etcd3", "proxy"), !reader.document.isNull(proxy) {
            self.settings.etcdMembers = Sourced(value: .ignore, position: reader.position(proxy))
        } else {
            self.settings.etcdMembers = reader.value("etcd3", "use_proxies") {
                ["false", "no", "off", "0", "~"].contains($0.lowercased()) ? .learn : .ignore
            }
        }
        if self.settings.etcd.username == nil {
            (self.settings.etcd.username, self.settings.etcd.password) = reader.login(
                reader.node("etcd3", "username"),
                reader.node("etcd3", "password"),
                named: "etcd3"
            )
        }
        // Patroni does not look at certificates without https either.
        let usesTLS = self.settings.etcdEndpoints?.value.contains(where: \.isTLS) ?? true
        guard usesTLS || self.settings.etcdDiscovery != nil else { return }
        self.settings.etcd.caFile = reader.value("etcd3", "cacert", parse: ValueParsers.absolutePath)
        self.settings.etcd.certFile = reader.value("etcd3", "cert", parse: ValueParsers.absolutePath)
        guard self.settings.etcd.certFile != nil else { return }
        self.settings.etcd.keyFile = reader.value("etcd3", "key", parse: ValueParsers.absolutePath)
    }

    /// `srv`, which has two more names; the last of them counts, as for Patroni.
    private mutating func readDiscovery(_ reader: inout PatroniFileReader) {
        if let proxy = reader.node("etcd3", "proxy"), !reader.document.isNull(proxy) { return }
        let nodes = ["srv_domain", "discovery_srv", "srv"].compactMap { key in
            reader.node("etcd3", key).map { (key, $0) }
        }
        guard let (key, node) = nodes.first,
            let domain = reader.value(node, named: "etcd3.\(key)", parse: Self.domain)
        else { return }
        // An empty one is none, as for Patroni.
        let suffixNode = reader.node("etcd3", "srv_suffix").flatMap { reader.document.text($0) == "" ? nil : $0 }
        let suffix = suffixNode.flatMap { reader.value($0, named: "etcd3.srv_suffix", parse: Self.domain)?.value }
        self.settings.etcdDiscovery = Sourced(
            value: .init(domain: domain.value, suffix: suffix), position: domain.position)
    }

    private static func domain(_ text: String) throws(InvalidValue) -> String {
        guard let (host, port) = EndpointURL.split(text), !host.isEmpty, port == nil else {
            throw .expected("a domain such as example.org", not: text)
        }
        return host
    }

    /// `url` may hold a user and a password, for Patroni too.
    private mutating func readURL(_ node: Int, _ reader: inout PatroniFileReader) {
        var login: Substring?
        let endpoint = reader.value(node, named: "etcd3.url") { text throws(InvalidValue) in
            guard let at = text.lastIndex(of: "@") else { return try EndpointURL(text, defaultPort: 2379) }
            let scheme = String(text.prefix { $0 != "/" }) + "//"
            guard text.hasPrefix(scheme), text[..<at].count >= scheme.count else {
                return try EndpointURL(text, defaultPort: 2379)
            }
            login = text[..<at].dropFirst(scheme.count)
            return try EndpointURL(scheme + text[at...].dropFirst(), defaultPort: 2379)
        }
        guard let endpoint else { return }
        self.settings.etcdEndpoints = Sourced(value: [endpoint.value], position: endpoint.position)
        guard let login, let colon = login.firstIndex(of: ":") else { return }
        self.settings.etcd.username = Sourced(value: String(login[..<colon]), position: endpoint.position)
        let password = Secret(String(login[colon...].dropFirst()))
        self.settings.etcd.password = Sourced(value: password, position: endpoint.position)
        reader.doubtMode(endpoint.position)
    }

    /// `hosts`: a list, or a text with commas.
    private mutating func readHosts(_ node: Int, isTLS: Bool, defaultPort: UInt16, _ reader: inout PatroniFileReader) {
        var hosts: [(text: String, node: Int)] = []
        if case .sequence(let items) = reader.document[node].content {
            hosts = items.compactMap { item in reader.document.text(item).map { ($0, item) } }
        } else if let text = reader.document.text(node) {
            hosts = text.split(separator: ",").map { (String($0), node) }
        }
        var endpoints: [EndpointURL] = []
        for (text, item) in hosts.prefix(Settings.endpointLimit) {
            do throws(InvalidValue) {
                let endpoint = try Self.endpoint(text, isTLS: isTLS, defaultPort: defaultPort)
                if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
            } catch {
                reader.problems.warning(reader.position(item), "'etcd3.hosts': passed over: \(error.message)")
            }
        }
        if hosts.count > Settings.endpointLimit {
            let message = "'etcd3.hosts': only the first \(Settings.endpointLimit) are used"
            reader.problems.warning(reader.position(node), message)
        }
        guard !endpoints.isEmpty else { return }
        self.settings.etcdEndpoints = Sourced(value: endpoints, position: reader.position(node))
    }

    /// One `HOST[:PORT]`; a whole URL is understood too.
    private static func endpoint(_ text: String, isTLS: Bool, defaultPort: UInt16) throws(InvalidValue) -> EndpointURL {
        let text = trimmed(text)
        if text.utf8.contains(UInt8(ascii: "/")) { return try EndpointURL(text, defaultPort: defaultPort) }
        guard let (host, port) = EndpointURL.split(text), !host.isEmpty else {
            throw .expected("a host and a port such as 10.0.0.1:2379", not: text)
        }
        return EndpointURL(isTLS: isTLS, host: host, port: port ?? defaultPort)
    }

    private static func port(_ text: String) throws(InvalidValue) -> UInt16 {
        guard let port = ValueParsers.port(text) else { throw .expected("a port", not: text) }
        return port
    }
}
