// SPDX-License-Identifier: Apache-2.0
import LenientJSON
import Secrets
import Settings
import TestSupport
import Testing

/// What Patroni itself takes from a file, and what Pharos does: recorded by scripts/record-patroni-config, see
/// PatroniShapes/README.md. Every shape comes out the same, or is refused by both; the exceptions are listed, with reasons.
struct PatroniShapeTests {
    static let versions = ["3.0.2", "4.0.7", "4.1.5"]

    @Test(arguments: versions) func `every shape of Patroni's file comes out as Patroni reads it`(version: String)
        throws
    {
        let shapes = try #require(PatroniShape.all)
        let recording = try #require(PatroniShape.file("patroni-\(version).json"))
        #expect(recording["patroni"]?.string == version)
        let recorded = try #require(recording["shapes"]?.object)
        let isOld = version.hasPrefix("3.")
        #expect(shapes.count > 300 && Set(recorded.keys) == Set(shapes.map(\.name)))
        for shape in shapes {
            let differences = shape.differences(from: try #require(recorded[shape.name]), isOld: isOld)
            let known = Self.known[shape.name] ?? Self.known["\(shape.name)@\(version)"]
            #expect(
                differences.isEmpty == (known == nil),
                "\(shape.name): \(differences.isEmpty ? "no difference, but one is listed" : "\(differences)")")
        }
    }

    /// Where the two differ, and why that is right.
    private static let known: [String: String] = [
        // Values that Patroni takes and Pharos does not: the reason is in the message.
        "citus-group-bool": ours, "citus-group-large": ours, "citus-group-negative": ours, "name-blank": ours,
        "name-slash": ours,
        "namespace-inner-blank": ours, "namespace-trailing-blank": ours, "scope-blank": ours, "scope-slash": ours,
        "scope-slashes": ours, "yaml-folded-scope": ours, "yaml-unused-recursive": ours,
        // The recorder does not try to listen, nor to reach anybody: what is refused there is not recorded.
        "pg-port-large": later, "rest-listen-blank-ends": later, "rest-listen-port-large": later,
        "rest-listen-port-zero": later,
        "rest-listen-two": later, "rest-listen-url": later, "etcd-hosts-blank-inside@3.0.2": later,
        "etcd-login-bool": later,
        "etcd-login-number": later, "etcd-scope-name-inside": later,
        // Half of a login: Patroni goes on without any, to be turned away or not. Pharos asks for the other half.
        "etcd-login-empty-password": half, "etcd-login-null-password": half, "etcd-login-password-only": half,
        "etcd-login-user-only": half, "env-password": half,
        "rest-auth-null-password": "Patroni makes the password None of it",
        "etcd-srv": dns, "etcd-srv-domain": dns, "etcd-discovery-srv": dns,
        "env-etcd-use-proxies": "with proxies Patroni gives up behind the first, before it would ask the next",
        "bootstrap-dcs":
            "the recorder has no dynamic configuration; what the cluster is made with is used, and warned of",
        "etcd-hosts-17": "Pharos uses 16, and says so",
        "etcd-certs-relative": "relative to where Patroni was started: warned of",
        "pg-socket-relative": "the socket is in the data directory; Patroni, which has a password, uses TCP",
        "rest-tls-connect-noport": "others look for Patroni at 443; here it listens at its own port",
        "rest-tls-connect-url": "nobody reaches Patroni there: warned of, and asked where it listens",
        "rest-ctl-auth@3.0.2": "only Patroni 4 has a login for clients",
        "env-consul@3.0.2": "no module for consul is installed beside it", "etcd-url-null-hosts@3.0.2": null,
        "etcd-url-null-host@3.0.2": null, "etcd-url-false-hosts@3.0.2": null,
        "yaml-merge-list@4.1.5": "PyYAML 6.0.4 lets the last of a list win: warned of",
    ]
    private static let dns = "the hosts come from DNS, which the recorder does not ask: see EtcdDiscoveryTests"
    private static let ours = "refused by Pharos alone"
    private static let later = "fails later in Patroni"
    private static let half = "half of a login"
    private static let null = "Patroni 3 stumbles over a key without a value, which 4 passes over"
}

