// SPDX-License-Identifier: Apache-2.0
import Migration
import NetworkAddress
import Secrets
import Settings
import Testing

/// vip-manager's files, one test for each dialect.
struct VipManagerTests {
    private static let three = [
        "patroni_config: /etc/patroni/config.yml", "addresses:",
        "  - { address: \"10.10.10.3/24\", interface: eth1 }",
    ]

    private func place(_ remarks: [Former.Remark], _ name: String) -> String? {
        remarks.first { $0.name.filter { $0 != "'" } == name }?.place
    }

    @Test func `a file with the names of today becomes three lines, and each setting is accounted for`() throws {
        let former = try fixture("vip-manager.yml")
        #expect(former.tool == .vipManager && former.dialect == "YAML" && former.unit == "vip-manager")
        let made = try Node().read([former])
        #expect(made.lines == Self.three)
        #expect(made.plan.secretFiles.isEmpty && made.plan.doubts.isEmpty && former.unknown.isEmpty)
        #expect(self.place(made.plan.carried, "ip") == "/old/vip-manager.yml:2")
        #expect(self.place(made.plan.carried, "interface") == "/old/vip-manager.yml:4")
        #expect(self.place(made.plan.carried, "trigger-key") == "/old/vip-manager.yml:5")
        let lost = [
            "interval": 14, "retry-after": 15, "retry-num": 16, "verbose": 17, "etcd-user": 12, "etcd-password": 13,
        ]
        for (name, line) in lost {
            #expect(self.place(made.plan.lost, name) == "/old/vip-manager.yml:\(line)", "\(name)")
        }
        #expect(made.plan.lost.contains { $0.text.contains("Patroni's file names the same etcd") })
    }

    @Test func `the names of before 5_0 mean the same`() throws {
        let former = try fixture("vip-manager-old.yml")
        #expect(former.dialect == "YAML with names of before 5.0")
        #expect(former.triggerValue?.value == "n1" && former.triggerValue?.name == "nodename")
        #expect(try Node().read([former]).lines == Self.three)
    }

    @Test func `Debian's environment file is read as systemd reads it`() throws {
        let former = try fixture("vip-manager.default", at: "/etc/default/vip-manager")
        #expect(former.dialect.hasPrefix("environment variables"))
        let made = try Node().read([former])
        #expect(made.lines == Self.three)
        #expect(former.doubts.contains { $0.text.contains("API v2") })
        #expect(!made.report().contains("never-shown"))
    }

    @Test func `Debian's file for a cluster names its unit, and each setting twice`() throws {
        let former = try fixture("15-main.vip", at: "/etc/patroni/15-main.vip")
        #expect(former.unit == "vip-manager@15-main" && former.debianCluster == "15-main")
        #expect(former.lost.filter { $0.text.contains("another line says the same setting") }.count == 6)
        let patroni = "namespace: /postgresql-common/\n" + Node.patroni.replacing("scope: demo", with: "scope: 15-main")
        let made = try Node(files: [Node.patroniPath: patroni]).read([former], output: "/etc/pharos/15-main.yml")
        #expect(made.lines == Self.three)
        #expect(made.plan.lost.contains { $0.text.contains("this host's own etcd") })
        let report = made.report()
        #expect(report.contains("systemctl stop vip-manager@15-main && systemctl restart pharos@15-main"), "\(report)")
        #expect(report.contains("pharos status --cluster 15-main"), "\(report)")
    }

    @Test func `Pigsty's file with an etcd of its own keeps its way there, its secrets in files`() throws {
        let former = try fixture("pigsty.yml")
        let patroni = """
            scope: pg-test
            namespace: /pg
            name: pg-test-1
            restapi: { listen: "0.0.0.0:8008" }
            etcd3: { hosts: "10.10.10.99:2379", protocol: https, cacert: /etc/pki/ca.crt }
            postgresql: { listen: "0.0.0.0:5432", data_dir: /d }
            """
        let made = try Node(files: [
            Node.patroniPath: patroni, "/etc/pki/ca.crt": "ca", "/etc/pki/client.crt": "crt",
            "/etc/pki/client.key": "never-shown-key",
        ]).read([former])
        #expect(made.settings.etcd.endpoints == ["https://10.10.10.10:2379"])
        #expect(made.settings.etcd.username == "pgsql" && made.settings.etcd.password?.reveal() == "never-shown-3")
        #expect(made.plan.secretFiles.map(\.path) == ["/etc/pharos/etcd-password", "/etc/pharos/etcd-client.key"])
        #expect(made.settings.etcd.tls.keyFile == "/etc/pharos/etcd-client.key")
        #expect(made.plan.doubts.contains { $0.text.contains("10.10.10.99") })
        #expect(!made.text.contains("never-shown") && !made.report().contains("never-shown"))
        #expect(made.report().contains("/etc/pharos/etcd-password, mode 0600 (not written)"))
    }

