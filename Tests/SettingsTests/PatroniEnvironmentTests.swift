// SPDX-License-Identifier: Apache-2.0
import Secrets
import Testing

@testable import Settings

/// Patroni's environment, from files as systemd reads them (systemd.exec(5)).
struct PatroniEnvironmentTests {
    @Test(arguments: [
        ("A=b", ["A=b"]), ("A=b\n", ["A=b"]), ("A = b c \n", ["A=b c"]), ("A=\nB=c", ["A=", "B=c"]),
        ("# A=b\n; A=c\n\n  # A=d\nA=e", ["A=e"]), ("A='b c' \n", ["A=b c"]),
        ("A=\"b \\\"c\\\" \\d\"", ["A=b \"c\" \\d"]),
        ("A='b\\c'", ["A=b\\c"]), ("A=b\\\nc", ["A=bc"]), ("A=b\\c", ["A=bc"]), ("A=\"b\nc\"\nB=d", ["A=b\nc", "B=d"]),
        ("A='b'\"c\"d", ["A=bcd"]), ("A=b'c'", ["A=b'c'"]), ("A=b # c", ["A=b # c"]),
        ("A=b\r\nB=c\r\n", ["A=b", "B=c"]),
        ("A=b\nA=c", ["A=c"]), ("export A=b\n1A=c\nno assignment\nB=d", ["B=d"]), ("A=b=c", ["A=b=c"]), ("", []),
        ("A='b", ["A=b"]),
        ("A=\"$x \\$y\"", ["A=$x $y"]), ("A=größe", ["A=größe"]),
    ])
    func `an environment file is read as systemd reads it`(text: String, expected: [String]) {
        #expect(EnvironmentFile.assignments(in: Array(text.utf8)).map { "\($0.name)=\($0.value)" } == expected)
    }

    @Test(arguments: [
        ("[Service]\nEnvironment=A=b C=d", ["A=b", "C=d"]),
        ("[Service]\nEnvironment=\"A=b c\" 'D=e'\n", ["A=b c", "D=e"]),
        ("[Service]\nEnvironment=A=b\nEnvironment=\nEnvironment=C=d", ["C=d"]),
        ("[Unit]\nEnvironment=A=b\n[Service]\n# Environment=A=c\nExecStart=/bin/x", []),
        ("[Service]\nEnvironment=A=b \\\n  C=d \\\n# no\n  E=f\n", ["A=b", "C=d", "E=f"]),
        ("[Service]\nEnvironment=A=50%%", ["A=50%"]),
        ("[Service]\nEnvironment=A=\"b c\"", ["A=b c"]), ("[Service]\nEnvironment=A=b\\x", ["A=bx"]),
    ])
    func `so is the environment in a unit or a drop-in`(text: String, expected: [String]) {
        #expect(EnvironmentFile.assignments(in: Array(text.utf8)).map { "\($0.name)=\($0.value)" } == expected)
    }

    @Test func `what is no text, or far too much, is survived`() {
        #expect(EnvironmentFile.assignments(in: [0x41, 0x3d, 0xff]).isEmpty)
        let many = Array((0..<5000).map { "A\($0)=b\n" }.joined().utf8)
        #expect(EnvironmentFile.assignments(in: many).count == EnvironmentFile.limit)
        for cut in 0..<40 {
            _ = EnvironmentFile.assignments(in: Array("[Service]\nEnvironment=\"A=b c\" \\\nD=\\".utf8.prefix(cut)))
        }
    }

    private static let environment = "/etc/patroni_env.conf"

    private func load(_ text: String, mode: UInt32 = 0o640, patroni content: String = patroni) throws -> Settings {
        try files(minimal + "\npatroni_environment: \(Self.environment)", patroni: content)
            .adding(Self.environment, text, mode: mode).load()
    }