/// One shape: a file of Patroni's, or a folder of them, and the environment beside it.
struct PatroniShape {
    var name: String
    var files: [String: [UInt8]]
    var environment: String?

    static func file(_ name: String) -> JSON? {
        let root = "\(#filePath)".split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
        guard case .success(let file) = SettingsEnvironment.system.read("\(root)/PatroniShapes/\(name)", 4 << 20) else {
            return nil
        }
        return JSON.parse(file.contents)
    }

    static let all: [PatroniShape]? = Self.file("shapes.json")?.object?.sorted { $0.key < $1.key }.map { name, shape in
        var files: [String: [UInt8]] = [:]
        if let text = shape["text"]?.string { files[patroniPath] = Array(text.utf8) }
        if let text = shape["base64"]?.string { files[patroniPath] = decoded(base64: text) }
        for (name, text) in shape["folder"]?.object ?? [:] {
            files["\(patroniPath)/\(name)"] = Array((text.string ?? "").utf8)
        }
        return PatroniShape(name: name, files: files, environment: shape["environment"]?.string)
    }

    private static func decoded(base64 text: String) -> [UInt8] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var (bytes, bits, count): ([UInt8], UInt32, Int) = ([], 0, 0)
        for digit in text.utf8 {
            guard let value = alphabet.firstIndex(of: digit) else { continue }
            (bits, count) = (bits << 6 | UInt32(value), count + 6)
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }

    /// What Pharos makes of it, with every file there that one of the shapes names.
    func load() -> Result<Settings, SettingsError> {
        var files = Files(["pharos.yml": minimal])
        for path in ["ca.pem", "cert.pem", "key.pem", "ctl.pem", "ctl.key", "ctlca.pem"] {
            files = files.adding("/etc/\(path)", "")
        }
        for (path, bytes) in self.files { files.files[path] = .init(contents: bytes) }
        if let text = self.environment {
            files = files.adding("/etc/patroni_env.conf", text)
            files = files.adding("pharos.yml", minimal + "\npatroni_environment: /etc/patroni_env.conf\n")
        }
        do throws(SettingsError) { return .success(try files.load()) } catch { return .failure(error) }
    }
}

extension PatroniShape {
    /// In words; empty where all is equal.
    func differences(from recorded: JSON, isOld: Bool) -> [String] {
        let refusal = Self.refusal(recorded)
        switch (self.load(), refusal) {
        case (.failure, _?): return []
        case (.failure(let error), nil): return ["Pharos refuses it: \(error.diagnostics.first?.message ?? "")"]
        case (.success(let settings), let refusal?):
            let isTold = settings.warnings.contains { $0.message.hasPrefix("Patroni itself does not start") }
            return isTold ? [] : ["Patroni refuses it: \(refusal)"]
        case (.success(let settings), nil):
            var theirs = Self.facts(recorded)
            // Patroni 3 shows its server's certificate as a client's, too. Its key is not for others to read.
            if isOld, let files = theirs["restapi's files"]?.split(separator: " "), files[1] == "/etc/cert.pem" {
                theirs["restapi's files"] = "\(files[0]) - -"
            }
            return Self.facts(settings).sorted { $0.key < $1.key }.filter { $0.value != theirs[$0.key] }
                .map { "\($0.key): \($0.value) here, \(theirs[$0.key] ?? "") there" }
        }
    }

    /// Why Patroni does not start with it, or finds no etcd.
    private static func refusal(_ recorded: JSON) -> String? {
        for part in [
            recorded, recorded["dcs"], recorded["dcs"]?["member"], recorded["restapi"], recorded["postgresql"],
        ] {
            if let text = part?["refused"]?.string, !text.hasPrefix("ProtocolError") { return text }
        }
        if let store = recorded["dcs"]?["store"]?.string, store != "etcd3" { return "the store is \(store)" }
        // What it makes of no host at all, or of a text that it takes for a list.
        let hosts = (recorded["dcs"]?["endpoints"]?.array ?? []).compactMap { $0.string?.split(separator: "/").last }
        let isNobody = hosts.allSatisfy { $0.hasPrefix("none:") || $0.hasSuffix(":80") && $0.utf8.count == 4 }
        return isNobody ? "it asks nobody" : nil
    }