    @Test func `Pigsty's file beside a Patroni with the same etcd is three lines`() throws {
        let former = try fixture("pigsty.yml")
        let patroni = """
            scope: pg-test
            namespace: /pg
            name: pg-test-1
            etcd3: { hosts: "10.10.10.10:2379", protocol: https, cacert: /etc/pki/ca.crt }
            postgresql: { listen: "0.0.0.0:5432", data_dir: /d }
            """
        let made = try Node(files: [Node.patroniPath: patroni, "/etc/pki/ca.crt": "ca"]).read([former])
        #expect(made.lines == Self.three && made.plan.secretFiles.isEmpty)
    }

    @Test func `autobase's file, with etcd or with Patroni's API, becomes three lines`() throws {
        let former = try fixture("autobase.yml")
        #expect(try Node().read([former]).lines == Self.three)
        #expect(former.unknown.isEmpty && former.etcd.username == nil)
        let asking = try fixture("autobase-patroni.yml")
        let made = try Node().read([asking])
        #expect(made.lines == Self.three && asking.triggerKey == nil && asking.unknown.isEmpty)
        #expect(made.plan.lost.contains { $0.text.contains("it asked Patroni's REST API") })
    }

    @Test func `another cluster's key is refused, with both keys and the way out`() throws {
        let former = try fixture("vip-manager.yml")
        let patroni = Node.patroni.replacing("scope: demo", with: "scope: other")
        let error = #expect(throws: MigrationError.self) { try Node(files: [Node.patroniPath: patroni]).read([former]) }
        let text = error?.description ?? ""
        #expect(text.hasPrefix("/old/vip-manager.yml:5: trigger-key is '/service/demo/leader'"), "\(text)")
        #expect(text.contains("'/service/other/leader'") && text.contains("--from-patroni FILE"), "\(text)")
    }

    @Test func `a member by another name is a doubt, and Citus's group belongs to the key`() throws {
        let patroni = Node.patroni.replacing("name: n1", with: "name: pg1")
        let made = try Node(files: [Node.patroniPath: patroni]).read([try fixture("vip-manager.yml")])
        #expect(made.plan.doubts.contains { $0.text.contains("calls this member 'pg1'") })
        let text = "ip: 10.10.10.3\nnetmask: 24\ninterface: eth1\ntrigger-key: /service/demo/2/leader\n"
        let former = try Former.read(Array(text.utf8), file: "/f")
        let citus = Node.patroni + "\ncitus: { group: 2, database: app }\n"
        #expect(try Node(files: [Node.patroniPath: citus]).read([former]).plan.followedKey != nil)
        #expect(throws: MigrationError.self) { try Node().read([former]) }
    }

    @Test(arguments: [
        ("-1", "10.1.2.3", "10.1.2.3/8"), ("-1", "172.16.0.3", "172.16.0.3/16"),
        ("-1", "192.168.0.3", "192.168.0.3/24"),
        ("32", "10.1.2.3", "10.1.2.3/32"), ("64", "fd00::3", "fd00::3/64"),
    ])
    func `a netmask is the length of the prefix, and -1 the class's`(mask: String, ip: String, prefix: String) throws {
        let text = "ip: \"\(ip)\"\nnetmask: \(mask)\ninterface: e\ntrigger-key: /s/d/leader\n"
        let former = try Former.read(Array(text.utf8), file: "/f")
        #expect(former.addresses.map(\.prefix.value.description) == [prefix])
        #expect(former.doubts.isEmpty == (mask != "-1"))
    }

    @Test func `several files become several addresses of one file`() throws {
        let other = "ip: 10.10.10.4\nnetmask: 24\ninterface: eth2\ntrigger-key: /service/demo/leader\n"
        let formers = [try fixture("vip-manager.yml"), try Former.read(Array(other.utf8), file: "/g")]
        let made = try Node().read(formers)
        #expect(made.settings.addresses.map(\.prefix.description) == ["10.10.10.3/24", "10.10.10.4/24"])
        let again = try Node().read([formers[0], formers[0]])
        #expect(again.settings.addresses.count == 1)
    }
}
