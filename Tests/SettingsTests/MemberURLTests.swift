// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

/// What may be used of the URLs that etcd's members announce.
struct MemberURLTests {
    private static func judge(_ text: String, toldBy teller: String = "http://10.0.0.1:2379") -> MemberURL {
        MemberURL(text, toldBy: teller, configured: [teller])
    }

    @Test(arguments: [
        ("http://10.0.0.2:2379", "http://10.0.0.2:2379"), ("http://Etcd2.Example:2379/", "http://etcd2.example:2379"),
        ("http://[fd00::2]:2379", "http://[fd00::2]:2379"),
    ]) func `a member's URL is used as one in a file is`(text: String, url: String) {
        #expect(Self.judge(text) == .usable(url))
    }

    @Test(arguments: [
        "", "10.0.0.2:2379", "unix://localhost:1", "http://u:p@10.0.0.2:2379", "http://10.0.0.2:2379/path",
        "http://10.0.0.2:99999", "http://0.0.0.0:2379", "http://[::]:2379", "http://224.0.0.1:2379",
        "http://255.255.255.255:2379", "http://a b:2379", "http://\u{1B}[2J:2379", "http://a\r\nX-Y: 1:2379",
        "https://10.0.0.2:2379",
    ]) func `and what is none is not`(text: String) {
        guard case .unusable = Self.judge(text) else {
            Issue.record("\(text) is used")
            return
        }
    }

    @Test func `a login that goes out by https never goes out by http`() {
        for configured in [["https://a:2379"], ["http://a:2379", "https://b:2379"]] {
            let plain = MemberURL("http://10.0.0.2:2379", toldBy: "https://a:2379", configured: configured)
            guard case .unusable(let reason) = plain else {
                Issue.record("\(configured)")
                return
            }
            #expect(reason.contains("https"))
            let safe = MemberURL("https://10.0.0.2:2379", toldBy: "https://a:2379", configured: configured)
            #expect(safe == .usable("https://10.0.0.2:2379"))
        }
    }

    @Test(arguments: ["http://localhost:2379", "http://127.0.0.1:2379", "http://[::1]:2379"])
    func `loopback is this host only where this host says so`(text: String) {
        guard case .unusable = Self.judge(text) else {
            Issue.record("\(text) is used")
            return
        }
        guard case .usable = Self.judge(text, toldBy: "http://localhost:12379") else {
            Issue.record("\(text) is not used")
            return
        }
    }

    // MARK: - The setting

    @Test(arguments: [
        ("host: h", Settings.Etcd.Members.learn), ("{ host: h, use_proxies: true }", .ignore),
        ("{ host: h, use_proxies: on }", .ignore), ("{ host: h, use_proxies: false }", .learn),
        ("{ host: h, use_proxies: null }", .learn), ("{ proxy: 'http://h:2379' }", .ignore),
    ]) func `behind proxies nothing is learned, as for Patroni`(etcd: String, members: Settings.Etcd.Members) throws {
        let section = etcd.hasPrefix("{") ? etcd : "{ \(etcd) }"
        let text = "scope: demo\nname: n1\nrestapi: { listen: 'n1:8008' }\netcd3: \(section)\n"
        #expect(try Files(["pharos.yml": minimal, patroniPath: text]).load().etcd.members == members)
    }

    @Test func `pharos_yml has the last word`() throws {
        let text = "scope: demo\nname: n1\nrestapi: { listen: 'n1:8008' }\netcd3: { host: h, use_proxies: true }\n"
        let own = minimal + "\netcd: { members: learn }\n"
        #expect(try Files(["pharos.yml": own, patroniPath: text]).load().etcd.members == .learn)
        let wrong = minimal + "\netcd: { members: some }\n"
        #expect(Files(["pharos.yml": wrong, patroniPath: text]).errors().joined().contains("learn or ignore"))
    }
}
