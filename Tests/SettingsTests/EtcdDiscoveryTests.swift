// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// Patroni's `srv`, as Patroni reads it.
struct EtcdDiscoveryTests {
    private static func load(_ etcd: String, own: String = "") throws -> Settings {
        let text =
            "scope: demo\nname: n1\nrestapi: { listen: 'n1:8008' }\npostgresql: { listen: 'n1:5432', data_dir: /data }\netcd3: { \(etcd) }\n"
        return try Files(["pharos.yml": minimal + own, patroniPath: text]).load()
    }

    @Test(
        arguments: [
            ("srv: db.example.org", "db.example.org", nil), ("discovery_srv: a, srv: b", "a", nil),
            ("srv_domain: DB.example.org, discovery_srv: a", "db.example.org", nil),
            ("srv: a, srv_suffix: blue", "a", "blue"), ("srv: a, srv_suffix: null", "a", nil),
            ("srv: a., srv_suffix: ''", "a.", nil),
        ] as [(String, String, String?)])
    func `a domain is enough`(etcd: String, domain: String, suffix: String?) throws {
        let settings = try Self.load(etcd)
        #expect(settings.etcd.discovery == .init(domain: domain, suffix: suffix))
        #expect(settings.etcd.endpoints == [] && settings.warnings.isEmpty)
        #expect(settings.provenance.contains { $0.description.hasPrefix("etcd.srv = ") })
    }

    @Test(arguments: [
        ("srv: a, hosts: 'h1:1,h2:2'", ["http://h1:1", "http://h2:2"]), ("srv: a, host: h", ["http://h:2379"]),
        ("srv: a, url: 'https://h:1'", ["https://h:1"]),
    ]) func `what else is named counts where the records name nothing`(etcd: String, endpoints: [String]) throws {
        let settings = try Self.load(etcd)
        #expect(settings.etcd.discovery == .init(domain: "a") && settings.etcd.endpoints == endpoints)
    }

    @Test(
        arguments: [
            ("host: etcd.test", "etcd.test"), ("url: 'http://etcd.test:2379'", "etcd.test"), ("host: 10.0.0.1", nil),
            ("host: localhost", nil), ("hosts: 'a:1,b:1'", nil), ("host: etcd.test, use_proxies: true", nil),
            ("host: etcd.test, protocol: https", nil), ("host: etcd.test, srv: a", nil),
        ] as [(String, String?)]) func `a single name may stand for several servers`(etcd: String, name: String?) throws
    {
        #expect(try Self.load(etcd).etcd.soleName?.host == name)
    }

    @Test func `a proxy, and endpoints in pharos_yml, come before it`() throws {
        #expect(try Self.load("srv: a, proxy: 'http://h:1'").etcd.discovery == nil)
        let own = try Self.load("srv: a", own: "\netcd: { endpoints: ['http://h:1'] }\n")
        #expect(own.etcd.discovery == nil && own.etcd.endpoints == ["http://h:1"])
    }

    @Test func `certificates are for what the records name, also beside an http endpoint`() throws {
        let text =
            "scope: demo\nname: n1\nrestapi: { listen: 'n1:8008' }\netcd3: { srv: a, host: h, cacert: /ca.pem }\n"
        let files = Files(["pharos.yml": minimal, patroniPath: text])
        #expect(files.errors().joined().contains("/ca.pem"))
    }

    @Test(arguments: ["srv: 'a b'", "srv: 'http://a'", "srv: 'a:53'"])
    func `what is no domain is passed over with a warning`(etcd: String) {
        let text = "scope: demo\nname: n1\nrestapi: { listen: 'n1:8008' }\netcd3: { \(etcd) }\n"
        let errors = Files(["pharos.yml": minimal, patroniPath: text]).errors().joined(separator: "\n")
        #expect(errors.contains("'etcd.endpoints' is missing") && errors.contains("'etcd3.srv' is passed over"))
    }
}
