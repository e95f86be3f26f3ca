// SPDX-License-Identifier: Apache-2.0

/// What pharos.yml says, as a walk over it has found it. Everything wrong is in the reader's problems.
struct PharosFile {
    /// The file's beginning: the place to blame for what is missing.
    var start: Position
    var patroniConfig: Sourced<String>?
    /// Files with Patroni's environment variables, the later ones over the earlier.
    var patroniEnvironment: [Sourced<String>] = []
    var settings = PartialSettings()
    var addresses: [PharosAddress] = []
    /// A value of nil: `patroni`.
    var leaseTTL: Sourced<Duration?>?
    var leaseMargin: Sourced<Duration>?
    /// In parts per million.
    var leaseClockDrift: Sourced<Int>?
    var leaseRoot: Sourced<String>?
    /// Nil where there is no section of that name.
    var citus: PharosCitus?
    var detector: PharosDetector?
    var alert: PharosAlert?
    var statusSocket: Sourced<String>?
    var statusListen: Sourced<ListenAddress>?
    /// The dotted keys that the file gives, usable or not: what is wrong is not called missing too.
    var said: Set<String> = []

    /// Nil if the file is no mapping at all, which has been reported.
    init?(_ reader: inout PharosFileReader) {
        self.start = Position(file: reader.file, mark: .start)
        guard let root = reader.document.root, !reader.document.isNull(root) else {
            reader.problems.error(self.start, "the file is empty; expected at least 'addresses'")
            return nil
        }
        self.start = reader.position(root)
        guard let top = reader.fields(root, Schema.top) else { return nil }
        self.patroniConfig = reader.value(top, "patroni_config", ValueParsers.absolutePath)
        if let node = top.values["patroni_environment"] {
            // One file, or a list of them.
            let isOne = if case .scalar = reader.document[node].content { true } else { false }
            let limit = PatroniSources.environmentLimit
            let items = isOne ? [node] : reader.items(node, "patroni_environment", of: "files", limit: limit)
            self.patroniEnvironment = items.compactMap {
                reader.value($0, named: "'patroni_environment'", ValueParsers.absolutePath)
            }
        }
        self.settings.scope = reader.value(top, "scope", ValueParsers.name)
        self.settings.member = reader.value(top, "member", ValueParsers.name)
        self.settings.namespace = reader.value(top, "namespace", ValueParsers.keyPath)
        self.settings.group = reader.value(top, "group", ValueParsers.group)
        if let fields = Self.section(top, Schema.etcd, &reader) { self.readEtcd(fields, &reader) }
        if let fields = Self.section(top, Schema.patroni, &reader) { self.readPatroni(fields, &reader) }
        if let fields = Self.section(top, Schema.postgres, &reader) {
            self.settings.conninfo = reader.value(fields, "conninfo", ConninfoRules.check)
        }
        if let node = top.values["addresses"] { self.readAddresses(node, &reader) }
        if let fields = Self.section(top, Schema.lease, &reader) { self.readLease(fields, &reader) }
        if let fields = Self.section(top, Schema.citus, &reader) { self.citus = PharosCitus(fields, &reader) }
        if let fields = Self.section(top, Schema.alert, &reader) { self.alert = PharosAlert(fields, &reader) }
        if let fields = Self.section(top, Schema.detector, &reader) { self.detector = PharosDetector(fields, &reader) }
        if let fields = Self.section(top, Schema.status, &reader) {
            self.statusSocket = reader.value(fields, "socket", ValueParsers.socketPath)
            self.statusListen = reader.value(fields, "listen", ValueParsers.listenAddress)
        }
        // Where Citus is followed, a node may have no address to look after.
        if !top.keys.contains("addresses"), !top.keys.contains("citus") {
            reader.problems.error(self.start, "'addresses' is missing; expected a list of at least one address")
        }
        self.said = reader.said
    }

    private static func section(_ top: SectionKeys, _ section: Schema.Section, _ reader: inout PharosFileReader)
        -> SectionKeys?
    {
        guard let node = top.values[section.name] else { return nil }
        return reader.fields(node, section)
    }

