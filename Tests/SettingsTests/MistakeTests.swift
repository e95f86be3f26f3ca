// SPDX-License-Identifier: Apache-2.0
import NetworkAddress
import Settings
import Testing

/// What a person gets wrong in pharos.yml, and what they are told.
struct MistakeTests {
    /// Lines after three good ones, and the one message expected, without the file's name.
    @Test(arguments: [
        // Keys
        ("adresses: []", "4:1: unknown key 'adresses'; did you mean 'addresses'?"),
        ("etcd: { endpoint: [] }", "4:9: unknown key 'endpoint' in 'etcd'; did you mean 'endpoints'?"),
        ("etcd: { Password-File: /x }", "4:9: unknown key 'Password-File' in 'etcd'; did you mean 'password_file'?"),
        ("conninfo: x", "4:1: unknown key 'conninfo'; it belongs in 'postgres'"),
        ("lease: { scope: x }", "4:10: unknown key 'scope' in 'lease'; it belongs at the top level"),
        (
            "xyzzy: {}",
            "4:1: unknown key 'xyzzy'; expected one of patroni_config, patroni_environment, scope, member, namespace, group, "
                + "etcd, patroni, postgres, addresses, lease, citus, detector, alert, status"
        ),
        ("lease: { xyzzy: 1 }", "4:10: unknown key 'xyzzy' in 'lease'; expected one of ttl, margin, clock_drift, root"),
        ("scope: twice", "4:1: key 'scope' is given twice, first in line 1"),
        ("lease: { ttl: 30s, ttl: 30s }", "4:20: key 'ttl' is given twice, first in line 4"),
        ("lease: { root: }", "4:10: 'root' has no value; give it one or leave the key out"),
        (
            "{ a: b }: c",
            "4:1: expected a key, one of patroni_config, patroni_environment, scope, member, namespace, group, etcd, patroni, "
                + "postgres, addresses, lease, citus, detector, alert, status, not a mapping"
        ),
        (
            "\"a\\u202Eb\\nc\": d",
            "4:1: unknown key 'a\\u{202e}b\\u{a}c'; expected one of patroni_config, patroni_environment, scope, member, "
                + "namespace, group, etcd, patroni, postgres, addresses, lease, citus, detector, alert, status"
        ),
        // Types
        ("status: 5", "4:9: 'status': expected a mapping with the keys socket, listen, not the text '5'"),
        ("lease: [1]", "4:8: 'lease': expected a mapping with the keys ttl, margin, clock_drift, root, not a list"),
        ("lease: { ttl: [30s] }", "4:15: 'ttl' in 'lease': expected one value, not a list"),
        ("namespace: true", "4:12: 'namespace': expected text, not a boolean; put 'true' in quotes"),
        ("namespace: \"\"", "4:12: 'namespace': expected a value, not an empty text"),
        ("namespace: \"a\\nb\"", "4:12: 'namespace': a control character in the text"),
        ("namespace: !!binary abcd", "4:12: tag 'tag:yaml.org,2002:binary' has no meaning here; leave it out"),
        ("namespace: a b", "4:12: 'namespace': expected a path such as /service/, not 'a b'"),
        ("group: -1", "4:8: 'group': expected a Citus group: a number from 0, not '-1'"),
        ("group: 0x1", "4:8: 'group': expected a Citus group: a number from 0, not '0x1'"),
        ("patroni_config: etc/p.yml", "4:17: 'patroni_config': expected an absolute path, not 'etc/p.yml'"),
        // etcd and Patroni
        (
            "etcd: { password: topsecret }",
            "4:9: key 'password' in 'etcd': a password does not belong in this file; put it "
                + "in a file of its own and name that with 'password_file'"
        ),
        (
            "etcd: { username: u, password_file: topsecret }",
            "4:37: 'password_file' in 'etcd': expected the absolute path of a file that holds the password"
        ),
        ("patroni: { username: u }", "4:22: 'username' in 'patroni' needs 'password_file' beside it"),
        ("patroni: { url: https://h, key_file: /k }", "4:38: 'key_file' in 'patroni' needs 'cert_file' beside it"),
        (
            "patroni: { url: http://h, ca_file: /c }",
            "4:36: a certificate, key or authority in 'patroni' needs an https URL"
        ),
        (
            "patroni: { url: h:8008 }",
            "4:17: 'url' in 'patroni': expected a URL such as http://10.0.0.1:8008, not 'h:8008'"
        ),
        (
            "patroni: { url: http://h/p }",
            "4:17: 'url' in 'patroni': expected a URL such as http://10.0.0.1:8008, not "
                + "'http://h/p'"
        ),
        (
            "patroni: { url: \"http://u:p@h\" }",
            "4:17: 'url' in 'patroni': a URL here holds no user or password; use "
                + "'username' and 'password_file'"
        ),
        ("etcd: { endpoints: http://h }", "4:20: 'endpoints': expected a list of URLs, not the text 'http://h'"),
        ("etcd: { endpoints: [] }", "4:20: 'endpoints': expected at least one of URLs"),
        (
            "etcd: { endpoints: [http://h, 'http://H:2379/'] }",
            "4:31: 'endpoints[1]' in 'etcd': http://h:2379 is given twice"
        ),
        (
            "etcd: { endpoints: ['http://h:0'] }",
            "4:21: 'endpoints[0]' in 'etcd': expected a URL such as "
                + "http://10.0.0.1:2379, not 'http://h:0'"
        ),
        // PostgreSQL
        (
            "postgres: { conninfo: 'host=/x password=topsecret' }",
            "4:23: 'conninfo' in 'postgres': a password does not belong "
                + "in this file; use peer authentication, or name a password file with 'passfile='"
        ),
        (
            "postgres: { conninfo: 'postgresql://u:topsecret@h/db' }",
            "4:23: 'conninfo' in 'postgres': a password does not "
                + "belong in this file; use peer authentication, or name a password file with 'passfile='"
        ),
        (
            "postgres: { conninfo: 'host=/x user' }",
            "4:23: 'conninfo' in 'postgres': expected pairs of keyword=value such as "
                + "host=/var/run/postgresql user=pharos, or a URI"
        ),
        (
            "postgres: { conninfo: 'host=/run,db.example.org port=1,2,3' }",
            "4:23: 'conninfo' in 'postgres': 'port' has 3 entries for 2 hosts; expected one for all, or one for each"
        ),
        (
            "postgres: { conninfo: 'postgresql://u@db.example.org:543x/d' }",
            "4:23: 'conninfo' in 'postgres': 'port': expected a number from 1 to 65535"
        ),
        // The lease
        (
            "lease: { ttl: 30 }",
            "4:15: 'ttl' in 'lease': expected 'patroni' or a duration such as 500ms, 2s or 1m, not '30'"
        ),
        ("lease: { ttl: 4s }", "4:15: 'ttl' in 'lease': expected whole seconds, from 5s to 1h, not '4s'"),
        ("lease: { ttl: 5500ms }", "4:15: 'ttl' in 'lease': expected whole seconds, from 5s to 1h, not '5500ms'"),
        ("lease: { margin: 2 }", "4:18: 'margin' in 'lease': a duration needs a unit: '2s', or ms, m, h"),
        ("lease: { margin: 1499ms }", "4:18: 'margin' in 'lease': expected at least 1500ms, not '1499ms'"),
        (
            "lease: { clock_drift: 9 }",
            "4:23: 'clock_drift' in 'lease': expected a percentage from 1% to 20%, such as 9%, not '9'"
        ),
        (
            "lease: { clock_drift: 0.9% }",
            "4:23: 'clock_drift' in 'lease': expected a percentage from 1% to 20%, such as 9%, not '0.9%'"
        ),
        (
            "lease: { clock_drift: 20.1% }",
            "4:23: 'clock_drift' in 'lease': expected a percentage from 1% to 20%, such as 9%, not '20.1%'"
        ),
        (
            "lease: { clock_drift: -5% }",
            "4:23: 'clock_drift' in 'lease': expected a percentage from 1% to 20%, such as 9%, not '-5%'"
        ),
        (
            "lease: { clock_drift: 1.25% }",
            "4:23: 'clock_drift' in 'lease': expected a percentage from 1% to 20%, such as 9%, not '1.25%'"
        ),
        (
            "lease: { clock_drift: 1.% }",
            "4:23: 'clock_drift' in 'lease': expected a percentage from 1% to 20%, such as 9%, not '1.%'"
        ),
        ("lease: { margin: 1s }", "4:18: 'margin' in 'lease': expected at least 1500ms, not '1s'"),
        (
            "lease: { ttl: 5s, margin: 3s }",
            "4:27: 'lease': the margin, 3s, and 9% of the TTL (clock_drift) must be less than three fifths of the "
                + "TTL, 5s"
        ),
        (
            "lease: { margin: 11s }",
            "4:18: 'lease': the margin, 11s, and 9% of the TTL (clock_drift) must be less than three fifths of Patroni's "
                + "shortest TTL, 20s"
        ),
        ("lease: { root: / }", "4:16: 'root' in 'lease': expected a path such as /pharos/, not '/'"),
        (
            "lease: { root: /service/demo/x }",
            "4:16: 'lease.root': Pharos's keys '/service/demo/x/demo/address/' and "
                + "Patroni's '/service/demo/' lie within each other"
        ),
        // The status API
        (
            "status: { listen: 8009 }",
            "4:19: 'listen' in 'status': expected an address and a port such as 127.0.0.1:8009 or "
                + "[::1]:8009, not '8009'"
        ),
        (
            "status: { listen: '0.0.0.0:8009' }",
            "4:19: 'listen' in 'status': listening on every interface is refused; name "
                + "one address, best 127.0.0.1 or [::1]"
        ),
        (
            "status: { listen: '::1:8009' }",
            "4:19: 'listen' in 'status': expected an address and a port such as "
                + "127.0.0.1:8009 or [::1]:8009, not '::1:8009'"
        ),
        ("status: { socket: run.sock }", "4:19: 'socket' in 'status': expected an absolute path, not 'run.sock'"),
    ]) func `one mistake, one message`(line: String, message: String) {
        let endpoints = line.contains("endpoints") ? "" : "\netcd: { endpoints: [http://10.0.0.1] }"
        let files = standalone(line.hasPrefix("etcd:") ? line : line + endpoints)
            .adding("/k", "PEM").adding("/c", "PEM")
        let errors = files.errors().filter { !$0.contains("'etcd.endpoints' is missing") }
        #expect(errors == ["pharos.yml:" + message])
        #expect(!errors.joined().contains("topsecret"))
    }

