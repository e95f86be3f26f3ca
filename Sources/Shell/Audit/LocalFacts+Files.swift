// SPDX-License-Identifier: Apache-2.0
import Audit
import EventLoop
import Settings

/// Certificates and keys, and what Patroni's file says.
extension LocalFacts {
    @EventLoop
    mutating func readCertificates(_ settings: Settings, _ patroni: PatroniExcerpt?) async {
        var certificates = [
            settings.etcd.tls.caFile, settings.etcd.tls.certFile, settings.patroni.tls.caFile,
            settings.patroni.tls.certFile,
        ].compactMap(\.self)
        var keys = [settings.etcd.tls.keyFile, settings.patroni.tls.keyFile].compactMap(\.self)
        if let patroni {
            certificates += [
                patroni.text("restapi", "certfile"), patroni.text("restapi", "cafile"), patroni.text("etcd3", "cacert"),
                patroni.text("etcd3", "cert"), patroni.text("postgresql", "parameters", "ssl_cert_file"),
            ].compactMap(\.self)
            keys += [
                patroni.text("restapi", "keyfile"), patroni.text("etcd3", "key"),
                patroni.text("postgresql", "parameters", "ssl_key_file"),
            ].compactMap(\.self)
        }
        self.setKeys(Set(keys).sorted())
        var found: [AuditFacts.Node.Certificate] = []
        for path in Set(certificates).sorted() {
            let command = ["/usr/bin/openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", path]
            switch await Self.run(command) {
            case .failure(let why): return self.set(certificates: .unlooked(why: why.text))
            case .success(let text):
                guard let left = Self.secondsLeft(text, at: WallClock.seconds) else {
                    return self.set(certificates: .unlooked(why: "openssl x509 of \(path): \(text.firstLine)"))
                }
                var certificate = AuditFacts.Node.Certificate()
                certificate.path = path
                certificate.left = left
                found.append(certificate)
            }
        }
        self.set(certificates: .known(found, source: "openssl x509"))
    }

    /// From `notAfter=2027-11-30 20:05:19Z`.
    static func secondsLeft(_ text: String, at now: Int64) -> Int64? {
        let words = text.split { "= \n".contains($0) }
        guard words.count >= 3, words[0] == "notAfter", let day = AuditDate(String(words[1])) else { return nil }
        let clock = words[2].prefix { $0 != "Z" }.split(separator: ":").compactMap { Int64($0) }
        guard clock.count == 3 else { return nil }
        return day.daysSince1970 * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2] - now
    }

    private mutating func setKeys(_ paths: [String]) {
        var files: [AuditFacts.Node.KeyFile] = []
        for path in paths {
            switch SettingsEnvironment.system.read(path, 1 << 20) {
            case .failure(let error): return self.set(keys: .unlooked(why: "\(path): \(error)"))
            case .success(let file):
                var key = AuditFacts.Node.KeyFile()
                key.path = path
                key.mode = file.mode
                files.append(key)
            }
        }
        self.set(keys: .known(files, source: "the files' modes"))
    }
}

extension AuditFacts.PatroniLocal {
    /// Without its secrets.
    init(_ patroni: PatroniExcerpt) {
        self.init()
        // Debian's template, and the one of Patroni's source.
        let templates: Set<String> = ["rep-pass", "rewind_password", "zalando"]
        self.watchdogMode = Self.mode(patroni.text("watchdog", "mode"))
        self.watchdogDevice = patroni.text("watchdog", "device") ?? "/dev/watchdog"
        self.restListen = patroni.text("restapi", "listen")
        self.hasRestAuthentication =
            patroni.has("restapi", "authentication", "username") && patroni.has("restapi", "authentication", "password")
        self.hasRestTLS = patroni.has("restapi", "certfile")
        self.hasRestAllowlist = patroni.has("restapi", "allowlist")
        self.restVerifiesClients = patroni.text("restapi", "verify_client") ?? "none"
        self.callbacks = patroni.texts("postgresql", "callbacks")
        self.usesEtcdV2 = patroni.has("etcd") && !patroni.has("etcd3")
        self.bootstrap = patroni.texts("bootstrap", "dcs")
        for login in ["superuser", "replication", "rewind"] {
            if let password = patroni.text("postgresql", "authentication", login, "password"),
                templates.contains(password)
            {
                self.templatePasswords.append(login)
            }
        }
        self.removesDataOnRewindFailure = Self.isOn(
            patroni.text("postgresql", "remove_data_directory_on_rewind_failure"))
        self.removesDataOnDivergence = Self.isOn(
            patroni.text("postgresql", "remove_data_directory_on_diverged_timelines"))
        self.replicationUser = patroni.text("postgresql", "authentication", "replication", "username")
    }

    private static func isOn(_ text: String?) -> Bool { ["true", "on", "yes", "1"].contains(text?.lowercased() ?? "") }

    /// As Patroni takes it: what it does not know is off. YAML 1.1 makes false of `off`.
    private static func mode(_ text: String?) -> String {
        switch text?.lowercased() {
        case nil, "auto"?, "automatic"?: "automatic"
        case "require"?, "required"?: "required"
        default: "off"  // Text.
        }
    }
}
