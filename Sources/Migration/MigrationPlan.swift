// SPDX-License-Identifier: Apache-2.0
import NetworkAddress
import Secrets
public import Settings

/// What `pharos migrate` would write, and what it says about each setting of the files that it was made from. A value: nothing is
/// written here, and nobody is asked.
public struct MigrationPlan: Sendable, Equatable {
    /// A file that only the daemon may read.
    public struct SecretFile: Sendable, Equatable {
        public var path: String
        public var contents: [UInt8]
        /// Whose password or key it holds, for people.
        public var what: String
    }

    public let formers: [Former]
    /// Of which the new file is made.
    public private(set) var draft: ConfigurationDraft
    public private(set) var secretFiles: [SecretFile] = []
    public private(set) var carried: [Former.Remark] = []
    public private(set) var lost: [Former.Remark]
    public private(set) var doubts: [Former.Remark]
    /// The key that the old program followed, if that is Patroni's leader key as Patroni's file has it.
    public private(set) var followedKey: Former.Said<String>?

    /// Where the new file will stand, and what makes other files beside it its own.
    public struct Target: Sendable {
        public var output: String
        public var instance: DaemonInstance
        /// Reads a file with the rights of whoever runs the command; nil: it cannot.
        public var read: @Sendable (String) -> [UInt8]?

        public init(output: String, instance: DaemonInstance, read: @escaping @Sendable (String) -> [UInt8]?) {
            (self.output, self.instance, self.read) = (output, instance, read)
        }

        /// `/etc/pharos/etcd-password`, or for one of several clusters `/etc/pharos/15-main.etcd-password`.
        func secret(_ name: String) -> String {
            let folder =
                self.output == "-"
                ? "/etc/pharos" : self.output.split(separator: "/").dropLast().map { "/\($0)" }.joined()
            return "\(folder.isEmpty ? "." : folder)/\(self.instance.name.map { "\($0)." } ?? "")\(name)"
        }
    }

    /// Compares what the old files say with Patroni's file, by the settings that come of it alone.
    public init(
        _ formers: [Former], patroni path: String, settings: Settings, target: Target
    ) throws(MigrationError) {
        self.formers = formers
        self.lost = formers.flatMap(\.lost)
        self.doubts = formers.flatMap(\.doubts)
        self.draft = ConfigurationDraft(patroni: path, addresses: [])
        var problems: [String] = []
        self.takeAddresses(&problems)
        for former in formers { self.compareCluster(former, path, settings, &problems) }
        try self.takeAccess(path, settings, target, &problems)
        guard problems.isEmpty else { throw MigrationError(problems) }
    }

    /// What a draft of the addresses alone is, for the settings that ``init(_:patroni:settings:target:)`` compares with.
    public static func bare(_ formers: [Former], patroni path: String) throws(MigrationError) -> ConfigurationDraft {
        var problems: [String] = []
        for address in formers.flatMap(\.addresses) {
            let (prefix, interface) = (address.prefix.value.description, address.interface.value)
            guard let problem = addressProblem(prefix, interface: interface) else { continue }
            problems.append("\(address.prefix.place): \(problem)")
        }
        guard problems.isEmpty else { throw MigrationError(problems) }
        let addresses = Self.distinct(formers).map {
            ConfigurationDraft.Address(address: $0.prefix.value.description, interface: $0.interface.value)
        }
        return ConfigurationDraft(patroni: path, addresses: addresses)
    }

    /// Of one address that several files have, the first.
    private static func distinct(_ formers: [Former]) -> [Former.Address] {
        var seen: Set<IPAddress> = []
        return formers.flatMap(\.addresses).filter { seen.insert($0.prefix.value.address).inserted }
    }

