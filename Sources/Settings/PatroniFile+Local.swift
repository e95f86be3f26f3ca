// SPDX-License-Identifier: Apache-2.0
import Conninfo
import Secrets

/// Patroni's REST API on this node: sections `restapi` and `ctl`.
extension PatroniFile {
    mutating func readREST(_ reader: inout PatroniFileReader) {
        let certificate = reader.value("restapi", "certfile") { $0 }
        let listen = reader.needed("restapi", "listen", for: "patroni.url") { text throws(InvalidValue) in
            try Self.restAddress(text, port: nil)
        }
        if let section = reader.node("restapi"), reader.node("restapi", "listen") == nil {
            reader.refuse(
                "patroni.url", reader.position(section),
                "'restapi.listen' is missing: Patroni itself does not start without it")
        }
        if let listen {
            // A certificate is made out to the address that others connect to. Without one, the address it listens on is best:
            // loopback, where that is included, works with every other network down.
            let connect = reader.value("restapi", "connect_address") { text throws(InvalidValue) in
                try Self.restAddress(text, port: "\(listen.value.port)")
            }
            let address = certificate == nil ? listen : connect ?? listen
            let host = Self.reachable(address.value.host)
            let url = EndpointURL(isTLS: certificate != nil, host: host, port: address.value.port)
            self.settings.patroniURL = Sourced(value: url, position: address.position)
        }
        for section in ["ctl", "restapi"] {
            guard let login = self.restLogin(section, &reader), self.settings.patroni.username == nil else { continue }
            (self.settings.patroni.username, self.settings.patroni.password) = login
        }
        if certificate != nil { self.readRESTFiles(&reader) }
    }

    /// A user and a password, each of which Patroni makes a text of, whatever it is. It does not start with one of them alone.
    private func restLogin(
        _ section: String, _ reader: inout PatroniFileReader
    ) -> (Sourced<String>?, Sourced<Secret>?)? {
        guard let node = reader.node(section, "authentication") else { return nil }
        func text(_ key: String) -> Sourced<String>? {
            guard let node = reader.node(section, "authentication", key), !reader.document.isNull(node),
                let text = reader.document.scalar(node)?.pythonText
            else { return nil }
            return Sourced(value: text, position: reader.position(node))
        }
        guard let user = text("username"), let password = text("password"), !user.value.isEmpty else {
            // Of a password without a value Patroni makes the word None.
            reader.refuse(
                "patroni.username", reader.position(node),
                "'\(section).authentication': expected a 'username' and a 'password': Patroni itself cannot use one without the other"
            )
            return nil
        }
        do throws(InvalidValue) {
            for part in [user, password] where !part.value.isEmpty { try PharosFileReader.checkText(part.value) }
        } catch {
            reader.refuse("patroni.username", reader.position(node), "'\(section).authentication': \(error.message)")
            return nil
        }
        reader.doubtMode(password.position)
        return (user, Sourced(value: Secret(password.value), position: password.position))
    }

