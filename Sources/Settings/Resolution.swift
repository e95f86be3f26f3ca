// SPDX-License-Identifier: Apache-2.0
import Decision
import NetworkAddress
import Secrets

/// Puts together what pharos.yml says, what patroni.yml says where that is silent, and the defaults; notes for each value
/// where it came from; checks what only the whole can show.
struct Resolution {
    let pharos: PharosFile
    /// Nil if Patroni's file cannot be used: then nothing is called missing that it may have said.
    let patroni: PartialSettings?
    let environment: SettingsEnvironment
    var problems: DiagnosticList
    private var provenance: [EffectiveSetting] = []
    /// Whose settings they are.
    var instance = DaemonInstance()

    /// The shortest TTL that Patroni uses, whatever it is told.
    static let shortestPatroniTTL = Duration.seconds(20)
    static let defaultMargin = Duration.seconds(2)
    static let defaultLeaseRoot = "/pharos/"
    static let defaultNamespace = "/service/"
    static let defaultPatroniURL = EndpointURL(isTLS: false, host: "127.0.0.1", port: 8008)

    init(pharos: PharosFile, patroni: PartialSettings?, environment: SettingsEnvironment, problems: DiagnosticList) {
        self.pharos = pharos
        self.patroni = patroni
        self.environment = environment
        self.problems = problems
    }

    /// Nil after an error, which is among the problems.
    mutating func resolve() -> Settings? {
        let (own, patroni) = (self.pharos.settings, self.patroni ?? PartialSettings())
        self.note("patroni_config", self.pharos.patroniConfig) { $0 }
        for (index, path) in self.pharos.patroniEnvironment.enumerated() {
            self.note("patroni_environment[\(index)]", path) { $0 }
        }
        self.sayWhatIsRefused(patroni)
        let scope = self.required("scope", own.scope ?? patroni.scope, in: "scope")
        let member = self.required("member", own.member ?? patroni.member, in: "name")
        let namespace = self.noted("namespace", own.namespace ?? patroni.namespace, Self.defaultNamespace) { $0 }
        let group = own.group ?? patroni.group
        self.note("group", group, String.init)
        let etcd = self.etcd(own, patroni)
        let rest = self.rest(own, patroni)
        let conninfo = self.noted("postgres.conninfo", own.conninfo ?? patroni.conninfo, Self.defaultConninfo) {
            $0 + ConninfoRules.meaning(of: $0)
        }
        if own.conninfo == nil, let doubt = patroni.conninfoDoubt {
            self.problems.warning(doubt.position, doubt.value)
        }
        let addresses = self.addresses(conninfo)
        self.checkListening(self.patroni?.listen, addresses)
        let lease = self.lease()
        let citus = self.citus(scope: scope, group: group)
        let detector = self.detector()
        let alert = self.alert()
        let socket = self.noted("status.socket", self.pharos.statusSocket, self.instance.socket) { $0 }
        self.note("status.listen", self.pharos.statusListen, \.description)
        guard let scope, let member, let etcd else { return nil }
        self.checkRoots(patroni: "\(namespace)\(scope)/", pharos: "\(lease.root)\(scope)/address/")
        guard !self.problems.hasErrors else { return nil }
        if let incomplete = patroni.incomplete { self.problems.warning(incomplete.position, incomplete.value) }
        return Settings(
            instance: self.instance,
            scope: scope,
            member: member,
            namespace: namespace,
            group: group?.value,
            etcd: etcd,
            patroni: rest,
            postgres: .init(conninfo: conninfo),
            addresses: addresses,
            lease: lease,
            citus: citus,
            detector: detector,
            alert: alert,
            status: .init(socket: socket, listen: self.pharos.statusListen?.value),
            provenance: self.provenance,
            warnings: []
        )
    }

    private static var defaultConninfo: String {
        "host=\(Settings.Postgres.defaultSocketDirectory) user=pharos dbname=postgres"
    }