    private static func facts(_ settings: Settings) -> [String: String] {
        let root = settings.namespace + settings.scope + "/" + (settings.group.map { "\($0)/" } ?? "")
        let conninfo = settings.postgres.conninfo.split(separator: " user=")[0].filter { $0 != "'" }
        return [
            "leader": root + "leader", "member": root + "members/" + settings.member,
            "endpoints": settings.etcd.endpoints.sorted().joined(separator: " "),
            "login": Self.login(settings.etcd.username, settings.etcd.password?.reveal()),
            "etcd's files": Self.text(settings.etcd.tls),
            "restapi": settings.patroni.url,
            "restapi's login": Self.login(settings.patroni.username, settings.patroni.password?.reveal()),
            "restapi's files": Self.text(settings.patroni.tls),
            "postgresql": conninfo,
        ]
    }

    private static func facts(_ recorded: JSON) -> [String: String] {
        let (dcs, rest, pg) = (recorded["dcs"], recorded["restapi"], recorded["postgresql"])
        let login = dcs?["login"]?.array?.map { $0.string ?? "?" } ?? []
        let restLogin = rest?["login"]?.string ?? ""
        let isTLS = rest?["url"]?.string?.hasPrefix("https") ?? false
        func files(_ part: JSON?, _ names: [String]) -> String {
            names.map { part?[$0]?.string ?? "-" }.joined(separator: " ")
        }
        return [
            "leader": dcs?["leader"]?.string ?? "", "member": dcs?["member"]?.string ?? "",
            "endpoints": (dcs?["endpoints"]?.array ?? []).map { Self.bracketed($0.string ?? "") }.sorted().joined(
                separator: " "),
            "login": login.joined(separator: ":"),
            "etcd's files": files(dcs?["tls"], ["ca_certs", "cert_file", "key_file"]),
            "restapi": isTLS ? Self.api(rest?["url"]?.string ?? "") : Self.listening(rest),
            "restapi's login": restLogin,
            "restapi's files": isTLS ? files(rest, ["ca", "cert", "key"]) : "- - -",
            "postgresql": "host=\(Self.local(pg?["socket"]?["host"]?.string ?? "/var/run/postgresql")) port="
                + (pg?["socket"]?["port"]?.string ?? ""),
        ]
    }

    private static func login(_ user: String?, _ password: String?) -> String {
        user.map { "\($0):\(password ?? "")" } ?? ""
    }

    private static func text(_ files: Settings.CertificatePaths) -> String {
        [files.caFile, files.certFile, files.keyFile].map { $0 ?? "-" }.joined(separator: " ")
    }

    /// urllib3's pools have addresses of IPv6 without brackets.
    private static func bracketed(_ url: String) -> String {
        let parts = url.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count > 3 else { return url }
        let host = parts[1...(parts.count - 2)].joined(separator: ":").dropFirst(2)
        return "\(parts[0])://[\(Self.shortest(String(host)))]:\(parts[parts.count - 1])"
    }

    private static func shortest(_ host: String) -> String {
        host == "fd00:0:0:0:0:0:0:1" ? "fd00::1" : host == "fd00:0:0:0:0:0:0:3" ? "fd00::3" : host
    }

    private static func api(_ url: String) -> String {
        let place = url.split(separator: "/")[1].lowercased()
        let hasPort = place.last != "]" && place.contains(":")
        return "https://\(place)" + (hasPort ? "" : ":443")
    }

    private static func listening(_ rest: JSON?) -> String {
        let host = rest?["host"]?.string ?? ""
        let place = ["", "*", "0.0.0.0"].contains(host) ? "127.0.0.1" : host == "::" ? "::1" : host.lowercased()
        return "http://\(place.contains(":") ? "[\(place)]" : place):\(rest?["port"]?.int64 ?? 0)"
    }

    private static func local(_ host: String) -> String {
        host == "localhost" ? "127.0.0.1" : host == "::" ? "::1" : host
    }
}
