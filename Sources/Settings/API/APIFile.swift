// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// What api.yml says, as a walk over it has found it. Everything wrong is in the reader's problems.
struct APIFile {
    static let top = Schema.Section(
        name: "", keys: ["listen", "socket", "daemon_socket", "tls", "access"],
        refused: ["tokens": "tokens do not belong in this file: `pharos token add NAME --role look` makes one"])
    static let tls = Schema.Section(name: "tls", keys: ["cert_file", "key_file", "client_ca_file"])
    static let access = Schema.Section(
        name: "access", keys: ["tokens_file", "certificates", "open"],
        refused: ["tokens": "tokens do not belong in this file: `pharos token add NAME --role look` makes one"])
    static let certificate = Schema.Section(name: "certificates", keys: ["name", "role"])
    static let sections = [top, tls, access, certificate]

    private let start: Position
    private var listen: [Sourced<ListenAddress>] = []
    private var socket: Sourced<String>?
    private var daemonSocket: Sourced<String>?
    private var hasTLS = false
    private var certificate: Sourced<String>?
    private var key: Sourced<String>?
    private var clientAuthorities: Sourced<String>?
    private var tokens: Sourced<String>?
    private var certificates: [APISettings.CertificateName] = []
    private var certificatesPosition: Position?
    private var open: Set<APISettings.OpenPath>?

    /// Nil if the file is no mapping at all, which has been reported.
    init?(_ reader: inout PharosFileReader) {
        guard let root = reader.document.root, !reader.document.isNull(root) else {
            reader.problems.error(
                Position(file: reader.file, mark: .start),
                "the file is empty; expected at least one key, such as 'listen: [\"127.0.0.1:8010\"]'")
            return nil
        }
        self.start = reader.position(root)
        guard let top = reader.fields(root, Self.top) else { return nil }
        self.readPlaces(top, &reader)
        if let node = top.values["tls"], let fields = reader.fields(node, Self.tls) { self.readTLS(fields, &reader) }
        if let node = top.values["access"], let fields = reader.fields(node, Self.access) {
            self.readAccess(fields, &reader)
        }
    }

    private mutating func readPlaces(_ top: SectionKeys, _ reader: inout PharosFileReader) {
        if let node = top.values["listen"] {
            for item in reader.items(node, "listen", of: "addresses", limit: APISettings.listenLimit) {
                let known = self.listen.map(\.value)
                let read = reader.value(item, named: "'listen'") { text throws(InvalidValue) in
                    let address = try ValueParsers.listenAddress(text)
                    guard !known.contains(address) else { throw InvalidValue("\(address) is given twice") }
                    return address
                }
                if let read { self.listen.append(read) }
            }
        }
        self.socket = reader.value(top, "socket", ValueParsers.socketPath)
        self.daemonSocket = reader.value(top, "daemon_socket", ValueParsers.socketPath)
    }

    private mutating func readTLS(_ fields: SectionKeys, _ reader: inout PharosFileReader) {
        self.hasTLS = true
        self.certificate = reader.value(fields, "cert_file", ValueParsers.absolutePath)
        self.key = reader.value(fields, "key_file", ValueParsers.absolutePath)
        self.clientAuthorities = reader.value(fields, "client_ca_file", ValueParsers.absolutePath)
        let place = Position(file: reader.file, mark: fields.mark)
        for key in ["cert_file", "key_file"] where !fields.keys.contains(key) {
            reader.problems.error(place, "'\(key)' is missing in 'tls'; expected the absolute path of a PEM file")
        }
    }

    private mutating func readAccess(_ fields: SectionKeys, _ reader: inout PharosFileReader) {
        self.tokens = reader.value(fields, "tokens_file", ValueParsers.absolutePath)
        if let node = fields.values["certificates"] {
            self.certificatesPosition = reader.position(node)
            let limit = APISettings.certificateLimit
            for item in reader.items(node, "certificates", of: "names with roles", limit: limit) {
                guard let keys = reader.fields(item, Self.certificate) else { continue }
                self.readCertificate(keys, &reader)
            }
        }
        guard let node = fields.values["open"] else { return }
        // None at all is a choice, unlike elsewhere.
        if case .sequence(let items) = reader.document[node].content, items.isEmpty {
            self.open = []
            return
        }
        let items = reader.items(node, "open", of: "paths", limit: APISettings.OpenPath.allCases.count)
        self.open = Set(
            items.compactMap { item in
                reader.value(item, named: "'open' in 'access'") { text throws(InvalidValue) -> APISettings.OpenPath in
                    try ValueParsers.choice(text)
                }?.value
            })
    }