    private mutating func etcd(_ own: PartialSettings, _ patroni: PartialSettings) -> Settings.Etcd? {
        let endpoints = own.etcdEndpoints ?? patroni.etcdEndpoints
        // Endpoints in pharos.yml are meant: nothing is looked up beside them.
        let discovery = own.etcdEndpoints == nil ? patroni.etcdDiscovery : nil
        if endpoints == nil, discovery == nil { self.missing("etcd.endpoints", in: "etcd3.hosts") }
        if discovery != nil { self.note("etcd.srv", discovery, \.description) }
        self.note("etcd.endpoints", endpoints) { $0.map(\.description).joined(separator: ", ") }
        let members = self.noted("etcd.members", own.etcdMembers ?? patroni.etcdMembers, .learn, \.rawValue)
        let credentials = self.credentials("etcd", own.etcd, patroni.etcd, for: endpoints?.value ?? [])
        guard endpoints != nil || discovery != nil else { return nil }
        return .init(
            endpoints: (endpoints?.value ?? []).map(\.description),
            discovery: discovery?.value,
            members: members,
            username: credentials.username?.value,
            password: credentials.password?.value,
            tls: .init(credentials)
        )
    }

    private mutating func rest(_ own: PartialSettings, _ patroni: PartialSettings) -> Settings.Patroni {
        let url = self.noted("patroni.url", own.patroniURL ?? patroni.patroniURL, Self.defaultPatroniURL, \.description)
        let credentials = self.credentials("patroni", own.patroni, patroni.patroni, for: [url])
        return .init(
            url: url.description,
            username: credentials.username?.value,
            password: credentials.password?.value,
            tls: .init(credentials)
        )
    }

    /// The credentials of one section in effect, with their files checked.
    private mutating func credentials(
        _ section: String, _ own: PartialCredentials, _ patroni: PartialCredentials, for urls: [EndpointURL]
    ) -> PartialCredentials {
        let credentials = own.falling(backTo: patroni)
        // What pharos.yml says has been checked with the places at hand.
        if own.username == nil, own.password == nil, let (present, absent) = credentials.loneLogin {
            self.problems.error(present, "'\(section)': a user and a password belong together; \(absent) is missing")
        }
        self.note("\(section).username", credentials.username) { $0 }
        self.note("\(section).password", credentials.password, \.description)
        self.note("\(section).ca_file", credentials.caFile) { $0 }
        self.note("\(section).cert_file", credentials.certFile) { $0 }
        self.note("\(section).key_file", credentials.keyFile) { $0 }
        CredentialFiles(environment: self.environment).check(credentials, &self.problems)
        self.warnOfPlainText(section, credentials, urls)
        return credentials
    }

    /// A password without TLS, and for etcd the token that follows from it, is for everyone on the way to read. To this very
    /// host there is no way: Patroni on loopback is as usual.
    private mutating func warnOfPlainText(_ section: String, _ credentials: PartialCredentials, _ urls: [EndpointURL]) {
        guard let password = credentials.password, let url = urls.first(where: { !$0.isTLS && !$0.isLoopback }) else {
            return
        }
        self.problems.warning(
            password.position,
            "'\(section)': the password is sent to \(url) without encryption, for everyone on the way to read; use an https URL"
        )
    }

    private mutating func addresses(_ conninfo: String) -> [Settings.Address] {
        let usual = ConninfoRules.port(in: conninfo)
        return self.pharos.addresses.enumerated().map { index, address in
            let key = "addresses[\(index)]"
            self.note("\(key).address", address.prefix, \.description)
            self.note("\(key).interface", address.interface) { $0 }
            let acquire = self.noted("\(key).acquire", address.acquire, .writable, \.rawValue)
            let port = self.noted("\(key).port", address.port ?? self.patroni?.port, usual) { "\($0)" }
            self.note("\(key).label", address.label) { $0 }
            return .init(
                prefix: address.prefix.value,
                interface: address.interface.value,
                acquire: acquire,
                port: port == 0 ? nil : port,
                label: address.label?.value
            )
        }
    }

