// SPDX-License-Identifier: Apache-2.0
import NetworkAddress
import Settings
import Testing

/// api.yml: what it may say, and what is said of what it may not.
struct APISettingsTests {
    private static let path = "/etc/pharos/api.yml"

    private func load(_ text: String, at path: String = path, _ more: [String: String] = [:]) throws(SettingsError)
        -> APISettings
    {
        var files = Files([path: text])
        for (name, text) in more { files = files.adding(name, text) }
        return try APISettings.load(path: path, environment: files.environment)
    }

    private func errors(_ text: String, _ location: Testing.SourceLocation = #_sourceLocation) -> [String] {
        do throws(SettingsError) {
            Issue.record("\(try self.load(text, ["/c": "", "/k": "", "/a": "", "/t": ""]))", sourceLocation: location)
            return []
        } catch {
            return error.diagnostics.filter { $0.severity == .error }.map(\.description)
        }
    }

    @Test func `one line is enough, and the rest follows from the file's name`() throws {
        let settings = try self.load("listen: [\"127.0.0.1:8010\"]")
        #expect(settings.socket == "/run/pharos-api/api.sock")
        #expect(settings.daemonSocket == "/run/pharos/pharos.sock")
        #expect(settings.listen.map { "\($0)" } == ["127.0.0.1:8010"])
        #expect(settings.tls == nil && settings.tokens == nil && settings.open == [.health, .primary])
        #expect(settings.warnings == [])
        let other = try self.load("listen: [\"[::1]:8010\"]", at: "/etc/pharos/api/15-main.yml")
        #expect(other.socket == "/run/pharos-api@15-main/api.sock")
        #expect(other.daemonSocket == "/run/pharos@15-main/pharos.sock")
    }

