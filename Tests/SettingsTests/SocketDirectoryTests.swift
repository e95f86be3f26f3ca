// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// A socket directory that Patroni's file names for the cluster that is made, not for this node.
struct SocketDirectoryTests {
    private static func load(_ postgresql: String, _ bootstrap: String, own: String = "") throws -> Settings {
        let patroni = """
            scope: demo
            name: n1
            etcd3: { host: h }
            restapi: { listen: ':8008' }
            postgresql: { listen: '*:5433', data_dir: /d\(postgresql) }
            bootstrap: { dcs: { postgresql: { parameters: { \(bootstrap) } } } }
            """
        let pharos = """
            patroni_config: \(patroniPath)
            addresses: [{ address: 10.10.10.3/24, interface: eth1 }]
            \(own)
            """
        return try Files(["pharos.yml": pharos, patroniPath: patroni]).load()
    }

    @Test func `it is taken where nothing else is said, and that it may be another by now is said`() throws {
        let settings = try Self.load("", "Unix_Socket_Directories: '/srv/pg'")
        #expect(settings.postgres.conninfo == "host=/srv/pg port=5433 user=pharos dbname=postgres")
        let told = settings.warnings.map(\.description)
        #expect(told.count == 1 && told[0].contains("patronictl show-config") && told[0].contains(":6:"), "\(told)")
    }

    @Test func `this node's own comes first, and so does pharos yml`() throws {
        let local = try Self.load(
            ", parameters: { unix_socket_directories: /run/pg }", "unix_socket_directories: /srv/pg")
        #expect(local.postgres.conninfo.hasPrefix("host=/run/pg ") && local.warnings.isEmpty)
        let own = try Self.load(
            "", "unix_socket_directories: /srv/pg", own: "postgres: { conninfo: 'host=/tmp/pg user=u' }")
        #expect(own.postgres.conninfo == "host=/tmp/pg user=u" && own.warnings.isEmpty)
    }

    @Test(arguments: ["max_connections: 100", "unix_socket_directories: "])
    func `where the cluster names none it is Debian's`(bootstrap: String) throws {
        let settings = try Self.load("", bootstrap)
        #expect(settings.postgres.conninfo.hasPrefix("host=/var/run/postgresql ") && settings.warnings.isEmpty)
    }
}
