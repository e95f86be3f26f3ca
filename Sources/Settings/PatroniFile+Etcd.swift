// SPDX-License-Identifier: Apache-2.0
import Secrets

/// The section `etcd3`. As for Patroni, `proxy` comes before `srv`, `url` before `hosts`, and `hosts` before `host`; what these
/// three name counts where the SRV records name nothing.
extension PatroniFile {
    private static let key = "etcd.endpoints"

    /// Why the endpoints cannot be used, and where that stands.
    private struct Refusal: Error {
        var node: Int
        var name: String
        var reason: InvalidValue
    }

    mutating func readEtcd(_ reader: inout PatroniFileReader) {
        guard let section = reader.node("etcd3") else { return }
        do throws(Refusal) {
            let endpoints = try self.endpoints(section, &reader)
            if let endpoints {
                let value = Array(endpoints.value.prefix(Settings.endpointLimit))
                if value.count < endpoints.value.count {
                    let message = "'etcd3.hosts': only the first \(Settings.endpointLimit) are used"
                    reader.problems.warning(endpoints.position, message)
                }
                self.settings.etcdEndpoints = Sourced(value: value, position: endpoints.position)
            }
        } catch {
            let message = "'\(error.name)': \(error.reason.message)"
            reader.refuse(Self.key, reader.position(error.node), message)
        }
        self.readDiscovery(&reader)
        // Proxies tell of themselves. As for Patroni whatever Python takes for true is a yes.
        if let node = reader.node("etcd3", "proxy") ?? reader.node("etcd3", "use_proxies"), !reader.isFalsy(node) {
            self.settings.etcdMembers = Sourced(value: .ignore, position: reader.position(node))
        }
        self.readEtcdFiles(&reader)
    }

    private mutating func endpoints(
        _ section: Int, _ reader: inout PatroniFileReader
    ) throws(Refusal) -> Sourced<[EndpointURL]>? {
        guard case .mapping = reader.document[section].content else {
            // Nothing else would stand in its place: Patroni takes `etcd3: ''` for an empty section.
            let reason = InvalidValue.patroniRefuses("expected a mapping with 'hosts'")
            throw Refusal(node: section, name: "etcd3", reason: reason)
        }
        let proxy = reader.node("etcd3", "proxy")
        let hosts = reader.node("etcd3", "hosts")
        if let node = proxy ?? reader.node("etcd3", "url"), case .text(let text)? = reader.document.scalar(node) {
            let name = proxy == nil ? "etcd3.url" : "etcd3.proxy"
            if proxy == nil, let hosts, !reader.isFalsy(hosts) { return try self.bare(hosts, url: text, &reader) }
            let url = try Self.checked(node, name) { () throws(InvalidValue) in
                try PatroniAddress.URL(text, defaultPort: 2379)
            }
            let endpoint = try Self.checked(node, name) { () throws(InvalidValue) in
                try PatroniAddress.endpoint(isTLS: url.isTLS, host: url.host, port: url.port, in: text)
            }
            self.takeLogin(of: url, at: node, &reader)
            return Sourced(value: [endpoint], position: reader.position(node))
        }
        if let proxy {
            let reason = InvalidValue.patroniRefuses(
                "expected a URL such as http://10.0.0.1:2379; leave the key out if there is none")
            throw Refusal(node: proxy, name: "etcd3.proxy", reason: reason)
        }
        self.readLogin(&reader)
        if let hosts { return try Self.hosts(hosts, &reader) }
        if let host = reader.node("etcd3", "host") { return try Self.host(host, &reader) }
        return nil
    }

    private static func checked<Value>(
        _ node: Int, _ name: String, _ body: () throws(InvalidValue) -> Value
    ) throws(Refusal) -> Value {
        do throws(InvalidValue) { return try body() } catch { throw Refusal(node: node, name: name, reason: error) }
    }

