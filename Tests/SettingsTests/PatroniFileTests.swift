// SPDX-License-Identifier: Apache-2.0
import NetworkAddress
import Secrets
import Settings
import Testing

struct PatroniFileTests {
    /// Patroni's file with one more or another section.
    private func load(_ text: String) throws(SettingsError) -> Settings { try files(minimal, patroni: text).load() }
    private static let head = "scope: demo\nname: n1\n"
    /// What Patroni does not start without.
    private static let rest = "\nrestapi: { listen: ':8008' }\npostgresql: { listen: '*', data_dir: /d }\n"

    @Test(arguments: [
        ("hosts: [a:1, 'b']", ["http://a:1", "http://b:2379"]),
        ("hosts: 'a:1, b , a:1'", ["http://a:1", "http://b:2379"]),
        ("host: 10.0.0.1", ["http://10.0.0.1:2379"]), ("host: 10.0.0.1:99", ["http://10.0.0.1:99"]),
        ("hosts: a\n  port: 77", ["http://a:77"]), ("hosts: a\n  protocol: https", ["https://a:2379"]),
        ("url: https://e.example.org", ["https://e.example.org:2379"]),
        ("hosts: ['[2001:DB8::1]:5']", ["http://[2001:db8::1]:5"]),
        ("url: http://a\n  hosts: [b:1]", ["http://b:1"]), ("proxy: http://p:1\n  url: http://a", ["http://p:1"]),
        ("hosts: ['fd00:20::1:2379', d]", ["http://[fd00:20::1]:2379", "http://d:2379"]),
    ]) func `etcd's endpoints are read in every form that Patroni has`(lines: String, endpoints: [String]) throws {
        #expect(try self.load(Self.head + "etcd3:\n  \(lines)\n").etcd.endpoints == endpoints)
    }