    private mutating func lease() -> Settings.Lease {
        let ttl = self.noted("lease.ttl", self.pharos.leaseTTL, nil) { $0.map(DurationText.text) ?? "patroni" }
        let margin = self.noted("lease.margin", self.pharos.leaseMargin, Self.defaultMargin, DurationText.text)
        let drift = self.noted(
            "lease.clock_drift", self.pharos.leaseClockDrift, CoreSettings.usualClockDrift, ValueParsers.clockDriftText)
        let root = self.noted("lease.root", self.pharos.leaseRoot, Self.defaultLeaseRoot) { $0 }
        let shortest = ttl ?? Self.shortestPatroniTTL
        // Two fifths of the lease must be left to hold the address in: more than two renewals.
        if margin + shortest * drift / 1_000_000 >= shortest * 3 / 5 {
            let position = self.pharos.leaseMargin?.position ?? self.pharos.leaseTTL?.position ?? self.pharos.start
            let subject = "\(ttl == nil ? "Patroni's shortest TTL" : "the TTL"), \(shortest.components.seconds)s"
            self.problems.error(
                position,
                "'lease': the margin, \(DurationText.text(margin)), and \(ValueParsers.clockDriftText(drift)) of the TTL "
                    + "(clock_drift) must be less than three fifths of \(subject)"
            )
        }
        let requestTimeout = min(shortest / Settings.Lease.requestsPerTTL, Settings.Lease.longestRequest)
        return .init(ttl: ttl, margin: margin, clockDrift: drift, root: root, requestTimeout: requestTimeout)
    }

    /// Pharos's keys inside of Patroni's, or the other way round, would be taken for what they are not.
    private mutating func checkRoots(patroni: String, pharos: String) {
        guard patroni.hasPrefix(pharos) || pharos.hasPrefix(patroni) else { return }
        let position =
            self.pharos.leaseRoot?.position ?? self.pharos.settings.namespace?.position
            ?? self.pharos.settings.scope?.position ?? self.pharos.patroniConfig?.position ?? self.pharos.start
        self.problems.error(
            position,
            "'lease.root': Pharos's keys \(quoted(pharos)) and Patroni's \(quoted(patroni)) lie within each other"
        )
    }
}

// Provenance.
extension Resolution {
    /// Notes a setting that may be absent.
    mutating func note<Value>(_ key: String, _ value: Sourced<Value>?, _ text: (Value) -> String) {
        let source = value?.position.brief ?? "default"
        self.provenance.append(.init(key: key, value: value.map { text($0.value) } ?? "", source: source))
    }

    /// Notes a setting that has a default, and answers what is in effect.
    mutating func noted<Value>(
        _ key: String,
        _ value: Sourced<Value>?,
        _ defaultValue: Value,
        _ text: (Value) -> String
    ) -> Value {
        let source = value?.position.brief ?? "default"
        let value = value?.value ?? defaultValue
        self.provenance.append(.init(key: key, value: text(value), source: source))
        return value
    }

    private mutating func required(_ key: String, _ value: Sourced<String>?, in patroniKey: String) -> String? {
        self.note(key, value) { $0 }
        if value == nil { self.missing(key, in: patroniKey) }
        return value?.value
    }

    /// What Patroni's file says and cannot be used is an error, unless pharos.yml says it instead: a default in its place would
    /// follow something else.
    private mutating func sayWhatIsRefused(_ patroni: PartialSettings) {
        for (key, refused) in patroni.refused.sorted(by: { $0.key < $1.key }) {
            if self.pharos.said.contains(key) {
                self.problems.warning(refused.position, refused.value + " (passed over: pharos.yml says it instead)")
            } else {
                self.problems.error(refused.position, refused.value + "; mend it, or say '\(key)' in pharos.yml")
            }
        }
    }

    private mutating func missing(_ key: String, in patroniKey: String) {
        guard self.patroni != nil, self.patroni?.refused[key] == nil, !self.pharos.said.contains(key) else { return }
        if let path = self.pharos.patroniConfig {
            let message =
                "'\(key)' is missing: \(quoted(path.value)) has no usable '\(patroniKey)'; say it in pharos.yml"
            self.problems.error(path.position, message)
        } else {
            let message = "'\(key)' is missing: say it here, or name Patroni's configuration with 'patroni_config'"
            self.problems.error(self.pharos.start, message)
        }
    }
}

extension Settings.CertificatePaths {
    fileprivate init(_ credentials: PartialCredentials) {
        self.init(
            caFile: credentials.caFile?.value,
            certFile: credentials.certFile?.value,
            keyFile: credentials.keyFile?.value
        )
    }
}

extension PartialCredentials {
    /// A user without a password, or the other way round: where it stands, and what is missing.
    fileprivate var loneLogin: (Position, String)? {
        switch (self.username, self.password) {
        case (let username?, nil): (username.position, "the password")
        case (nil, let password?): (password.position, "the user")
        case (nil, nil), (_?, _?): nil
        }
    }
}
