// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// Whether PostgreSQL takes clients where the virtual addresses are.
struct ListeningTests {
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