    @Test func `etcd's credentials come along, the certificates only with https`() throws {
        let lines = "username: u\n  password: 'p:w'\n  cacert: /ca\n  cert: /cert\n  key: /key\n"
        let text = Self.head + "etcd3:\n  hosts: a\n  " + lines
        let plain = try self.load(text)
        #expect(plain.etcd.username == "u" && plain.etcd.password?.reveal() == "p:w" && plain.etcd.tls == .init())
        let secure = try files(minimal, patroni: text + "  protocol: https" + Self.rest).adding("/ca", "").adding(
            "/cert", ""
        )
        .adding("/key", "", mode: 0o644).load()
        #expect(secure.etcd.tls == .init(caFile: "/ca", certFile: "/cert", keyFile: "/key"))
        #expect(
            secure.warnings.map(\.description) == [
                "/etc/patroni/config.yml:9:8: warning: '/key' holds a secret and is open to every user (mode 644); "
                    + "chmod o= it"
            ]
        )
    }

    @Test func `a login in a URL is taken out of it`() throws {
        let etcd = try self.load(Self.head + "etcd3: { url: 'https://u:p@ss@h:1' }").etcd
        #expect(etcd.endpoints == ["https://h:1"] && etcd.username == "u" && etcd.password?.reveal() == "p@ss")
    }

    @Test(arguments: [
        "etcd3: { hosts: 'u:topsecret@h:1' }", "etcd3: { host: 'u:topsecret@h:1' }",
        "etcd3: { url: 'u:topsecret@h:1' }",
        "etcd3: { url: 'ftp://u:topsecret@h' }", "etcd3: { url: 'http://u:top/secret@h/p' }",
    ]) func `a login where none belongs is not shown`(text: String) {
        let errors = files(minimal, patroni: Self.head + text).errors().joined(separator: "\n")
        #expect(
            errors.contains("'etcd3.")
                && errors.contains("Patroni itself cannot use it; mend it, or say 'etcd.endpoints'"))
        #expect(!errors.contains("secret"), "\(errors)")
    }

    @Test func `a login of pharos yml is not mixed with Patroni's`() throws {
        let text = Self.head + "etcd3: { host: h, username: u, password: p }"
        let pharos = minimal + "\netcd: { username: me, password_file: /p }"
        let etcd = try files(pharos, patroni: text).adding("/p", "mine").load().etcd
        #expect(etcd.username == "me" && etcd.password?.reveal() == "mine")
        #expect(
            files(minimal, patroni: Self.head + "etcd3: { host: h, username: u }").errors() == [
                "/etc/patroni/config.yml:3:29: 'etcd': a user and a password belong together; the password is missing"
            ]
        )
    }

    @Test func `a password that everyone can read in Patroni's file is a warning`() throws {
        let text = Self.head + "etcd3: { protocol: https, host: h, username: u, password: p }" + Self.rest
        let settings = try files(minimal).adding(patroniPath, text, mode: 0o644).load()
        #expect(
            settings.warnings.map(\.description) == [
                "/etc/patroni/config.yml:3:59: warning: '/etc/patroni/config.yml' holds a secret and is open to every user "
                    + "(mode 644); chmod o= it"
            ]
        )
        #expect(try files(minimal).adding(patroniPath, patroni, mode: 0o644).load().warnings.isEmpty)
    }

    @Test(arguments: ["consul", "zookeeper", "kubernetes", "raft", "exhibitor"])
    func `another store cannot be followed`(store: String) {
        let expected =
            "Patroni keeps its keys in '\(store)', which Pharos cannot follow; it follows etcd ('etcd3') only"
        for text in ["\(store): { host: h }", "\(store): {}"] {
            let errors = files(minimal, patroni: Self.head + text).errors()
            #expect(errors == ["/etc/patroni/config.yml:3:1: " + expected])
        }
    }

    @Test(arguments: ["etcd: { host: h }", "etcd: {}\netcd3: { host: h }"])
    func `etcd's v2 store cannot be followed`(text: String) {
        let errors = files(minimal, patroni: Self.head + text).errors()
        #expect(
            errors == [
                "/etc/patroni/config.yml:3:1: Patroni keeps its keys in etcd's v2 store (section 'etcd'), which cannot be "
                    + "followed; move it to the v3 store by renaming the section to 'etcd3' on all members, as Patroni's "
                    + "documentation says"
            ]
        )
    }

    @Test(arguments: [
        ("listen: '*:8008'\n  connect_address: n1:8008", "http://127.0.0.1:8008"),
        ("listen: ':8009'", "http://127.0.0.1:8009"),
        ("listen: '0.0.0.0:8008'", "http://127.0.0.1:8008"), ("listen: ':::8008'", "http://[::1]:8008"),
        ("listen: '[::]:8008'", "http://[::1]:8008"),
        ("listen: 10.0.0.5:8008\n  connect_address: 1.2.3.4:80", "http://10.0.0.5:8008"),
        ("listen: N1:80", "http://n1:80"),
        ("listen: '*:8008'\n  connect_address: n1:8008\n  certfile: cert.pem", "https://n1:8008"),
        ("listen: 127.0.0.1:8008\n  certfile: /c", "https://127.0.0.1:8008"),
    ]) func `Patroni's API is asked where it answers`(lines: String, url: String) throws {
        #expect(try self.load(Self.head + "etcd3: { host: h }\nrestapi:\n  \(lines)\n").patroni.url == url)
    }

    @Test func `the files for Patroni's API are those of its own clients`() throws {
        let text =
            Self.head
            + "etcd3: { host: h }\nrestapi: { listen: 'n1:8008', certfile: c.pem, cafile: /restca, authentication: "
            + "{ username: u, password: p } }\n"
        let ctl = "ctl: { cacert: /ctlca, certfile: /cert, keyfile: /key }\n"
        let environment = files(minimal).adding("/restca", "").adding("/ctlca", "").adding("/cert", "").adding(
            "/key",
            ""
        )
        let plain = try environment.adding(patroniPath, text).load().patroni
        #expect(plain.tls == .init(caFile: "/restca") && plain.username == "u" && plain.password?.reveal() == "p")
        let tls = try environment.adding(patroniPath, text + ctl).load().patroni.tls
        #expect(tls == .init(caFile: "/ctlca", certFile: "/cert", keyFile: "/key"))
        let odd = "ctl: { insecure: true, certfile: /cert, keyfile: /key, keyfile_password: secret }\n"
        let settings = try environment.adding(patroniPath, text + odd + "postgresql: { listen: h, data_dir: /d }")
            .load()
        #expect(settings.patroni.tls == .init(caFile: "/restca"))
        #expect(settings.warnings.map(\.line) == [5, 5] && !settings.warnings.description.contains("secret"))
    }

    @Test(arguments: [
        ("listen: 0.0.0.0:5433", "host=/var/run/postgresql port=5433"),
        ("listen: '*'", "host=/var/run/postgresql port=5432"),
        ("listen: 'a,b:5434'\n  parameters: { unix_socket_directories: '' }", "host=a port=5434"),
        ("listen: ''", "host=/var/run/postgresql port=5432"),
        (
            "listen: '10.0.0.1,127.0.0.1:5434'\n  parameters: { unix_socket_directories: '' }",
            "host=127.0.0.1 port=5434"
        ),
        ("listen: '[2001:db8::1]:5434'\n  parameters: { unix_socket_directories: '' }", "host=2001:db8::1 port=5434"),
        (
            "listen: h\n  data_dir: /d/a b\n  parameters: { unix_socket_directories: ' .' }",
            "host='/d/a b' port=5432"
        ),
        ("listen: h\n  data_dir: /d\n  parameters: { Unix_Socket_Directories: 's, /tmp' }", "host=/tmp port=5432"),
        ("listen: h\n  data_dir: /d\n  parameters: { unix_socket_directories: 's' }", "host=/d/s port=5432"),
        ("listen: h\n  parameters: { unix_socket_directories: '/tmp, /run' }", "host=/tmp port=5432"),
    ]) func `PostgreSQL is reached over its socket where it has one`(lines: String, start: String) throws {
        let settings = try self.load(Self.head + "etcd3: { host: h }\npostgresql:\n  \(lines)\n")
        #expect(settings.postgres.conninfo == start + " user=pharos dbname=postgres")
    }

    @Test func `names and group are read, merges and repetitions as Patroni reads them`() throws {
        let text = """
            base: &base { name: merged, namespace: /db, ttl: 1 }
            <<: *base
            scope: first
            scope: "demo"
            citus: { group: 3, database: app }
            etcd3: &e { host: h }
            again: *e
            """
        let settings = try self.load(text + Self.rest)
        #expect(settings.scope == "demo" && settings.member == "merged" && settings.namespace == "/db/")
        #expect(settings.group == 3 && settings.warnings.isEmpty)
    }

    @Test func `what Patroni's file does not say is missing, and only that`() {
        #expect(
            files(minimal, patroni: "name: [a]\nscope:\nother: 1").errors() == [
                "/etc/patroni/config.yml:1:7: 'name': expected a text, not a list or a mapping: Patroni itself cannot use it; "
                    + "mend it, or say 'member' in pharos.yml",
                "pharos.yml:1:17: 'scope' is missing: '/etc/patroni/config.yml' has no usable 'scope'; say it in pharos.yml",
                "pharos.yml:1:17: 'etcd.endpoints' is missing: '/etc/patroni/config.yml' has no usable 'etcd3.hosts'; say it "
                    + "in pharos.yml",
            ]
        )
        #expect(
            files(minimal, patroni: "- a").errors() == [
                "/etc/patroni/config.yml:1:1: expected Patroni's configuration: a mapping with 'scope', 'name' and 'etcd3'"
            ]
        )
    }
}