    @Test(arguments: [
        ("10.10.10.3", "10.10.10.3 has no prefix length; say for example 10.10.10.3/24"),
        ("2001:db8::3", "2001:db8::3 has no prefix length; say for example 2001:db8::3/64"),
        ("10.10.10.3/33", "expected a prefix length from 1 to 32, not '33'"),
        ("10.10.10.3/0", "expected a prefix length from 1 to 32, not '0'"),
        ("10.10.10.3/", "expected a prefix length from 1 to 32, not ''"),
        ("2001:db8::3/129", "expected a prefix length from 1 to 128, not '129'"),
        ("10.10.10/24", "expected an address with its prefix such as 10.10.10.3/24, not '10.10.10/24'"),
        ("vip/24", "expected an address with its prefix such as 10.10.10.3/24, not 'vip/24'"),
        ("10.10.10.0/24", "10.10.10.0 is the address of the network 10.10.10.0/24 itself, which no host can hold"),
        ("10.10.10.255/24", "10.10.10.255 is the broadcast address of the network 10.10.10.0/24"),
        ("2001:db8::/64", "2001:db8:: is the address of the network 2001:db8::/64 itself, which no host can hold"),
        ("224.0.0.5/24", "224.0.0.5 is a multicast address, which no host can hold"),
        ("ff02::1/64", "ff02::1 is a multicast address, which no host can hold"),
        ("127.0.0.2/8", "127.0.0.2 is a loopback address, which no other host can reach"),
        ("::1/128", "::1 is a loopback address, which no other host can reach"),
        ("0.0.0.0/24", "0.0.0.0 is an unspecified address, which no host can hold"),
        ("::/64", ":: is an unspecified address, which no host can hold"),
        ("255.255.255.255/32", "255.255.255.255 is the broadcast address, which no host can hold"),
        ("241.0.0.1/24", "241.0.0.1 is a reserved address, which no host can hold"),
        ("::ffff:10.0.0.1/96", "::ffff:10.0.0.1 is an IPv4 address in IPv6 form; write it as IPv4"),
    ]) func `an address that no host can hold is refused`(address: String, message: String) {
        let text = "patroni_config: /etc/patroni/config.yml\naddresses: [{ address: \"\(address)\", interface: eth1 }]"
        #expect(files(text).errors() == ["pharos.yml:2:24: 'address' in 'addresses': " + message])
    }

