// SPDX-License-Identifier: Apache-2.0
import Migration
import Settings
import Testing

/// Files that are none, and files that mean no good.
struct HostileTests {
    @Test(arguments: [
        ("", "no line says anything"), ("# only\n\n  # comments\n", "no line says anything"),
        ("hello\nworld\n", "not understood as a configuration of vip-manager"),
        ("a: [1\n", "not understood as a configuration of vip-manager"),
        ("name: value\nother: value\n", "no setting of vip-manager or keepalived is in it"),
        ("ip: 10.0.0.3\ninterface: e\n", "'trigger-key' is missing"),
        ("ip: nowhere\ninterface: e\ntrigger-key: /s/d/leader\n", "/f:1: ip: expected an address, not 'nowhere'"),
        ("ip: 10.0.0.3\nnetmask: 99\ninterface: e\ntrigger-key: /s/d/leader\n", "/f:2: netmask: expected the length"),
        (
            "ip: 10.0.0.3\ninterface: e\ntrigger-key: /s/d/leader\ndcs-type: consul\n",
            "Pharos follows Patroni in etcd 3 only"
        ),
        ("ip: 10.0.0.3\ninterface: e\ntrigger-key: /s/d/leader\nmanager-type: hetzner\n", "a provider's API"),
        (
            "ip: 10.0.0.3\ninterface: e\ntrigger-key: /replica\ndcs-type: patroni\n",
            "keeps addresses on the leader's node only"
        ),
        (
            "ip: 10.0.0.3\ninterface: e\ntrigger-key: /leader\ntrigger-value: 503\ndcs-type: patroni\n",
            "/f:4: trigger-value is '503': the address was where '/leader' is answered so"
        ),
        (
            "ip: 10.0.0.3\ninterface: e\ndcs-type: patroni\n", "'trigger-key' is missing"
        ),
        ("ip: 10.0.0.3\ninterface: e\ntrigger-key: /s/d/leader\ndcs-type: zookeeper\n", "expected etcd or patroni"),
        ("VIP_NOTHING=1\n", "no setting of vip-manager or keepalived is in it"),
    ])
    func `what is no configuration is refused, with what was expected`(text: String, expected: String) {
        let found = refusal(text)
        #expect(found.contains(expected), "\(found)")
        #expect(found.hasPrefix("/f"), "\(found)")
    }

    @Test func `bytes that are no text, and too many, are refused`() {
        for bytes in [[0x7f, 0x45, 0x4c, 0x46, 0, 0, 1], [0xff, 0xfe, 0x41], Array("ip: 1\0".utf8)] as [[UInt8]] {
            let error = #expect(throws: MigrationError.self) { try Former.read(bytes, file: "/f") }
            #expect(error?.description.contains("not a text file") == true)
        }
        let large = [UInt8](repeating: UInt8(ascii: "#"), count: Former.fileLimit + 1)
        let error = #expect(throws: MigrationError.self) { try Former.read(large, file: "/f") }
        #expect(error?.description.contains("larger than") == true)
    }

    @Test func `a file of nothing but depth or lines ends at its limit`() {
        let deep = String(repeating: "a {\n", count: 100)
        #expect(refusal("vrrp_instance x {\n\(deep)").contains("blocks within each other"))
        #expect(refusal("global_defs {\n" + String(repeating: "a\n", count: 20_000)).contains("more than"))
        #expect(refusal(String(repeating: "[", count: 5000)).contains("nested"))
    }

    @Test func `unknown keys are named with their places, and carried nowhere`() throws {
        let text =
            "ip: 10.10.10.3\nnetmask: 24\ninterface: eth1\ntrigger-key: /service/demo/leader\nfrobnicate: never\nip2: 1\nverbose: {a: b}\n"
        let former = try Former.read(Array(text.utf8), file: "/f")
        #expect(former.unknown.map(\.name) == ["'frobnicate'", "'ip2'", "'verbose'"])
        #expect(former.unknown.map(\.place) == ["/f:5", "/f:6", "/f:7"])
        let made = try Node().read([former])
        #expect(made.report().contains("Not understood, so nothing of it is carried over:\n  /f:5: 'frobnicate'"))
        #expect(!made.text.contains("frobnicate"))
    }

    @Test func `a kind that is said is believed`() {
        #expect(refusal("ip: 10.0.0.3\n", tool: .keepalived).contains("no vrrp_instance"))
        #expect(refusal("vrrp_instance a {\n}\n", tool: .vipManager).contains("--kind says which it is"))
    }

    @Test func `an address or interface that no kernel takes is refused in the old file's line`() throws {
        for (ip, interface, expected) in [
            ("127.0.0.1", "eth1", "loopback"), ("10.10.10.255", "eth1", "broadcast"),
            ("10.10.10.3", "a b", "interface"),
        ] {
            let text = "ip: \(ip)\nnetmask: 24\ninterface: \(interface)\ntrigger-key: /service/demo/leader\n"
            let former = try Former.read(Array(text.utf8), file: "/f")
            let error = #expect(throws: MigrationError.self) { try Node().read([former]) }
            #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
            #expect(error?.description.hasPrefix("/f:1") == true)
        }
    }
}