struct TemplateTests {
    @Test func `a configuration is made from Patroni's, and it loads`() throws {
        let environment = files("").environment
        let (text, _) = try renderConfiguration(
            fromPatroni: patroniPath,
            address: "10.10.10.3/24",
            interface: "eth1",
            environment: environment
        )
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            lines == [
                "patroni_config: /etc/patroni/config.yml", "addresses:",
                "  - { address: \"10.10.10.3/24\", interface: eth1 }",
            ]
        )
        #expect(try files(text).load().addresses == files(minimal).load().addresses)
    }

    @Test(arguments: ["on", "1", "0x1", "a,b", "a}", "a\"b\\c", "#a", "*a", "é", "~", "-", "br-lan.5", "a'b"])
    func `odd names are put in quotes`(interface: String) throws {
        let path = "/etc/a: b #c\"\\d"
        let (text, _) = try renderConfiguration(
            fromPatroni: path,
            address: "2001:DB8::0:3/64",
            interface: interface,
            environment: Files([path: patroni]).environment
        )
        let settings = try Files(["pharos.yml": text, path: patroni]).load()
        #expect(settings.addresses.first?.interface == interface)
        #expect(settings.addresses.first?.prefix.description == "2001:db8::3/64")
    }

    @Test func `bad arguments are all reported`() {
        let error = #expect(throws: SettingsError.self) {
            try renderConfiguration(
                fromPatroni: "p.yml",
                address: "10.10.10.3",
                interface: "",
                environment: Files().environment
            )
        }
        #expect(
            error?.diagnostics.map(\.description) == [
                "--from-patroni: expected an absolute path, not 'p.yml'",
                "--address: 10.10.10.3 has no prefix length; say for example 10.10.10.3/24",
                "--interface: expected a value, not an empty text",
            ]
        )
        let missing = #expect(throws: SettingsError.self) {
            try renderConfiguration(
                fromPatroni: "/p",
                address: "10.0.0.1/8",
                interface: "a",
                environment: Files().environment
            )
        }
        #expect(missing?.description == "--from-patroni: cannot read '/p': No such file or directory")
    }
}