    @Test func `every value says where it came from, and secrets are not shown`() throws {
        let text =
            "# of Patroni\nPATRONI_SCOPE=other\nPATRONI_ETCD3_HOSTS='10.0.0.1:2379'\nPATRONI_ETCD3_USERNAME=u\n"
            + "PATRONI_ETCD3_PASSWORD=hunter2-hunter2\nPATRONI_LOG_LEVEL=DEBUG\nLANG=C\n"
        let settings = try self.load(text, mode: 0o644)
        #expect(settings.scope == "other" && settings.etcd.password?.reveal() == "hunter2-hunter2")
        let lines = settings.provenance.map(\.description)
        #expect(lines.contains("scope = other  (\(Self.environment):2)"))
        #expect(lines.contains("etcd.endpoints = http://10.0.0.1:2379  (\(Self.environment):3)"))
        #expect(lines.contains("patroni_environment[0] = \(Self.environment)  (pharos.yml:4)"))
        #expect(!lines.joined().contains("hunter2") && !settings.warnings.description.contains("hunter2"))
        #expect(
            settings.warnings.map(\.description).first
                == "\(Self.environment):5:1: warning: '\(Self.environment)' holds a secret and "
                + "is open to every user (mode 644); chmod o= it")
    }

    @Test func `what Patroni passes over is passed over, and said`() throws {
        let settings = try self.load(
            "PATRONI_ETCD3_PASSWORD=hunter2-hunter2\nPATRONI_CITUS_GROUP=one\nPATRONI_ETCD3_HOSTS='[a'")
        #expect(
            settings.warnings.map(\.description) == [
                "\(Self.environment):1:1: warning: 'PATRONI_ETCD3_PASSWORD' is passed over, as by Patroni: it takes a login from its "
                    + "environment only beside another PATRONI_ETCD3_… there",
                "\(Self.environment):2:1: warning: 'PATRONI_CITUS_GROUP' is passed over, as by Patroni: it is no number",
                "\(Self.environment):3:1: warning: 'PATRONI_ETCD3_HOSTS' is passed over, as by Patroni: it is no list",
            ])
    }

    @Test func `what finds etcd by DNS or through proxies, and what clients connect to, comes from it too`() throws {
        let settings = try self.load(
            "PATRONI_ETCD3_SRV=example.org\nPATRONI_ETCD3_SRV_SUFFIX=ha\nPATRONI_ETCD3_USE_PROXIES=on\n"
                + "PATRONI_POSTGRESQL_CONNECT_ADDRESS=10.0.0.1:6543\n")
        #expect(settings.etcd.discovery == .init(domain: "example.org", suffix: "ha"))
        #expect(settings.etcd.members == .ignore)
        #expect(settings.addresses.map(\.port) == [6543])
        let off = try self.load("PATRONI_ETCD3_USE_PROXIES=off")
        #expect(off.etcd.members == .learn)
        let proxy = try self.load("PATRONI_ETCD3_PROXY=http://10.0.0.9:2399")
        #expect(proxy.etcd.members == .ignore && proxy.etcd.endpoints == ["http://10.0.0.9:2399"])
        let odd = try self.load("PATRONI_ETCD3_USE_PROXIES=maybe").warnings.map(\.description)
        #expect(odd.first?.contains("'PATRONI_ETCD3_USE_PROXIES' is passed over, as by Patroni: it is neither") == true)
    }

    @Test func `several files, the later over the earlier, and no file of Patroni's at all`() throws {
        let text =
            "PATRONI_SCOPE=a\nPATRONI_NAME=n\nPATRONI_ETCD3_HOST=h\nPATRONI_RESTAPI_LISTEN=:1\nPATRONI_POSTGRESQL_LISTEN=h\n"
            + "PATRONI_POSTGRESQL_DATA_DIR=/d\n"
        let addresses = "addresses: [{ address: 10.10.10.3/24, interface: eth1 }]"
        let settings = try Files([
            "pharos.yml": "\(addresses)\npatroni_environment: [/a, /b]", "/a": text,
            "/b": "[Service]\nEnvironment=PATRONI_SCOPE=b",
        ]).load()
        #expect(settings.scope == "b" && settings.member == "n" && settings.etcd.endpoints == ["http://h:2379"])
        #expect(settings.warnings.isEmpty)
    }

    @Test func `a file that cannot be read, and a mistake in it, are told with their places`() {
        #expect(
            files(minimal + "\npatroni_environment: /nowhere").errors() == [
                "pharos.yml:4:22: cannot read '/nowhere': No such file or directory"
            ])
        #expect(
            files(minimal + "\npatroni_environment: /e").adding("/e", "\nPATRONI_RESTAPI_LISTEN=8008").errors() == [
                "/e:2:1: 'restapi.listen': expected a host and a port, such as 10.0.0.1:8008, not '8008': Patroni itself cannot use it; "
                    + "mend it, or say 'patroni.url' in pharos.yml"
            ])
        #expect(
            files(minimal + "\npatroni_environment: [\(Array(repeating: "/e", count: 9).joined(separator: ", "))]")
                .errors()
                .contains("pharos.yml:4:55: 'patroni_environment': at most 8 files"))
    }

    @Test func `a folder of Patroni's files is read in the order of their names`() throws {
        let folder = Files([
            "pharos.yml": minimal, "\(patroniPath)/20.yaml": "scope: later\netcd3: { protocol: https }",
            "\(patroniPath)/10.yml": patroni, "\(patroniPath)/30.txt": "scope: no",
        ])
        let settings = try folder.load()
        #expect(settings.scope == "later" && settings.etcd.endpoints.first == "https://10.10.10.11:2379")
        #expect(settings.provenance.contains { $0.description == "scope = later  (\(patroniPath)/20.yaml:1)" })
        #expect(
            folder.adding("\(patroniPath)/40.yml", "- a").errors().first?.hasPrefix(
                "\(patroniPath)/40.yml:1:1: expected Patroni's") == true)
        let much = "x: [" + Array(repeating: "1", count: 15_000).joined(separator: ", ") + "]"
        let heap = ["40.yml", "50.yml", "60.yml"].reduce(folder) { $0.adding("\(patroniPath)/\($1)", much) }
        #expect(heap.errors().first?.contains("at most 40000") == true)
        #expect(
            Files(["pharos.yml": minimal, "\(patroniPath)/x": ""]).errors() == [
                "pharos.yml:1:17: '\(patroniPath)' is a folder and holds no '*.yml'"
            ])
    }
}