    private mutating func takeAddresses(_ problems: inout [String]) {
        let addresses = Self.distinct(self.formers)
        for address in addresses {
            self.carried.append(.init(address.prefix.name, address.prefix.value.description, at: address.prefix.place))
            self.carried.append(.init(address.interface.name, address.interface.value, at: address.interface.place))
        }
        for other in self.formers.flatMap(\.addresses) where !addresses.contains(other) {
            guard let first = addresses.first(where: { $0.prefix.value.address == other.prefix.value.address }) else {
                continue
            }
            if first.prefix.value != other.prefix.value || first.interface.value != other.interface.value {
                problems.append(
                    "\(other.prefix.place): \(other.prefix.value) on \(other.interface.value); \(first.prefix.place) says "
                        + "\(first.prefix.value) on \(first.interface.value). Expected one place for one address")
            }
        }
        self.draft.addresses = addresses.map {
            .init(address: $0.prefix.value.description, interface: $0.interface.value)
        }
    }

    /// The address must go on following the cluster that it followed.
    private mutating func compareCluster(
        _ former: Former, _ path: String, _ settings: Settings, _ problems: inout [String]
    ) {
        if let asked = former.restAPI { self.compareAPI(asked, path, settings) }
        guard let key = former.triggerKey else { return }
        let group = settings.group.map { "/\($0)" } ?? ""
        let expected = "\(settings.namespace)\(settings.scope)\(group)/leader"
        guard Self.path(key.value) == Self.path(expected) else {
            problems.append(
                "\(key.place): \(key.name) is \(quoted(key.value)), and the leader key of Patroni's file \(path) is '\(expected)': the address would "
                    + "follow another cluster. Expected the file of the Patroni that this address follows: --from-patroni FILE"
            )
            return
        }
        self.followedKey = self.followedKey ?? key
        self.carried.append(
            .init(
                key.name, "the leader key of scope \(settings.scope) (Patroni's file says the same, and is read)",
                at: key.place))
        if let value = former.triggerValue {
            guard value.value != settings.member else {
                self.carried.append(
                    .init(value.name, "\(settings.member), this member (Patroni's file says the same)", at: value.place)
                )
                return
            }
            self.doubts.append(
                .init(
                    value.name,
                    "\(quoted(value.value)), but Patroni's file calls this member '\(settings.member)', which is what Pharos goes by. Is \(former.file) "
                        + "the file of this node? With that value the address never came here", at: value.place))
        }
    }

    /// Whose Patroni it asked decided where the address was: as a rule this node's own.
    private mutating func compareAPI(_ asked: Former.Said<String>, _ path: String, _ settings: Settings) {
        guard let own = webEndpoint(settings.patroni.url) else { return }
        guard let url = webEndpoint(asked.value) else {
            self.doubts.append(
                .init(
                    asked.name,
                    "\(Self.shown(asked.value)) is not understood; expected a URL such as http://127.0.0.1:8008, which vip-manager asked. Is that "
                        + "this node's Patroni? If it is another node's, the address followed that node, and with Pharos it follows the leader",
                    at: asked.place))
            return
        }
        // A Patroni that listens on all addresses may be the one at any of them.
        let isElsewhere = !url.isLoopback && !own.isLoopback && url.host != own.host
        guard url.port != own.port || isElsewhere else { return }
        self.doubts.append(
            .init(
                asked.name,
                "it asked \(url.url), and Patroni's file \(path) has this node's REST API at \(own.url). If both lead to the same Patroni, all is "
                    + "well; if it asked another node's, the address followed that node, and with Pharos it follows the leader",
                at: asked.place))
    }

    private static func path(_ key: String) -> [Substring] { key.split(separator: "/") }
}

// MARK: - How etcd is reached

