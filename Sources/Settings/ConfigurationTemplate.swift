// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// The text of a complete pharos.yml for a node whose Patroni is configured by `path`: what `pharos init` writes.
///
/// The arguments and Patroni's file are checked as ``Settings/load(path:environment:)`` would check them, and the text is
/// loaded before it is answered. Diagnostics about an argument name its option as the file, without a line.
public func renderConfiguration(
    fromPatroni path: String,
    address: String,
    interface: String,
    environment: SettingsEnvironment = .system
) throws(SettingsError) -> (text: String, settings: Settings) {
    var problems = DiagnosticList()
    let path = checked(path, option: "--from-patroni", &problems, ValueParsers.absolutePath)
    let address = checked(address, option: "--address", &problems, ValueParsers.addressPrefix)
    let interface = checked(interface, option: "--interface", &problems, ValueParsers.interface)
    guard let path, let address, let interface else { throw problems.failure ?? .init() }
    let draft = ConfigurationDraft(
        patroni: path, addresses: [.init(address: address.description, interface: interface)])
    return try renderConfiguration(draft, environment: environment)
}

/// What a pharos.yml is to say that a program writes.
public struct ConfigurationDraft: Sendable, Equatable {
    /// A virtual address with its prefix, and the interface that it belongs on.
    public struct Address: Sendable, Equatable {
        public var address: String
        public var interface: String

        public init(address: String, interface: String) { (self.address, self.interface) = (address, interface) }
    }

    /// How etcd is reached, where not as Patroni's file says.
    public struct Etcd: Sendable, Equatable {
        public var endpoints: [String]
        public var username: String?
        public var passwordFile: String?
        public var caFile: String?
        public var certFile: String?
        public var keyFile: String?

        public init(
            endpoints: [String], username: String? = nil, passwordFile: String? = nil, caFile: String? = nil,
            certFile: String? = nil, keyFile: String? = nil
        ) {
            (self.endpoints, self.username, self.passwordFile) = (endpoints, username, passwordFile)
            (self.caFile, self.certFile, self.keyFile) = (caFile, certFile, keyFile)
        }

        fileprivate var lines: String {
            let values: [(key: String, value: String?)] = [
                ("username", self.username), ("password_file", self.passwordFile), ("ca_file", self.caFile),
                ("cert_file", self.certFile), ("key_file", self.keyFile),
            ]
            let list = self.endpoints.map { yamlText($0) }.joined(separator: ", ")
            return "etcd:\n  endpoints: [\(list)]\n"
                + values.compactMap { pair in pair.value.map { "  \(pair.key): \(yamlText($0))\n" } }.joined()
        }
    }

    /// Patroni's configuration, as an absolute path.
    public var patroni: String
    public var addresses: [Address]
    public var etcd: Etcd?
    /// Files that do not exist yet and will be written with it: paths and contents.
    public var files: [String: [UInt8]]

    public init(patroni: String, addresses: [Address], etcd: Etcd? = nil, files: [String: [UInt8]] = [:]) {
        (self.patroni, self.addresses, self.etcd, self.files) = (patroni, addresses, etcd, files)
    }

    fileprivate var text: String {
        let subject = self.addresses.count == 1 ? "the address" : "the addresses"
        let lines = self.addresses.map {
            "  - { address: \"\($0.address)\", interface: \(yamlText($0.interface)) }\n"
        }
        return """
            # Pharos keeps \(subject) on the node where Patroni's leader accepts writes. The same file serves every node of
            # the cluster whose interface has the same name. `pharos check-config` shows every setting in effect.

            # The cluster's and this member's name, etcd and Patroni's API are read from here; Pharos must be able to read it.
            patroni_config: \(yamlText(self.patroni))
            \(self.etcd.map { $0.lines } ?? "")addresses:
            \(lines.joined())
            """
    }
}

/// The text of a pharos.yml that says what `draft` says, and the settings that it makes: it is loaded before it is answered.
///
/// What the text is blamed for, what it was made from has caused: such diagnostics name `origin` as the file, without a line.
public func renderConfiguration(
    _ draft: ConfigurationDraft, origin: String = "--from-patroni", environment: SettingsEnvironment = .system
) throws(SettingsError) -> (text: String, settings: Settings) {
    let text = draft.text
    // Arguments are relative to nothing here, so no file has this name.
    let name = "pharos.yml"
    let files = draft.files
    let overlay = SettingsEnvironment(
        list: environment.list,
        read: { path, limit in
            if path == name { return .success(.init(contents: Array(text.utf8))) }
            if let contents = files[path] { return .success(.init(contents: contents, mode: 0o600)) }
            return environment.read(path, limit)
        }, resolve: environment.resolve)
    do throws(SettingsError) {
        return (text, try Settings.load(path: name, environment: overlay))
    } catch {
        // What the text is blamed for, Patroni's file has caused: the other arguments have been checked.
        throw SettingsError(
            diagnostics: error.diagnostics.map { diagnostic in
                guard diagnostic.file == name else { return diagnostic }
                let message = diagnostic.message
                return Diagnostic(
                    severity: diagnostic.severity,
                    file: origin,
                    line: 0,
                    column: 0,
                    message: message
                )
            },
            omitted: error.omitted
        )
    }
}

private func checked<Value>(
    _ text: String,
    option: String,
    _ problems: inout DiagnosticList,
    _ parse: (String) throws(InvalidValue) -> Value
) -> Value? {
    do throws(InvalidValue) {
        try PharosFileReader.checkText(text)
        return try parse(text)
    } catch {
        problems.error(file: option, mark: nil, error.message)
        return nil
    }
}

/// An endpoint of etcd as this program writes it, a scheme added where there is none; nil if it is no URL.
package func etcdEndpoint(_ text: String) -> (url: String, isLoopback: Bool)? {
    do throws(InvalidValue) {
        let url = try EndpointURL(text.contains("://") ? text : "http://\(text)", defaultPort: 2379)
        return (url.description, url.isLoopback)
    } catch {
        return nil
    }
}

/// `http(s)://HOST[:PORT]` in one form, and its parts; nil where it is none. Of a port that is not said, that of the protocol.
package func webEndpoint(_ text: String) -> (url: String, host: String, port: UInt16, isLoopback: Bool)? {
    do throws(InvalidValue) {
        let url = try EndpointURL(text, defaultPort: text.lowercased().hasPrefix("https:") ? 443 : 80)
        return (url.description, url.host, url.port, url.isLoopback)
    } catch {
        return nil
    }
}

/// What is wrong with an address and its prefix, or with an interface, as pharos.yml would have them; nil: nothing.
package func addressProblem(_ address: String, interface: String) -> String? {
    do throws(InvalidValue) {
        _ = try ValueParsers.addressPrefix(address)
        _ = try ValueParsers.interface(interface)
        return nil
    } catch {
        return error.message
    }
}

/// `text` as a YAML scalar: in double quotes unless it is plainly a word or a path. It holds no control characters.
private func yamlText(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "_"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        default: false  // bytes, not cases of ours
        }
    }
    let words = ["true", "false", "yes", "no", "on", "off", "null"]
    let startsPlainly = text.utf8.first.map { $0 == UInt8(ascii: "/") || $0 >= UInt8(ascii: "A") } ?? false
    if isPlain, startsPlainly, !words.contains(text.lowercased()) { return text }
    let escaped = text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] }
    return "\"\(String(escaped))\""
}