    /// `hosts` beside `url`: Patroni asks them as they stand, and takes the login from the URL.
    private mutating func bare(
        _ hosts: Int, url text: String, _ reader: inout PatroniFileReader
    ) throws(Refusal) -> Sourced<[EndpointURL]> {
        // Only its login counts, and only if it is a URL.
        if let node = reader.node("etcd3", "url"), !text.isEmpty {
            let url = try Self.checked(node, "etcd3.url") { () throws(InvalidValue) in
                try PatroniAddress.URL(text, defaultPort: 2379)
            }
            self.takeLogin(of: url, at: node, &reader)
        } else {
            self.warnOfUnusedLogin(&reader)
        }
        guard case .sequence(let items) = reader.document[hosts].content else {
            let reason = InvalidValue.patroniRefuses("expected a list beside 'url', not one text; take the 'url' out")
            throw Refusal(node: hosts, name: "etcd3.hosts", reason: reason)
        }
        var endpoints: [EndpointURL] = []
        for item in items {
            guard case .text(let text)? = reader.document.scalar(item), !text.isEmpty else { continue }
            let endpoint = try Self.checked(item, "etcd3.hosts") { () throws(InvalidValue) in
                let url = try PatroniAddress.URL(text.contains("://") ? text : "http://" + text, defaultPort: 80)
                return try PatroniAddress.endpoint(isTLS: url.isTLS, host: url.host, port: url.port, in: text)
            }
            if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        }
        return try Self.some(endpoints, hosts, &reader)
    }

    /// `hosts`: a list, or a text with commas. Patroni refuses all of them if one is wrong.
    private static func hosts(_ node: Int, _ reader: inout PatroniFileReader) throws(Refusal) -> Sourced<[EndpointURL]>
    {
        let name = "etcd3.hosts"
        var hosts: [(text: String, node: Int)] = []
        switch reader.document[node].content {
        case .sequence(let items):
            for item in items {
                guard case .text(let text)? = reader.document.scalar(item) else {
                    let message =
                        "'\(name)': passed over, as by Patroni: expected a text such as 10.0.0.1:2379; put it in quotes"
                    reader.problems.warning(reader.position(item), message)
                    continue
                }
                hosts.append((text, item))
            }
        case .mapping(let pairs):
            // Python goes through the keys.
            hosts = pairs.compactMap { pair in reader.document.text(pair.key).map { ($0, pair.key) } }
        case .scalar:
            let text = try self.checked(node, name) { () throws(InvalidValue) in try reader.text(node) }
            hosts = text.split(separator: ",").map { (String($0), node) }
        }
        let port = reader.node("etcd3", "port").map { reader.document.scalar($0)?.pythonText ?? "" } ?? "2379"
        var isTLS: Bool?
        if let node = reader.node("etcd3", "protocol") {
            isTLS = try self.checked(node, "etcd3.protocol") { () throws(InvalidValue) in
                try self.isTLS(try reader.text(node))
            }
        }
        var endpoints: [EndpointURL] = []
        for (text, item) in hosts {
            let text = trimmed(text)
            // Patroni passes over it, as nobody can be reached there.
            if text.isEmpty { continue }
            let endpoint = try self.checked(item, name) { () throws(InvalidValue) in
                try PharosFileReader.checkText(text)
                let (host, port) = try PatroniAddress.split(text, port: port)
                return try PatroniAddress.endpoint(isTLS: isTLS ?? false, host: host, port: port, in: text)
            }
            if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        }
        return try self.some(endpoints, node, &reader)
    }

    private static func some(
        _ endpoints: [EndpointURL], _ node: Int, _ reader: inout PatroniFileReader
    ) throws(Refusal) -> Sourced<[EndpointURL]> {
        guard !endpoints.isEmpty else {
            let reason = InvalidValue.patroniRefuses(
                "expected hosts and ports such as 10.0.0.1:2379, and there are none")
            throw Refusal(node: node, name: "etcd3.hosts", reason: reason)
        }
        return Sourced(value: endpoints, position: reader.position(node))
    }