extension MigrationPlan {
    /// Patroni's way to etcd, where both name the same one; else what differs is written.
    private mutating func takeAccess(
        _ path: String, _ settings: Settings, _ target: Target, _ problems: inout [String]
    ) throws(MigrationError) {
        let asking = self.formers.filter { !$0.etcd.endpoints.isEmpty }
        var endpoints: [Former.Said<String>] = []
        var areLoopback = true
        for said in asking.flatMap(\.etcd.endpoints) {
            guard let (url, isLoopback) = etcdEndpoint(said.value) else {
                problems.append(
                    "\(said.place): \(said.name): expected URLs such as http://10.0.0.1:2379, not \(Self.shown(said.value))"
                )
                continue
            }
            if !isLoopback { areLoopback = false }
            if !endpoints.contains(where: { $0.value == url }) {
                endpoints.append(.init(url, said.name, at: said.place))
            }
        }
        guard let first = endpoints.first, let former = asking.first else { return }
        let known = settings.etcd.endpoints
        if known.isEmpty || areLoopback || endpoints.contains(where: { known.contains($0.value) }) {
            let reason =
                known.isEmpty
                ? "Patroni finds etcd by DNS, and so does Pharos"
                : endpoints.contains { known.contains($0.value) }
                    ? "Patroni's file names the same etcd (\(known.joined(separator: ", "))), and is read"
                    : "this host's own etcd; Pharos uses those that Patroni's file names (\(known.joined(separator: ", ")))"
            self.lost.append(.init(first.name, reason, at: first.place))
            self.replaceLogin(former, settings)
            return
        }
        self.doubts.append(
            .init(
                first.name,
                "\(endpoints.map(\.value).joined(separator: ", ")), and Patroni's file names \(known.joined(separator: ", ")). If that is another way to "
                    + "the same etcd, all is well; if it is another etcd, the address would not follow this Patroni. The new file says the old "
                    + "endpoints: take its section 'etcd' out to use Patroni's", at: first.place))
        for endpoint in endpoints { self.carried.append(.init(endpoint.name, endpoint.value, at: endpoint.place)) }
        try self.writeAccess(former.etcd, endpoints.map(\.value), target)
    }

    /// An address with a login in it is not shown.
    private static func shown(_ text: String) -> String { text.contains("@") ? "what is there" : quoted(text) }

    private mutating func replaceLogin(_ former: Former, _ settings: Settings) {
        let owner = settings.etcd.username.map { "user \(quoted($0))" } ?? "no user"
        if let user = former.etcd.username {
            self.lost.append(.init(user.name, "Pharos logs in to etcd as Patroni does: \(owner)", at: user.place))
        }
        if let password = former.etcd.password {
            self.lost.append(.init(password.name, "that of Patroni's file is used", at: password.place))
        }
        for file in [former.etcd.caFile, former.etcd.certFile, former.etcd.keyFile].compactMap(\.self) {
            let own = [settings.etcd.tls.caFile, settings.etcd.tls.certFile, settings.etcd.tls.keyFile]
            let reason =
                own.contains(file.value) ? "Patroni's file names the same" : "what Patroni's file names is used"
            self.lost.append(.init(file.name, reason, at: file.place))
        }
    }

    private mutating func writeAccess(
        _ etcd: Former.Etcd, _ endpoints: [String], _ target: Target
    ) throws(MigrationError) {
        var section = ConfigurationDraft.Etcd(endpoints: endpoints, username: etcd.username?.value)
        if let user = etcd.username { self.carried.append(.init(user.name, user.value, at: user.place)) }
        if let password = etcd.password {
            let file = SecretFile(
                path: target.secret("etcd-password"), contents: Array("\(password.value.reveal())\n".utf8),
                what: "the password of \(password.name)")
            section.passwordFile = file.path
            self.secretFiles.append(file)
            self.carried.append(.init(password.name, "into \(file.path), not shown", at: password.place))
        }
        section.caFile = etcd.caFile?.value
        section.certFile = etcd.certFile?.value
        for file in [etcd.caFile, etcd.certFile].compactMap(\.self) {
            self.carried.append(.init(file.name, file.value, at: file.place))
        }
        if let key = etcd.keyFile {
            // The old program ran as root; what root alone may read, the daemon may not.
            guard let contents = target.read(key.value) else {
                throw MigrationError(
                    "\(key.place): \(key.name): \(quoted(key.value)) cannot be read; run this as root, on the node itself"
                )
            }
            let file = SecretFile(
                path: target.secret("etcd-client.key"), contents: contents, what: "a copy of \(key.value)")
            section.keyFile = file.path
            self.secretFiles.append(file)
            self.carried.append(.init(key.name, "a copy, \(file.path)", at: key.place))
        }
        self.draft.etcd = section
        self.draft.files = Dictionary(self.secretFiles.map { ($0.path, $0.contents) }) { $1 }
    }
}
