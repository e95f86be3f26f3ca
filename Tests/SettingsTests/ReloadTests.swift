// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Settings

/// What a running daemon takes over.
struct ReloadTests {
    /// For each key two lines of pharos.yml that differ in it alone, and whether a reload may change it. A key without a
    /// place in here fails the test below.
    private static let changes: [String: (String, String, isReloadable: Bool)] = [
        "scope": ("scope: a", "scope: b", false), "member": ("member: a", "member: b", false),
        "namespace": ("namespace: /a", "namespace: /b", false), "group": ("group: 0", "group: 1", false),
        "etcd.endpoints": ("etcd: { endpoints: ['http://a'] }", "etcd: { endpoints: ['http://b'] }", false),
        "etcd.members": (
            "etcd: { endpoints: ['http://a'], members: learn }", "etcd: { endpoints: ['http://a'], members: ignore }",
            false
        ),
        "etcd.username": (
            "etcd: { username: a, password_file: /p }", "etcd: { username: b, password_file: /p }", false
        ),
        "etcd.password_file": (
            "etcd: { username: a, password_file: /p }", "etcd: { username: a, password_file: /q }", false
        ),
        "etcd.ca_file": (tls("etcd", "ca_file: /p"), tls("etcd", "ca_file: /q"), false),
        "etcd.cert_file": (tls("etcd", "cert_file: /p"), tls("etcd", "cert_file: /q"), false),
        "etcd.key_file": (
            tls("etcd", "cert_file: /p, key_file: /p"), tls("etcd", "cert_file: /p, key_file: /q"), false
        ),
        "patroni.url": ("patroni: { url: 'http://a' }", "patroni: { url: 'http://b' }", false),
        "patroni.username": (
            "patroni: { username: a, password_file: /p }", "patroni: { username: b, password_file: /p }", false
        ),
        "patroni.password_file": (
            "patroni: { username: a, password_file: /p }", "patroni: { username: a, password_file: /q }", false
        ),
        "patroni.ca_file": (tls("patroni", "ca_file: /p"), tls("patroni", "ca_file: /q"), false),
        "patroni.cert_file": (tls("patroni", "cert_file: /p"), tls("patroni", "cert_file: /q"), false),
        "patroni.key_file": (
            tls("patroni", "cert_file: /p, key_file: /p"), tls("patroni", "cert_file: /p, key_file: /q"), false
        ),
        "postgres.conninfo": ("postgres: { conninfo: user=a }", "postgres: { conninfo: user=b }", false),
        "addresses.address": (address("10.0.0.3/24, interface: a"), address("10.0.0.4/24, interface: a"), true),
        "addresses.interface": (address("10.0.0.3/24, interface: a"), address("10.0.0.3/24, interface: b"), true),
        "addresses.port": (
            address("10.0.0.3/24, interface: a"), address("10.0.0.3/24, interface: a, port: 6432"), true
        ),
        "addresses.acquire": (
            address("10.0.0.3/24, interface: a"), address("10.0.0.3/24, interface: a, acquire: leader_key"), true
        ),
        "addresses.label": (
            address("10.0.0.3/24, interface: a"), address("10.0.0.3/24, interface: a, label: a"), true
        ),
        "lease.ttl": ("lease: { ttl: 20s }", "lease: { ttl: 30s }", true),
        "lease.margin": ("lease: { margin: 2s }", "lease: { margin: 3s }", true),
        "lease.clock_drift": ("lease: { clock_drift: 2% }", "lease: { clock_drift: 3% }", true),
        "lease.root": ("lease: { root: /a }", "lease: { root: /b }", false),
        "citus.databases": (citus("mode: own", databases: "a"), citus("mode: own", databases: "b"), false),
        "citus.mode": (citus("mode: own"), citus("mode: observe"), false),
        "citus.settle": (citus("settle: 2s"), citus("settle: 3s"), false),
        "citus.groups": (citus("groups: { 0: demo, 1: a }"), citus("groups: { 0: demo, 1: b }"), false),
        "citus.secondaries": (citus("secondaries: ignore"), citus("secondaries: register"), false),
        "citus.add_groups": (citus("add_groups: ask"), citus("add_groups: never"), false),
        "citus.poolinfo": (citus("poolinfo: { 0: port=1 }"), citus("poolinfo: { 0: port=2 }"), false),
        "citus.node_conninfo": (citus("node_conninfo: user=a"), citus("node_conninfo: user=b"), false),
        "detector.profile": ("detector: { profile: fast }", "detector: { profile: hyperscale }", false),
        "detector.interval": ("detector: { interval: 20s }", "detector: { interval: 21s }", false),
        "detector.timeout": ("detector: { timeout: 2s }", "detector: { timeout: 3s }", false),
        "detector.threshold": ("detector: { threshold: 3 }", "detector: { threshold: 4 }", false),
        "detector.leak": ("detector: { leak: 0.5 }", "detector: { leak: 0.6 }", false),
        "detector.rise": ("detector: { rise: 1 }", "detector: { rise: 2 }", false),
        "detector.agreement": ("detector: { agreement: all }", "detector: { agreement: majority }", false),
        "detector.minimum_sources": ("detector: { minimum_sources: 2 }", "detector: { minimum_sources: 3 }", false),
        "detector.lag_limit": ("detector: { lag_limit: 1MB }", "detector: { lag_limit: 2MB }", false),
        "detector.on_gray_failure": (
            "detector: { on_gray_failure: alert }", "detector: { on_gray_failure: switchover }", false
        ),
        "detector.node_conninfo": (
            "detector: { node_conninfo: user=a }", "detector: { node_conninfo: user=b }", false
        ),
        "alert.command": ("alert: { command: [/a] }", "alert: { command: [/b] }", false),
        "alert.timeout": (
            "alert: { command: [/a], timeout: 2s }", "alert: { command: [/a], timeout: 3s }", false
        ),
        "alert.priority": (
            "alert: { command: [/a], priority: error }", "alert: { command: [/a], priority: notice }", false
        ),
        "status.socket": ("status: { socket: /a }", "status: { socket: /b }", false),
        "status.listen": ("status: { listen: 127.0.0.1:1 }", "status: { listen: 127.0.0.1:2 }", false),
    ]