    private mutating func readRESTFiles(_ reader: inout PatroniFileReader) {
        if let node = reader.node("ctl", "insecure"), !reader.isFalsy(node) {
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
        if let node = reader.node("ctl", "keyfile_password"), !reader.isFalsy(node) {
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

    private static func restAddress(
        _ text: String, port: String?
    ) throws(InvalidValue) -> (host: String, port: UInt16) {
        let (host, number) = try PatroniAddress.split(text, port: port)
        // Neither is a name, but a way to say every address.
        if host.isEmpty || host == "*" {
            let address = try PatroniAddress.endpoint(isTLS: false, host: "0.0.0.0", port: number, in: text)
            return (address.host, address.port)
        }
        let address = try PatroniAddress.endpoint(isTLS: false, host: host, port: number, in: text)
        return (address.host, address.port)
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
    private static let key = "postgres.conninfo"

    /// A connection over the server's socket where it has one, or over TCP.
    mutating func readPostgres(_ reader: inout PatroniFileReader) {
        for name in ["parameters", "authentication"] {
            guard let node = reader.node("postgresql", name) else { continue }
            if case .mapping = reader.document[node].content { continue }
            if name == "parameters", reader.isFalsy(node) { continue }
            let message = "'postgresql.\(name)': expected a mapping: Patroni itself does not start with it"
            reader.refuse(Self.key, reader.position(node), message)
        }
        guard let node = reader.node("postgresql", "listen") else { return }
        let position = reader.position(node)
        do throws(InvalidValue) {
            let text = try reader.text(node)
            if !text.isEmpty { try PharosFileReader.checkText(text) }
            let (hosts, port) = try PatroniAddress.split(text, port: "5432")
            guard (1...65535).contains(port) else { throw .expected("a port from 1 to 65535", not: text) }
            self.settings.listen = Sourced(
                value: hosts.split(separator: ",").map { trimmed($0) }, position: position)
            self.settings.port = self.clientPort(&reader, listen: port, position)
            let host = try self.socketDirectory(&reader) ?? Self.tcpHost(hosts)
            let place = ConnectionString.pair("host", host)
            let conninfo = "\(place) port=\(port) user=pharos dbname=postgres"
            _ = try ConninfoRules.check(conninfo)
            self.settings.conninfo = Sourced(value: conninfo, position: position)
        } catch {
            reader.refuse(Self.key, position, "'postgresql.listen': \(error.message)")
        }
    }

    /// What clients of the node connect to: where it is told otherwise, as behind a container's published port, Patroni says so to the
    /// other members.
    private func clientPort(_ reader: inout PatroniFileReader, listen: Int, _ position: Position) -> Sourced<UInt16>? {
        let listening = UInt16(exactly: listen).map { Sourced(value: $0, position: position) }
        guard let node = reader.node("postgresql", "connect_address") else { return listening }
        do throws(InvalidValue) {
            let (_, port) = try PatroniAddress.split(try reader.text(node), port: "\(listen)")
            guard let port = UInt16(exactly: port), port > 0 else { return listening }
            return Sourced(value: port, position: reader.position(node))
        } catch {
            // Patroni's own matter: here it only names the port.
            return listening
        }
    }

    /// The first absolute path of `unix_socket_directories`, of this node's parameters, else of those that the cluster was made with, or Debian's default; nil if the server has no socket.
    /// One that is relative is inside of the data directory, where the server runs.
    private mutating func socketDirectory(_ reader: inout PatroniFileReader) throws(InvalidValue) -> String? {
        let local = self.socketDirectories(in: reader.node("postgresql", "parameters"), reader)
        let dynamic = self.socketDirectories(in: reader.node("bootstrap", "dcs", "postgresql", "parameters"), reader)
        guard let node = local ?? dynamic else { return Settings.Postgres.defaultSocketDirectory }
        if local == nil {
            self.settings.conninfoDoubt = Sourced(
                value:
                    "'unix_socket_directories' stands in 'bootstrap.dcs' only, which counts when the cluster is made: it is taken for what the dynamic configuration says now. Compare: patronictl show-config; if it is another, say 'postgres.conninfo' in pharos.yml",
                position: reader.position(node))
        }
        // An empty text means that there is no socket.
        let text: String
        do throws(InvalidValue) { text = try reader.text(node) } catch {
            reader.refuse(Self.key, reader.position(node), "'unix_socket_directories': \(error.message)")
            return nil
        }
        let directories = text.split(separator: ",").map { trimmed($0) }.filter { !$0.isEmpty }
        if let path = directories.first(where: { $0.hasPrefix("/") }) { return path }
        guard let first = directories.first else { return nil }
        let data = reader.value("postgresql", "data_dir", parse: ValueParsers.absolutePath)?.value
        return data.map { first == "." ? $0 : "\($0)/\(first)" }
    }

    private func socketDirectories(in parameters: Int?, _ reader: PatroniFileReader) -> Int? {
        guard let parameters, case .mapping(let pairs) = reader.document[parameters].content else { return nil }
        let node = pairs.last { reader.document.text($0.key)?.lowercased() == "unix_socket_directories" }?.value
        return node.flatMap { reader.document.isNull($0) ? nil : $0 }
    }

    private static func tcpHost(_ listen: String) -> String {
        let hosts = listen.split(separator: ",").map { trimmed($0) }
        let isLocal = hosts.contains { ["*", "0.0.0.0", "127.0.0.1", "localhost", ""].contains($0.lowercased()) }
        guard !isLocal, let first = hosts.first else { return "127.0.0.1" }
        return self.reachable(first)
    }
}
