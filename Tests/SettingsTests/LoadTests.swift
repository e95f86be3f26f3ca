// SPDX-License-Identifier: Apache-2.0
import Decision
import NetworkAddress
import Secrets
import Settings
import Testing

struct LoadTests {
    @Test func `three lines and Patroni's file are enough`() throws {
        let settings = try files(minimal).load()
        #expect(settings.scope == "demo" && settings.member == "n1" && settings.namespace == "/service/")
        #expect(settings.group == nil)
        #expect(
            settings.etcd.endpoints == [
                "http://10.10.10.11:2379", "http://10.10.10.12:2379", "http://10.10.10.13:2379",
            ]
        )
        #expect(settings.etcd.username == nil && settings.etcd.password == nil && settings.etcd.tls == .init())
        #expect(settings.patroni.url == "http://127.0.0.1:8008")
        #expect(settings.postgres.conninfo == "host=/var/run/postgresql port=5433 user=pharos dbname=postgres")
        let address = try #require(settings.addresses.first)
        #expect(settings.addresses.count == 1 && address.prefix.description == "10.10.10.3/24")
        #expect(
            address.interface == "eth1" && address.acquire == .writable && address.label == nil && address.port == 5433)
        #expect(settings.lease.ttl == nil && settings.lease.margin == .seconds(2))
        #expect(settings.lease.root == "/pharos/")
        #expect(settings.status.socket == "/run/pharos/pharos.sock" && settings.status.listen == nil)
        #expect(settings.namespace == "/service/" && settings.group == nil && settings.lease.root == "/pharos/")
        #expect(settings.warnings.isEmpty && settings.secrets.isEmpty)
    }

    @Test func `pharos yml wins over Patroni's file, key by key`() throws {
        let text = """
            patroni_config: /etc/patroni/config.yml
            member: other
            namespace: db//patroni
            group: 2
            etcd: { endpoints: ["HTTPS://etcd.Example.org", "http://[2001:DB8::5]:1234/"] }
            patroni: { url: "http://localhost" }
            postgres: { conninfo: "host=/tmp user='the pharos'" }
            addresses:
              - { address: 10.10.10.3/24, interface: eth1, acquire: leader_key, label: rw }
              - { address: "2001:db8::0:3/64", interface: eth1 }
            lease: { ttl: 10s, margin: 1500ms, clock_drift: 1.5%, root: ha/pharos }
            status: { socket: /run/p.sock, listen: "[::1]:8009" }
            """
        let settings = try files(text).load()
        #expect(settings.scope == "demo" && settings.member == "other" && settings.namespace == "/db/patroni/")
        #expect(settings.group == 2)
        #expect(settings.etcd.endpoints == ["https://etcd.example.org:2379", "http://[2001:db8::5]:1234"])
        #expect(settings.patroni.url == "http://localhost:8008")
        #expect(settings.postgres.conninfo == "host=/tmp user='the pharos'")
        #expect(settings.addresses.map(\.prefix.description) == ["10.10.10.3/24", "2001:db8::3/64"])
        #expect(settings.addresses[0].acquire == .leaderKey && settings.addresses[0].label == "rw")
        #expect(settings.lease.ttl == .seconds(10) && settings.lease.margin == .milliseconds(1500))
        #expect(settings.lease.clockDrift == 15_000)
        #expect(settings.lease.root == "/ha/pharos/")
        #expect(settings.namespace == "/db/patroni/" && settings.group == 2)
        #expect(settings.status.listen?.description == "[::1]:8009" && settings.status.listen?.port == 8009)
    }

    @Test(arguments: [
        "host=/run port=5433", "host='/my sockets,@abstract'", "host=10.0.0.1,::1", "host=db1,/run hostaddr=10.0.0.1,",
        "host=db.example.org hostaddr=10.0.0.1", "postgresql://", "postgresql:///postgres?host=/run",
        "postgresql://pharos@10.0.0.1:5433,[2001:db8::1]:5432/postgres", "postgres://%2Frun%2Fpg/postgres",
        "postgresql://db.example.org/postgres?hostaddr=10.0.0.1",
    ]) func `a connection that needs no resolver is taken as it stands`(conninfo: String) throws {
        let text = "\(minimal)\npostgres: { conninfo: \"\(conninfo)\" }\n"
        #expect(try files(text).load().postgres.conninfo == conninfo)
    }

    @Test func `without Patroni's file everything is said in pharos yml`() throws {
        let settings = try standalone("etcd: { endpoints: [http://10.0.0.1:2379] }").load()
        #expect(settings.patroni.url == "http://127.0.0.1:8008")
        #expect(settings.postgres.conninfo == "host=/var/run/postgresql user=pharos dbname=postgres")
        #expect(
            Files(["pharos.yml": "addresses: [{ address: 10.10.10.3/24, interface: eth1 }]"]).errors() == [
                "pharos.yml:1:1: 'scope' is missing: say it here, or name Patroni's configuration with 'patroni_config'",
                "pharos.yml:1:1: 'member' is missing: say it here, or name Patroni's configuration with 'patroni_config'",
                "pharos.yml:1:1: 'etcd.endpoints' is missing: say it here, or name Patroni's configuration with "
                    + "'patroni_config'",
            ]
        )
    }

    @Test func `every value is listed with its source, in a fixed order, and no secret among them`() throws {
        let text = """
            patroni_config: /etc/patroni/config.yml
            addresses:
              - { address: 10.10.10.3/24, interface: eth1 }
            etcd:
              username: pharos
              password_file: /etc/pharos/etcd-password
            """
        let settings = try files(text).adding("/etc/pharos/etcd-password", "hunter2-hunter2\n").load()
        let lines = settings.provenance.map(\.description)
        #expect(
            lines == [
                "patroni_config = /etc/patroni/config.yml  (pharos.yml:1)",
                "scope = demo  (/etc/patroni/config.yml:1)",
                "member = n1  (/etc/patroni/config.yml:2)",
                "namespace = /service/  (default)",
                "group =   (default)",
                "etcd.endpoints = http://10.10.10.11:2379, http://10.10.10.12:2379, http://10.10.10.13:2379  "
                    + "(/etc/patroni/config.yml:7)",
                "etcd.members = learn  (default)",
                "etcd.username = pharos  (pharos.yml:5)",
                "etcd.password = [redacted]  (pharos.yml:6)",
                "etcd.ca_file =   (default)",
                "etcd.cert_file =   (default)",
                "etcd.key_file =   (default)",
                "patroni.url = http://127.0.0.1:8008  (/etc/patroni/config.yml:4)",
                "patroni.username =   (default)",
                "patroni.password =   (default)",
                "patroni.ca_file =   (default)",
                "patroni.cert_file =   (default)",
                "patroni.key_file =   (default)",
                "postgres.conninfo = host=/var/run/postgresql port=5433 user=pharos dbname=postgres  "
                    + "(/etc/patroni/config.yml:11)",
                "addresses[0].address = 10.10.10.3/24  (pharos.yml:3)",
                "addresses[0].interface = eth1  (pharos.yml:3)",
                "addresses[0].acquire = writable  (default)",
                "addresses[0].port = 5433  (/etc/patroni/config.yml:12)",
                "addresses[0].label =   (default)",
                "lease.ttl = patroni  (default)",
                "lease.margin = 2s  (default)",
                "lease.clock_drift = 9%  (default)",
                "lease.root = /pharos/  (default)",
                "detector.profile = hyperscale  (default)",
                "detector.interval = 30s  (default)",
                "detector.timeout = 5s  (default)",
                "detector.threshold = 5  (default)",
                "detector.leak = 0.5  (default)",
                "detector.rise = 2  (default)",
                "detector.agreement = majority  (default)",
                "detector.minimum_sources = 2  (default)",
                "detector.lag_limit = 16MB  (default)",
                "detector.on_gray_failure = alert  (default)",
                "detector.node_conninfo = user=pharos  (default)",
                "status.socket = /run/pharos/pharos.sock  (default)",
                "status.listen =   (default)",
            ]
        )
        #expect(settings.etcd.password?.reveal() == "hunter2-hunter2")
        #expect(settings.secrets == [Secret("hunter2-hunter2")])
        var dumped = ""
        dump(settings, to: &dumped)
        #expect(!"\(settings) \(String(reflecting: settings)) \(dumped)".contains("hunter2"))
    }

    @Test func `equal files load as equal settings`() throws {
        #expect(try files(minimal).load() == files(minimal).load())
        #expect(try files(minimal).load() != files(minimal + "\nmember: n2").load())
    }

    @Test func `files that cannot be read are reported where they are named`() {
        #expect(Files().errors() == ["pharos.yml: cannot read 'pharos.yml': No such file or directory"])
        #expect(
            Files(["pharos.yml": minimal]).errors() == [
                "pharos.yml:1:17: cannot read '/etc/patroni/config.yml': No such file or directory"
            ]
        )
        let huge = String(repeating: "# filler\n", count: 200_000)
        #expect(files(minimal + huge).errors() == ["pharos.yml: cannot read 'pharos.yml': larger than 1048576 bytes"])
        #expect(
            files(minimal, patroni: "scope: [").errors() == [
                "/etc/patroni/config.yml:2:1: did not find expected node content, while parsing a flow node"
            ]
        )
    }
}