    @Test(arguments: ["10.0.0.0/31", "10.0.0.255/32", "10.0.0.1/31", "2001:db8::/127", "169.254.0.1/16"])
    func `point-to-point and host prefixes have no network address`(address: String) throws {
        let text = "patroni_config: /etc/patroni/config.yml\naddresses: [{ address: \"\(address)\", interface: eth1 }]"
        #expect(try files(text).load().addresses.first?.prefix.description == address)
    }

    @Test(arguments: [
        ("10.10.10.3/24", "10.10.10.3/32"), ("2001:db8::3/64", "2001:0DB8:0:0::3/64"),
        ("2001:db8::a00:1/64", "2001:db8::10.0.0.1/48"),
    ]) func `an address used twice is found in any form`(first: String, second: String) {
        let text = """
            patroni_config: /etc/patroni/config.yml
            addresses:
              - { address: "\(first)", interface: eth1 }
              - { address: "\(second)", interface: eth2 }
            """
        let errors = files(text).errors().filter { !$0.contains(": warning: ") }
        #expect(errors.count == 1)
        #expect(errors.first?.hasPrefix("pharos.yml:4:16: 'address' in 'addresses': ") == true)
        #expect(errors.first?.hasSuffix(" is already used in line 3") == true)
    }

    @Test(arguments: ["a b", "a/b", "a:1", ".", ".."])
    func `an interface's name is one for the kernel`(name: String) {
        let text =
            "patroni_config: /etc/patroni/config.yml\naddresses: [{ address: 10.0.0.1/24, interface: \"\(name)\" }]"
        let expected =
            "expected an interface's name or alternative name: at most 127 bytes without '/', ':' and blanks, not '\(name)'"
        #expect(files(text).errors() == ["pharos.yml:2:48: 'interface' in 'addresses': \(expected)"])
    }

