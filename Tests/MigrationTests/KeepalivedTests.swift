// SPDX-License-Identifier: Apache-2.0
import Migration
import NetworkAddress
import Settings
import Testing

/// keepalived.conf as it is used beside Patroni.
struct KeepalivedTests {
    @Test func `addresses and interface are carried over, all else is named with what Pharos does instead`() throws {
        let former = try fixture("keepalived.conf", at: "/etc/keepalived/keepalived.conf")
        #expect(former.tool == .keepalived && former.unit == "keepalived")
        let made = try Node().read([former])
        #expect(
            made.lines == [
                "patroni_config: /etc/patroni/config.yml", "addresses:",
                "  - { address: \"10.10.10.3/24\", interface: eth1 }",
                "  - { address: \"fd00::3/64\", interface: eth1 }",
            ])
        #expect(made.plan.carried.first?.place == "/etc/keepalived/keepalived.conf:35")
        let lost = former.lost.map { $0.name.filter { $0 != "'" } }
        for name in [
            "global_defs", "vrrp_script", "state", "virtual_router_id", "priority", "nopreempt", "advert_int",
            "garp_master_delay",
            "garp_master_refresh", "unicast_src_ip", "unicast_peer", "authentication", "label", "track_script",
            "notify_master",
        ] { #expect(lost.contains(name), "\(name) is not among \(lost)") }
        #expect(former.unknown.map(\.name) == ["'quux'"] && former.unknown.first?.place.hasSuffix(":42") == true)
        #expect(former.doubts.isEmpty && former.others.isEmpty)
        let report = made.report()
        #expect(!report.contains("never-shown"))
        #expect(report.contains("the old file names no key of etcd"))
        #expect(report.contains("systemctl stop keepalived && systemctl restart pharos"), "\(report)")
    }

    @Test func `an address of a proxy or of standbys is not the leader's`() throws {
        let root = "\(#filePath)".split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
        let bytes = try SettingsEnvironment.system.read("\(root)/Fixtures/keepalived-haproxy.conf", 1 << 20).get()
            .contents
        let text = refusal(String(decoding: bytes, as: UTF8.self))
        #expect(text.contains("no vrrp_instance here has an address for the leader"), "\(text)")
        // Beside one that is, they stay keepalived's, which then is not stopped.
        let leader =
            "\nvrrp_script p { script \"curl http://x:8008/leader\" }\nvrrp_instance rw { interface eth1\nvirtual_ipaddress { 10.10.10.3/24 }\ntrack_script { p } }\n"
        let former = try Former.read(bytes + Array(leader.utf8), file: "/k.conf")
        #expect(former.addresses.map(\.prefix.value.description) == ["10.10.10.3/24"])
        #expect(former.others.count == 3)
        let report = try Node().read([former]).report()
        #expect(
            report.contains("systemctl reload keepalived") && !report.contains("systemctl stop keepalived"), "\(report)"
        )
        #expect(report.contains("take the instances of these addresses out of keepalived's file"))
    }

    @Test func `an instance that nothing ties to Patroni is a doubt`() throws {
        let text = "vrrp_instance a {\n interface eth1\n virtual_ipaddress {\n 10.10.10.3\n }\n}\n"
        let former = try Former.read(Array(text.utf8), file: "/k.conf")
        #expect(former.doubts.contains { $0.text.contains("no script in this file asks Patroni") })
        #expect(former.addresses.map(\.prefix.value.description) == ["10.10.10.3/32"])
        #expect(former.doubts.contains { $0.text.contains("no length behind 10.10.10.3") })
    }

    @Test(arguments: [
        ("vrrp_instance a {", "/f:1: the '{' of this line is never closed"),
        ("global_defs\n}\n", "/f:2: a '}' that closes nothing"),
        ("vrrp_script\n{ { } }", "/f:2: a '{' without a name before it"),
        ("vrrp_instance a { virtual_ipaddress { $VIP } }", "variables are not followed"),
        ("vrrp_instance a { virtual_ipaddress { 10.0.0.3/24 } }", "10.0.0.3 has no interface"),
        (
            "vrrp_instance a { interface e\nvirtual_ipaddress { 10.0.0.3/99 } }",
            "expected an address such as 10.10.10.3/24"
        ),
        ("global_defs {\n}\n", "no vrrp_instance here has an address for the leader"),
    ])
    func `what cannot be read is refused with its place`(text: String, expected: String) {
        let found = refusal(text)
        #expect(found.contains(expected), "\(found)")
    }
}