    private static func address(_ rest: String) -> String { "addresses: [{ address: \(rest) }]" }
    private static func tls(_ section: String, _ files: String) -> String {
        let url = section == "etcd" ? "endpoints: ['https://a']" : "url: 'https://a'"
        return "\(section): { \(url), \(files) }"
    }
    private static func citus(_ line: String, databases: String = "app") -> String {
        let groups = line.hasPrefix("groups") ? "" : "groups: { 0: demo }, "
        return "citus: { databases: [\(databases)], \(groups)\(line) }"
    }

    private func load(_ line: String) throws -> Settings {
        let addresses = line.hasPrefix("addresses") ? "" : "addresses: [{ address: 10.0.0.9/24, interface: a }]\n"
        return try files("patroni_config: \(patroniPath)\n\(addresses)\(line)\n")
            .adding("/p", "secret-p").adding("/q", "secret-q").load()
    }

    @Test func `a reload changes addresses and lease; every other key that there is needs a restart`() throws {
        for section in Schema.sections {
            let isTop = section.name.isEmpty
            // What a key of the top level holds is a section of its own. Patroni's files are named, not remembered.
            let keys = section.keys.filter { key in
                !isTop || !key.hasPrefix("patroni_") && !Schema.sections.contains { $0.name == key }
            }
            for key in keys.map({ isTop ? $0 : "\(section.name).\($0)" }) {
                let change = try #require(Self.changes[key], "no change of \(key) is tested")
                let (one, other) = (try self.load(change.0), try self.load(change.1))
                #expect(one != other, "\(key)")
                #expect(one.differsOnlyInAddresses(from: other) == change.isReloadable, "\(key)")
                // What is refused is named, but for secrets.
                let keys = one.keysOfDifferences(from: other)
                #expect(keys.isEmpty == (change.isReloadable || key.hasSuffix("password_file")), "\(key): \(keys)")
                #expect(one.differsOnlyInAddresses(from: one), "\(key)")
            }
        }
    }

    @Test func `what is only said elsewhere, or with another warning, needs no restart`() throws {
        let said = try self.load("scope: demo")
        let implied = try self.load("# nothing")
        #expect(said != implied && said.differsOnlyInAddresses(from: implied))
    }
}