    private mutating func readEtcd(_ fields: SectionKeys, _ reader: inout PharosFileReader) {
        if let node = fields.values["endpoints"] {
            let items = reader.items(node, "endpoints", of: "URLs", limit: Settings.endpointLimit)
            var endpoints: [EndpointURL] = []
            for (index, item) in items.enumerated() {
                let parsed = reader.value(item, named: "'endpoints[\(index)]' in 'etcd'") { text throws(InvalidValue) in
                    let url = try EndpointURL(text, defaultPort: 2379)
                    guard !endpoints.contains(url) else { throw InvalidValue("\(url) is given twice") }
                    return url
                }
                if let parsed { endpoints.append(parsed.value) }
            }
            self.settings.etcdEndpoints = Sourced(value: endpoints, position: reader.position(node))
        }
        self.settings.etcdMembers = reader.value(fields, "members") { text throws(InvalidValue) in
            guard let members = Settings.Etcd.Members(rawValue: text) else {
                throw .expected("learn or ignore", not: text)
            }
            return members
        }
        self.settings.etcd = Self.credentials(fields, &reader)
        if let endpoints = self.settings.etcdEndpoints?.value, !endpoints.isEmpty {
            Self.refuseFilesWithoutTLS(self.settings.etcd, endpoints, in: "etcd", &reader)
        }
    }

    private mutating func readPatroni(_ fields: SectionKeys, _ reader: inout PharosFileReader) {
        self.settings.patroniURL = reader.value(fields, "url") { text throws(InvalidValue) in
            try EndpointURL(text, defaultPort: 8008)
        }
        self.settings.patroni = Self.credentials(fields, &reader)
        if let url = self.settings.patroniURL?.value {
            Self.refuseFilesWithoutTLS(self.settings.patroni, [url], in: "patroni", &reader)
        }
    }

    private static func credentials(_ fields: SectionKeys, _ reader: inout PharosFileReader) -> PartialCredentials {
        let errors = reader.problems.count
        var credentials = PartialCredentials()
        credentials.username = reader.value(fields, "username") { text throws(InvalidValue) in
            guard text.utf8.count <= 255 else { throw .expected("a user's name", not: text) }
            return text
        }
        if let path = reader.value(fields, "password_file", Self.passwordPath) {
            credentials.password = CredentialFiles(environment: reader.environment).password(path, &reader.problems)
        }
        credentials.caFile = reader.value(fields, "ca_file", ValueParsers.absolutePath)
        credentials.certFile = reader.value(fields, "cert_file", ValueParsers.absolutePath)
        credentials.keyFile = reader.value(fields, "key_file", ValueParsers.absolutePath)
        guard reader.problems.count == errors else { return credentials }
        for (one, other) in [("username", "password_file"), ("password_file", "username"), ("key_file", "cert_file")] {
            if let node = fields.values[one], !fields.keys.contains(other) {
                let message = "'\(one)' in '\(fields.section)' needs '\(other)' beside it"
                reader.problems.error(reader.position(node), message)
            }
        }
        return credentials
    }

    /// Never shows the text: people write the password itself here.
    private static func passwordPath(_ text: String) throws(InvalidValue) -> String {
        guard text.hasPrefix("/") else {
            throw InvalidValue("expected the absolute path of a file that holds the password")
        }
        return try ValueParsers.absolutePath(text)
    }

    private static func refuseFilesWithoutTLS(
        _ credentials: PartialCredentials,
        _ urls: [EndpointURL],
        in section: String,
        _ reader: inout PharosFileReader
    ) {
        guard !urls.contains(where: \.isTLS) else { return }
        let files = [credentials.caFile, credentials.certFile, credentials.keyFile].compactMap(\.self)
        guard let first = files.first else { return }
        reader.problems.error(first.position, "a certificate, key or authority in '\(section)' needs an https URL")
    }

    private mutating func readLease(_ fields: SectionKeys, _ reader: inout PharosFileReader) {
        self.leaseTTL = reader.value(fields, "ttl") { text throws(InvalidValue) in
            if text == "patroni" { return Duration?.none }
            guard let duration = DurationText.parse(text) else {
                throw .expected("'patroni' or \(DurationText.expectation)", not: text)
            }
            guard duration >= .seconds(5), duration <= .seconds(3600), duration.components.attoseconds == 0 else {
                throw .expected("whole seconds, from 5s to 1h", not: text)
            }
            return duration
        }
        self.leaseMargin = reader.value(fields, "margin") { text throws(InvalidValue) in
            let duration = try ValueParsers.duration(text)
            // The command that sets a lifetime acts up to 0.5 s late, and the kernel removes an address up to 1.0 s late.
            guard duration >= .milliseconds(1500) else { throw .expected("at least 1500ms", not: text) }
            return duration
        }
        self.leaseClockDrift = reader.value(fields, "clock_drift", ValueParsers.clockDrift)
        self.leaseRoot = reader.value(fields, "root") { text throws(InvalidValue) in
            let root = try ValueParsers.keyPath(text)
            guard root != "/" else { throw .expected("a path such as /pharos/", not: text) }
            return root
        }
    }
}