    @Test func `an alternative name may be longer than a name, up to the kernel's limit`() throws {
        func file(_ length: Int) -> Files {
            let name = String(repeating: "a", count: length)
            return files(
                "scope: s\nmember: n\netcd: { endpoints: ['http://h:1'] }\naddresses: [{ address: 10.0.0.1/24, interface: \(name) }]"
            )
        }
        #expect(try file(127).load().addresses[0].interface.utf8.count == 127)
        #expect(file(128).errors().count == 1)
    }

    @Test func `entries of addresses are checked one by one`() {
        let text = """
            patroni_config: /etc/patroni/config.yml
            addresses:
              - 10.10.10.3/24
              - { adress: 10.10.10.3/24, interface: eth1 }
              - { address: 10.10.10.4/24, interface: eth1, acquire: writeable }
              - { address: 10.10.10.5/24, label: "a b" }
              - address:
                interface: eth1
            """
        #expect(
            files(text).errors() == [
                "pharos.yml:3:5: 'addresses': expected a mapping with the keys address, interface, acquire, port, label, not "
                    + "the text '10.10.10.3/24'",
                "pharos.yml:4:5: an entry of 'addresses' needs 'address'",
                "pharos.yml:4:7: unknown key 'adress' in 'addresses'; did you mean 'address'?",
                "pharos.yml:5:57: 'acquire' in 'addresses': expected 'writable' or 'leader_key', not 'writeable'; did you "
                    + "mean 'writable'?",
                "pharos.yml:6:5: an entry of 'addresses' needs 'interface'",
                "pharos.yml:6:38: 'label' in 'addresses': expected a label of at most 32 letters, digits, '-', '_' and "
                    + "'.', not 'a b'",
                "pharos.yml:7:5: 'address' has no value; give it one or leave the key out",
            ]
        )
    }

    @Test(arguments: [
        ("", "1:1: the file is empty; expected at least 'addresses'"),
        ("# only this\n", "1:1: the file is empty; expected at least 'addresses'"),
        ("~", "1:1: the file is empty; expected at least 'addresses'"),
        (
            "- a",
            "1:1: the file: expected a mapping with the keys patroni_config, patroni_environment, scope, member, namespace, group, etcd, "
                + "patroni, postgres, addresses, lease, citus, detector, alert, status, not a list"
        ),
        (
            "patroni_config: /etc/patroni/config.yml",
            "1:1: 'addresses' is missing; expected a list of at least one address"
        ),
        (
            "patroni_config: /etc/patroni/config.yml\naddresses: []",
            "2:12: 'addresses': expected at least one of addresses"
        ),
        (
            "patroni_config: /etc/patroni/config.yml\naddresses: {}",
            "2:12: 'addresses': expected a list of addresses, not "
                + "a mapping"
        ),
    ]) func `a file that says too little`(text: String, message: String) {
        #expect(files(text).errors() == ["pharos.yml:" + message])
    }

    @Test func `all mistakes are told at once, up to twenty`() throws {
        let lines = (1...30).map { "key\($0): 1" }
        let error = #expect(throws: SettingsError.self) {
            try files(minimal + "\n" + lines.joined(separator: "\n")).load()
        }
        #expect(error?.diagnostics.count == 20 && error?.omitted == 10)
        #expect(error?.description.hasSuffix("\nand 10 more errors") == true)
        #expect(error?.diagnostics.map(\.line) == Array(4...23))
    }

    @Test func `65 addresses are one too many`() throws {
        func text(_ count: Int) -> String {
            let entries = (1...count).map { "  - { address: 10.10.10.\($0)/24, interface: eth1 }" }
            return "patroni_config: /etc/patroni/config.yml\naddresses:\n" + entries.joined(separator: "\n")
        }
        #expect(try files(text(64)).load().addresses.count == 64)
        #expect(files(text(65)).errors() == ["pharos.yml:67:5: 'addresses': at most 64 addresses"])
    }
}