struct CredentialFileTests {
    private static let etcd = "etcd: { endpoints: [https://e:2379], username: u, password_file: /p, "
    private static let tls = "ca_file: /ca, cert_file: /cert, key_file: /key }"

    private func files(
        password: String = "secret",
        passwordMode: UInt32 = 0o640,
        key: UInt32 = 0o600,
        ca: UInt32 = 0o644
    ) -> Files {
        standalone(Self.etcd + Self.tls).adding("/p", password, mode: passwordMode).adding("/ca", "PEM", mode: ca)
            .adding("/cert", "PEM", mode: 0o644).adding("/key", "PEM", mode: key)
    }

    @Test func `readable files of the right modes are taken silently`() throws {
        let settings = try self.files().load()
        #expect(settings.etcd.tls == .init(caFile: "/ca", certFile: "/cert", keyFile: "/key"))
        #expect(settings.warnings.isEmpty)
    }

    @Test func `a secret that others can read is a warning`() throws {
        let settings = try self.files(passwordMode: 0o644, key: 0o660, ca: 0o646).load()
        #expect(
            settings.warnings.map(\.description) == [
                "pharos.yml:4:66: warning: '/p' holds a secret and is open to every user (mode 644); chmod o= it",
                "pharos.yml:4:79: warning: '/ca' can be changed by every user (mode 646); chmod o-w it",
                "pharos.yml:4:112: warning: '/key' can be changed by its group (mode 660); chmod g-w it",
            ]
        )
    }

    @Test func `missing files are errors, all of them`() {
        #expect(
            standalone(Self.etcd + Self.tls).errors() == [
                "pharos.yml:4:66: cannot read '/p': No such file or directory",
                "pharos.yml:4:79: cannot read '/ca': No such file or directory",
                "pharos.yml:4:95: cannot read '/cert': No such file or directory",
                "pharos.yml:4:112: cannot read '/key': No such file or directory",
            ]
        )
    }

    @Test(arguments: ["", "\n", "a\nb", "a\0b", "a\tb", String(repeating: "x", count: 1100)])
    func `a password file holds one line`(contents: String) {
        let errors = self.files(password: contents).errors()
        #expect(errors.count == 1 && errors[0].hasPrefix("pharos.yml:4:66: "), "\(errors)")
    }

    @Test(
        arguments: [
            ("secret", "secret"), ("secret\n", "secret"), ("se cret\r\n", "se cret"), ("ßecret ", "ßecret "),
            ("\u{feff}secret\n", "secret"),
        ])
    func `the line's end is no part of the password`(contents: String, password: String) throws {
        #expect(try self.files(password: contents).load().etcd.password?.reveal() == password)
    }

    @Test func `bytes that are no text are no password`() {
        var files = self.files()
        files.files["/p"]?.contents = [0xff, 0xfe, 0x41]
        #expect(files.errors() == ["pharos.yml:4:66: '/p': expected a password, one line of UTF-8 text"])
    }
}