    @Test func `a complete file`() throws {
        let settings = try self.load(
            """
            listen: [10.0.0.11:8010, "[fd00::11]:8010"]
            socket: /run/a.sock
            daemon_socket: /run/d.sock
            tls: { cert_file: /c, key_file: /k, client_ca_file: /a }
            access:
              tokens_file: /t
              certificates: [{ name: prometheus, role: look }, { name: on-call, role: endanger }]
              open: [metrics]
            """, ["/c": "", "/k": "", "/a": "", "/t": ""])
        #expect(settings.listen.map { "\($0)" } == ["10.0.0.11:8010", "[fd00::11]:8010"])
        #expect(
            settings.tls?.certificate == "/c" && settings.tls?.key == "/k" && settings.tls?.clientAuthorities == "/a")
        #expect(settings.tokens == "/t" && settings.open == [.metrics])
        #expect(settings.certificates.map(\.name) == ["prometheus", "on-call"])
        #expect(settings.certificates.map(\.role) == [.look, .endanger])
        #expect(settings.socket == "/run/a.sock" && settings.daemonSocket == "/run/d.sock")
        #expect(try self.load("access: { open: [] }").open == [])
    }

    @Test func `beyond loopback nothing is served without TLS and somebody who may`() {
        let plain = self.errors("listen: [10.0.0.11:8010]")
        #expect(plain.count == 2)
        #expect(
            plain[0].hasPrefix(
                "/etc/pharos/api.yml:1:10: 'listen': 10.0.0.11:8010 can be reached from other hosts: that needs 'tls'"))
        #expect(plain[1].contains("that needs 'tokens_file' in 'access'"))
        let nobody = self.errors("listen: [10.0.0.11:8010]\ntls: { cert_file: /c, key_file: /k }")
        #expect(nobody.count == 1 && nobody[0].contains("'tokens_file'"))
        let overheard = self.errors("listen: [10.0.0.11:8010]\naccess: { tokens_file: /t }")
        #expect(overheard.count == 1 && overheard[0].contains("needs 'tls' with cert_file and key_file"))
        let files = ["/c": "", "/k": "", "/t": "", "/a": ""]
        for access in [
            "tls: { cert_file: /c, key_file: /k }\naccess: { tokens_file: /t }",
            "tls: { cert_file: /c, key_file: /k, client_ca_file: /a }\naccess: { certificates: [{ name: n, role: look }] }",
        ] {
            #expect((try? self.load("listen: [10.0.0.11:8010]\n\(access)", files)) != nil)
        }
        #expect((try? self.load("listen: [127.0.0.1:8010, \"[::1]:8010\"]")) != nil)
    }

    @Test(arguments: [
        ("", "1:1: the file is empty; expected at least one key, such as 'listen: [\"127.0.0.1:8010\"]'"),
        ("listn: []", "1:1: unknown key 'listn'; did you mean 'listen'?"),
        ("tls: { cert_fil: /c }", "1:8: unknown key 'cert_fil' in 'tls'; did you mean 'cert_file'?"),
        ("tokens_file: /t", "1:1: unknown key 'tokens_file'; it belongs in 'access'"),
        ("scope: demo", "1:1: unknown key 'scope'; expected one of listen, socket, daemon_socket, tls, access"),
        (
            "listen: [\"0.0.0.0:8010\"]",
            "1:10: 'listen': listening on every interface is refused; name one address, best 127.0.0.1 or [::1]"
        ),
        (
            "listen: [127.0.0.1]",
            "1:10: 'listen': expected an address and a port such as 127.0.0.1:8009 or [::1]:8009, not '127.0.0.1'"
        ),
        ("listen: [127.0.0.1:1, 127.0.0.1:1]", "1:23: 'listen': 127.0.0.1:1 is given twice"),
        ("socket: api.sock", "1:9: 'socket': expected an absolute path, not 'api.sock'"),
        (
            "socket: /run/pharos/pharos.sock",
            "1:9: 'socket' is the API's own and 'daemon_socket' the daemon's: they cannot be the same"
        ),
        (
            "listen: [127.0.0.1:1]\ntls: { cert_file: /c }",
            "2:6: 'key_file' is missing in 'tls'; expected the absolute path of a PEM file"
        ),
        (
            "access: { open: [everything] }",
            "1:18: 'open' in 'access': expected one of health, primary, metrics, not 'everything'"
        ),
        ("access: { certificates: [{ name: n }] }", "1:26: 'role' is missing in 'certificates'"),
        (
            "access: { certificates: [{ name: n, role: admin }] }",
            "1:43: 'role' in 'certificates': expected one of look, operate, endanger, not 'admin'"
        ),
        (
            "access: { tokens: [secret] }",
            "1:11: key 'tokens' in 'access': tokens do not belong in this file: `pharos token add NAME --role look` makes one"
        ),
    ]) func `a mistake is told with its place and what was expected`(text: String, message: String) {
        #expect(self.errors(text).contains("\(Self.path):\(message)"))
    }

    @Test func `names without an authority, and an authority without names, prove nothing`() {
        let names = self.errors("access: { certificates: [{ name: n, role: look }] }")
        #expect(names.count == 1 && names[0].contains("needs 'client_ca_file' in 'tls'"))
        let authority = self.errors("listen: [127.0.0.1:1]\ntls: { cert_file: /c, key_file: /k, client_ca_file: /a }")
        #expect(authority.count == 1 && authority[0].contains("needs 'certificates' in 'access'"))
    }

    @Test func `a file that cannot be read is told, and one that all can read is warned of`() throws {
        let missing = self.errors("listen: [127.0.0.1:1]\ntls: { cert_file: /none, key_file: /k }")
        #expect(missing == ["\(Self.path):2:19: cannot read '/none': No such file or directory"])
        var files = Files([Self.path: "listen: [127.0.0.1:1]\naccess: { tokens_file: /t }"]).adding(
            "/t", "", mode: 0o644)
        files = files.adding("/k", "", mode: 0o644)
        let settings = try APISettings.load(path: Self.path, environment: files.environment)
        #expect(settings.warnings.first?.message.contains("is open to every user (mode 644)") == true)
    }

    @Test func `a name of the API's is no cluster's, and each cluster has files of its own`() {
        #expect(DaemonInstance(named: "api") == nil)
        #expect(DaemonInstance(configuration: "/etc/pharos/api.yml") == DaemonInstance())
        let plain = APIInstance()
        #expect(
            plain.configuration == Self.path && plain.unit == "pharos-api" && plain.tokens == "/etc/pharos/api.tokens")
        let named = APIInstance(configuration: "/etc/pharos/api/15-main.yml")
        #expect(named.unit == "pharos-api@15-main" && named.tokens == "/etc/pharos/api/15-main.tokens")
        #expect(named.configuration == "/etc/pharos/api/15-main.yml" && named.daemon.unit == "pharos@15-main")
        for other in ["/etc/pharos/api/../x.yml", "/tmp/api.yml", "/etc/pharos/15-main.yml", "/etc/pharos/api/.yml"] {
            #expect(APIInstance(configuration: other) == plain, "\(other)")
        }
    }
}
