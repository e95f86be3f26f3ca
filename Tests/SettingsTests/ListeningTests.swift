// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// Whether PostgreSQL takes clients where the virtual addresses are.
struct ListeningTests {
    private static func settings(_ postgresql: String, port: String = "") throws -> Settings {
        let patroni =
            "scope: demo\nname: n1\netcd3: { host: h }\nrestapi: { listen: ':8008' }\npostgresql: { data_dir: /d, \(postgresql) }\n"
        let own =
            "patroni_config: \(patroniPath)\naddresses:\n  - { address: 10.10.10.3/24, interface: eth1\(port) }\n"
        return try Files(["pharos.yml": own, patroniPath: patroni]).load()
    }

    @Test(
        arguments: [
            ("listen: '*:5433'", "", 5433), ("listen: '*'", "", 5432),
            // What Patroni tells the others counts, where it is told.
            ("listen: '*:5433', connect_address: '10.0.0.1:6543'", "", 6543),
            ("listen: '*:5433', connect_address: 10.0.0.1", "", 5433),
            ("listen: '*:5433', connect_address: '10.0.0.1:x'", "", 5433),
            ("listen: '*:5433'", ", port: 6432", 6432),
        ]) func `the port that is tried is pharos.yml's, else Patroni's`(
            postgresql: String, port: String, expected: UInt16
        ) throws
    {
        let settings = try Self.settings(postgresql, port: port)
        #expect(settings.addresses.map(\.port) == [expected])
        let effective = try #require(settings.provenance.first { $0.key == "addresses[0].port" })
        #expect(effective.value == "\(expected)")
    }

    @Test func `port 0 is none, and what is no port is refused`() throws {
        #expect(try Self.settings("listen: '*:5433'", port: ", port: 0").addresses.map(\.port) == [nil])
        for port in ["65536", "-1", "'05432'", "postgresql"] {
            #expect(throws: SettingsError.self, "\(port)") {
                try Self.settings("listen: '*:5433'", port: ", port: \(port)")
            }
        }
    }

    @Test func `without Patroni's file it is that of the connection to PostgreSQL, or the usual one`() throws {
        for (conninfo, port) in [("host=/run/postgresql port=5433", 5433), ("host=/run/postgresql", 5432)] {
            let own =
                "scope: demo\nmember: n1\netcd: { endpoints: ['http://h:2379'] }\npostgres: { conninfo: '\(conninfo)' }\naddresses: [{ address: 10.10.10.3/24, interface: eth1 }]\n"
            #expect(try Files(["pharos.yml": own]).load().addresses.map(\.port) == [UInt16(port)])
        }
    }

    @Test func `of a pooler's address it does not matter where PostgreSQL listens`() throws {
        func warnings(_ port: String) throws -> [String] {
            try Self.settings("listen: '10.10.10.1:5432'", port: port).warnings.map(\.description)
                .filter { $0.contains("postgresql.listen") }
        }
        #expect(try warnings(", port: 6432") == [])
        #expect(try warnings(", port: 5432").count == 1 && warnings(", port: 0").count == 1)
    }

    private static func warnings(_ listen: String) throws -> [String] {
        let patroni =
            "scope: demo\nname: n1\netcd3: { host: h }\nrestapi: { listen: ':8008' }\npostgresql: { listen: '\(listen)', data_dir: /d }\n"
        let own =
            "patroni_config: \(patroniPath)\naddresses:\n  - { address: 10.10.10.3/24, interface: eth1 }\n  - { address: 'fd77::3/64', interface: eth1 }\n"
        return try Files(["pharos.yml": own, patroniPath: patroni]).load().warnings.map(\.description).filter {
            $0.contains("postgresql.listen")
        }
    }

    @Test(arguments: ["*:5432", "*", "0.0.0.0,:::5432", "10.10.10.3,fd77::3:5432", "db1:5432", "127.0.0.1,*"])
    func `where it listens on the addresses, or on a name, nothing is said`(listen: String) throws {
        #expect(try Self.warnings(listen) == [])
    }

    @Test(
        arguments: [
            ("10.10.10.1:5432", "10.10.10.3, fd77::3"), ("0.0.0.0:5432", "fd77::3"), ("10.10.10.3:5432", "fd77::3"),
            ("localhost,127.0.0.1", "10.10.10.3, fd77::3"),
        ]) func `where it does not, clients are refused, and both ways out are named`(listen: String, deaf: String)
        throws
    {
        let found = try Self.warnings(listen)
        #expect(found.count == 1)
        #expect(found.joined().contains("clients of \(deaf) are refused"), "\(found)")
        #expect(found.joined().contains("'*'") && found.joined().contains("ip_nonlocal_bind"))
    }
}