/// What Patroni's unit gives it and Pharos is not told of.
struct PatroniUnitTests {
    /// As Debian's package has them.
    private static let units = [
        "/usr/lib/systemd/system/patroni.service":
            "[Service]\nUser=postgres\nEnvironmentFile=-/etc/patroni_env.conf\nExecStart=/usr/bin/patroni x",
        "/usr/lib/systemd/system/patroni@.service":
            "[Service]\nEnvironmentFile=-/etc/patroni/%i.env\nExecStart=/usr/bin/patroni x",
    ]

    private func warnings(_ more: [String: String], _ extra: String = "") throws -> [String] {
        var files = files("\(minimal)\n\(extra)")
        for (path, text) in Self.units.merging(more, uniquingKeysWith: { $1 }) { files = files.adding(path, text) }
        return try files.load().unseenEnvironment(files.environment).map(\.description)
    }

    private static let secret =
        "PATRONI_LOG_LEVEL=DEBUG\nPATRONI_ETCD3_PROTOCOL=http\nPATRONI_RESTAPI_CERTFILE=hunter2\n"

    @Test func `a file of its unit's that is not named is a warning, without any value`() throws {
        #expect(try self.warnings([:]) == [])
        #expect(try self.warnings(["/etc/patroni_env.conf": "PATRONI_LOG_LEVEL=DEBUG"]) == [])
        for path in ["/etc/patroni_env.conf", "/etc/patroni/config.env"] {
            #expect(
                try self.warnings([path: Self.secret]) == [
                    "\(path):2:1: warning: Patroni's unit sets PATRONI_ETCD3_PROTOCOL, PATRONI_RESTAPI_CERTFILE, which Pharos does not see; name "
                        + "the file in pharos.yml: patroni_environment: \(path)"
                ])
            #expect(try self.warnings([path: Self.secret], "patroni_environment: \(path)") == [])
        }
    }

    @Test func `so is a unit or a drop-in, where systemd reads it`() throws {
        let lines = "[Service]\nEnvironment=PATRONI_SCOPE=x\n"
        let path = "/etc/systemd/system/patroni.service.d/env.conf"
        #expect(
            try self.warnings([path: lines]) == [
                "\(path):2:1: warning: Patroni's unit sets PATRONI_SCOPE, which Pharos does not see; name the file in pharos.yml: "
                    + "patroni_environment: \(path)"
            ])
        #expect(try self.warnings([path: lines], "patroni_environment: \(path)") == [])
        // A unit in /etc hides the package's; the same name in /etc hides a drop-in below /usr.
        let hidden = [
            "/etc/systemd/system/patroni.service": "[Service]\nExecStart=/x", "/etc/patroni_env.conf": Self.secret,
            "/usr/lib/systemd/system/patroni.service.d/env.conf": lines, path: "[Service]\n",
        ]
        #expect(try self.warnings(hidden) == [])
        #expect(try self.warnings([path: "[Service]\nEnvironmentFile=\n", "/etc/patroni_env.conf": Self.secret]) == [])
    }

    @Test func `a file that cannot be read is told, not passed over`() throws {
        #expect(
            try self.warnings(["/etc/patroni_env.conf/x": ""]) == [
                "/etc/patroni_env.conf: warning: Patroni's unit reads its environment from here, and it cannot be read (not a regular file): "
                    + "what it says is not known"
            ])
    }
}
