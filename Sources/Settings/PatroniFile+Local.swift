// SPDX-License-Identifier: Apache-2.0
import Conninfo

/// Patroni's REST API on this node: sections `restapi` and `ctl`.
extension PatroniFile {
    mutating func readREST(_ reader: inout PatroniFileReader) {
        let certificate = reader.value("restapi", "certfile") { $0 }
        let listen = reader.value("restapi", "listen", parse: Self.restAddress)
        let connect = reader.value("restapi", "connect_address", parse: Self.restAddress)
        // A certificate is made out to the address that others connect to. Without one, the address it listens on is best:
        // loopback, where that is included, works with every other network down.
        if let address = certificate == nil ? listen ?? connect : connect ?? listen {
            let (host, port) = (address.value.host, address.value.port ?? 8008)
            let url = EndpointURL(isTLS: certificate != nil, host: Self.reachable(host), port: port)
            self.settings.patroniURL = Sourced(value: url, position: address.position)
        }
        for section in ["ctl", "restapi"] where self.settings.patroni.username == nil {
            (self.settings.patroni.username, self.settings.patroni.password) = reader.login(
                reader.node(section, "authentication", "username"),
                reader.node(section, "authentication", "password"),
                named: "\(section).authentication"
            )
        }
        if certificate != nil { self.readRESTFiles(&reader) }
    }

    private mutating func readRESTFiles(_ reader: inout PatroniFileReader) {
        if let node = reader.node("ctl", "insecure"), reader.document.text(node)?.lowercased() == "true" {
            reader.problems.warning(
                reader.position(node),
                "'ctl.insecure' is passed over: Pharos verifies Patroni's certificate; name its authority with "
                    + "'patroni.ca_file' in pharos.yml"
            )
        }
        self.settings.patroni.caFile =
            reader.value("ctl", "cacert", parse: ValueParsers.absolutePath)
            ?? reader.value("restapi", "cafile", parse: ValueParsers.absolutePath)
        guard let certificate = reader.value("ctl", "certfile", parse: ValueParsers.absolutePath) else { return }
        if let node = reader.node("ctl", "keyfile_password"), !reader.document.isNull(node) {
            reader.problems.warning(
                reader.position(node),
                "'ctl.certfile' is passed over because its key has a passphrase; name a key without one with "
                    + "'patroni.key_file' in pharos.yml"
            )
            return
        }
        self.settings.patroni.certFile = certificate
        self.settings.patroni.keyFile = reader.value("ctl", "keyfile", parse: ValueParsers.absolutePath)
    }

    private static func restAddress(_ text: String) throws(InvalidValue) -> (host: String, port: UInt16?) {
        let text = trimmed(text)
        // '*' is no name, but a way to say every address.
        guard let address = EndpointURL.split(text.hasPrefix("*") ? String(text.dropFirst()) : text) else {
            throw .expected("a host and a port such as 10.0.0.1:8008", not: text)
        }
        return address
    }

    /// Where a server that listens on `host` is reached from this host.
    private static func reachable(_ host: String) -> String {
        switch host {
        case "", "*", "0.0.0.0": "127.0.0.1"
        case "::": "::1"
        default: host  // text, not cases of ours
        }
    }
}

/// The local PostgreSQL: section `postgresql`.
extension PatroniFile {
    /// A connection over the server's socket where it has one, or over TCP.
    mutating func readPostgres(_ reader: inout PatroniFileReader) {
        guard let listen = reader.value("postgresql", "listen", parse: Self.listenAddresses) else { return }
        let host = Self.socketDirectory(&reader) ?? Self.tcpHost(listen.value.hosts)
        let place = ConnectionString.pair("host", host)
        let conninfo = "\(place) port=\(listen.value.port) user=pharos dbname=postgres"
        do throws(InvalidValue) {
            _ = try ConninfoRules.check(conninfo)
        } catch {
            return reader.problems.warning(
                listen.position, "'postgresql.listen' is passed over: \(error.message); set 'conninfo' in 'postgres'")
        }
        self.settings.conninfo = Sourced(value: conninfo, position: listen.position)
    }

    /// Splits `ADDRESS[,ADDRESS…][:PORT]`. The port follows the last colon, unless that one is inside of brackets.
    private static func listenAddresses(_ text: String) throws(InvalidValue) -> (hosts: String, port: UInt16) {
        let text = trimmed(text)
        guard let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") else { return (text, 5432) }
        guard let port = ValueParsers.port(text[colon...].dropFirst()) else {
            throw .expected("addresses and a port such as 0.0.0.0:5432", not: text)
        }
        return (String(text[..<colon]), port)
    }

    /// The first directory of `unix_socket_directories`, or Debian's default; nil if the server has no socket. A relative
    /// one is inside of the data directory, where the server runs.
    private static func socketDirectory(_ reader: inout PatroniFileReader) -> String? {
        guard let node = reader.node("postgresql", "parameters", "unix_socket_directories"),
            case .scalar(let text, _) = reader.document[node].content, !reader.document.isNull(node) || text.isEmpty
        else { return Settings.Postgres.defaultSocketDirectory }
        // An empty text means that there is no socket.
        let directories = text.isEmpty ? nil : reader.value(node, named: "unix_socket_directories") { $0 }?.value
        let first = directories?.split(separator: ",").map { trimmed($0) }.first { !$0.isEmpty }
        guard let first, !first.hasPrefix("/") else { return first }
        let data = reader.value("postgresql", "data_dir", parse: ValueParsers.absolutePath)?.value
        return data.map { first == "." ? $0 : "\($0)/\(first)" }
    }

    private static func tcpHost(_ listen: String) -> String {
        let hosts = listen.split(separator: ",").map { host in
            let host = trimmed(host)
            return host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        }
        let isLocal = hosts.contains { ["*", "0.0.0.0", "127.0.0.1", "localhost", ""].contains($0) }
        guard !isLocal, let first = hosts.first else { return "127.0.0.1" }
        return self.reachable(first)
    }
}