    private mutating func readCertificate(_ keys: SectionKeys, _ reader: inout PharosFileReader) {
        for key in ["name", "role"] where !keys.keys.contains(key) {
            reader.problems.error(
                Position(file: reader.file, mark: keys.mark), "'\(key)' is missing in 'certificates'")
        }
        let known = self.certificates.map(\.name)
        let name = reader.value(keys, "name") { text throws(InvalidValue) in
            guard text.utf8.count <= 64, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                throw .expected("a certificate's common name: at most 64 characters of ASCII, no blanks", not: text)
            }
            guard !known.contains(text) else { throw InvalidValue("the name \(quoted(text)) is given twice") }
            return text
        }
        let role = reader.value(keys, "role") { text throws(InvalidValue) -> AccessRole in
            try ValueParsers.choice(text)
        }
        if let name, let role { self.certificates.append(.init(name: name.value, role: role.value)) }
    }

    // MARK: - What must fit together

    func settings(
        _ instance: APIInstance, _ environment: SettingsEnvironment, _ problems: inout DiagnosticList
    ) -> APISettings {
        var settings = APISettings(
            socket: self.socket?.value ?? instance.socket,
            daemonSocket: self.daemonSocket?.value ?? instance.daemon.socket)
        settings.listen = self.listen.map(\.value)
        settings.tokens = self.tokens?.value
        settings.certificates = self.certificates
        if let open = self.open { settings.open = open }
        if let certificate = self.certificate, let key = self.key {
            settings.tls = APISettings.TLS(
                certificate: certificate.value, key: key.value, clientAuthorities: self.clientAuthorities?.value)
        }
        self.checkExposure(&problems)
        self.checkCertificates(&problems)
        if settings.socket == settings.daemonSocket {
            problems.error(
                (self.socket ?? self.daemonSocket)?.position ?? self.start,
                "'socket' is the API's own and 'daemon_socket' the daemon's: they cannot be the same")
        }
        let files = CredentialFiles(environment: environment)
        var pem = PartialCredentials()
        (pem.certFile, pem.keyFile, pem.caFile) = (self.certificate, self.key, self.clientAuthorities)
        files.check(pem, &problems)
        if let tokens = self.tokens { files.checkSecret(tokens, &problems) }
        return settings
    }

    /// Whoever can be reached from other hosts must know whom it speaks to, and must not be overheard.
    private func checkExposure(_ problems: inout DiagnosticList) {
        for address in self.listen where address.value.address.category != .loopback {
            let place = "'listen': \(address.value) can be reached from other hosts"
            let way = "or listen on 127.0.0.1 or [::1] alone"
            if !self.hasTLS {
                problems.error(address.position, "\(place): that needs 'tls' with cert_file and key_file; \(way)")
            }
            guard self.tokens == nil, self.certificates.isEmpty else { continue }
            problems.error(
                address.position,
                "\(place): that needs 'tokens_file' in 'access' (pharos token add), or 'certificates' there with 'client_ca_file' in 'tls'; \(way)"
            )
        }
        if self.hasTLS, self.listen.isEmpty {
            problems.warning(self.start, "'tls' has no effect without 'listen': a unix socket has none")
        }
    }

    private func checkCertificates(_ problems: inout DiagnosticList) {
        if let place = self.certificatesPosition, self.clientAuthorities == nil {
            problems.error(
                place,
                "'certificates' in 'access' needs 'client_ca_file' in 'tls': whoever has not signed a name proves nothing"
            )
        }
        if let authorities = self.clientAuthorities, self.certificates.isEmpty, self.certificatesPosition == nil {
            problems.error(
                authorities.position,
                "'client_ca_file' in 'tls' needs 'certificates' in 'access': names without roles may nothing")
        }
    }
}