    /// `host`, whose port `port` replaces.
    private static func host(_ node: Int, _ reader: inout PatroniFileReader) throws(Refusal) -> Sourced<[EndpointURL]> {
        let name = "etcd3.host"
        let text = try self.checked(node, name) { () throws(InvalidValue) in try reader.text(node) }
        var (host, port) = try self.checked(node, name) { () throws(InvalidValue) in
            try PharosFileReader.checkText(text)
            return try PatroniAddress.split(text, port: "2379")
        }
        if let node = reader.node("etcd3", "port") {
            guard case .integer(let digits)? = reader.document.scalar(node), let number = Int(digits) else {
                let reason = InvalidValue.patroniRefuses("expected a number, without quotes, beside 'host'")
                throw Refusal(node: node, name: "etcd3.port", reason: reason)
            }
            port = number
        }
        var isTLS = false
        if let node = reader.node("etcd3", "protocol"), !reader.isFalsy(node) {
            isTLS = try self.checked(node, "etcd3.protocol") { () throws(InvalidValue) in
                try self.isTLS(try reader.text(node))
            }
        }
        let endpoint = try self.checked(node, name) { () throws(InvalidValue) in
            try PatroniAddress.endpoint(isTLS: isTLS, host: host, port: port, in: text)
        }
        return Sourced(value: [endpoint], position: reader.position(node))
    }

    private static func isTLS(_ text: String) throws(InvalidValue) -> Bool {
        switch text.lowercased() {
        case "http": return false
        case "https": return true
        default: throw .patroniRefuses("expected http or https", text)  // text, not cases of ours
        }
    }
}

/// How Patroni proves to etcd who it is.
extension PatroniFile {
    /// Beside `url` the login is the URL's, or none.
    private mutating func takeLogin(of url: PatroniAddress.URL, at node: Int, _ reader: inout PatroniFileReader) {
        self.warnOfUnusedLogin(&reader)
        guard let username = url.username, let password = url.password, !username.isEmpty, !password.isEmpty else {
            return
        }
        let position = reader.position(node)
        self.settings.etcd.username = Sourced(value: username, position: position)
        self.settings.etcd.password = Sourced(value: Secret(password), position: position)
        reader.doubtMode(position)
    }

    private func warnOfUnusedLogin(_ reader: inout PatroniFileReader) {
        guard let node = reader.node("etcd3", "password"), !reader.isFalsy(node) else { return }
        reader.problems.warning(
            reader.position(node),
            "'etcd3.password' is passed over, as by Patroni: beside 'url' the login stands in the URL")
    }

    private mutating func readLogin(_ reader: inout PatroniFileReader) {
        // Patroni would send etcd a number, which etcd does not take.
        for name in ["username", "password"] {
            guard let node = reader.node("etcd3", name), !reader.isFalsy(node) else { continue }
            let text: Sourced<String>? = reader.needed("etcd3", name, for: "etcd.username") { $0 }
            if name == "username" { self.settings.etcd.username = text }
            guard let text, name == "password" else { continue }
            self.settings.etcd.password = Sourced(value: Secret(text.value), position: text.position)
        }
        if let password = self.settings.etcd.password { reader.doubtMode(password.position) }
    }

    private mutating func readEtcdFiles(_ reader: inout PatroniFileReader) {
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
        let keys = ["srv_domain", "discovery_srv", "srv"]
        guard let key = keys.first(where: { reader.node("etcd3", $0) != nil }),
            let domain = reader.value("etcd3", key, parse: Self.domain)
        else { return }
        // An empty one is none, as for Patroni.
        let suffix = reader.value("etcd3", "srv_suffix", parse: Self.domain)?.value
        self.settings.etcdDiscovery = Sourced(
            value: .init(domain: domain.value, suffix: suffix), position: domain.position)
    }

    private static func domain(_ text: String) throws(InvalidValue) -> String {
        guard let (host, port) = EndpointURL.split(text), !host.isEmpty, port == nil else {
            throw .expected("a domain such as example.org", not: text)
        }
        return host
    }
}
