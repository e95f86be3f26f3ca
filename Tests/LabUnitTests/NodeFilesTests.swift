// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Lab

struct NodeFilesTests {
    @Test func `the daemon gets what the manual says is enough`() {
        var options = LabOptions()
        options.addresses = ["10.77.0.100/24"]
        #expect(
            NodeFiles.pharos(options, options.groups[0]) == """
                patroni_config: /etc/patroni/config.yml
                addresses:
                  - {address: "10.77.0.100/24", interface: eth0}

                """
        )
    }

    @Test func `options are added to it`() {
        var options = LabOptions()
        options.addresses = []
        options.leaseTTL = 20
        options.extraConfiguration = "status: {listen: 127.0.0.1:8009}\n"
        #expect(
            NodeFiles.pharos(options, options.groups[0]).hasSuffix(
                "lease: {ttl: 20s}\nstatus: {listen: 127.0.0.1:8009}\n"))
    }

    @Test func `passwords are readable by the owner and the group only`() {
        let files = NodeFiles(node: "n1", options: LabOptions(), password: "secret").all
        let tellers = files.filter { $0.text.contains("secret") }
        #expect(tellers.map(\.path) == ["etc/patroni/config.yml"])
        #expect(tellers.map(\.mode) == [0o640])
    }

    @Test func `with Citus, every group follows it and the coordinator's has the addresses`() {
        var options = LabOptions()
        options.addresses = ["10.77.0.100/24"]
        options.citus = LabCitus(.scopes)
        options.citus?.settings = ["mode: own"]
        let section = """
            citus:
              databases: [app, reports]
              node_conninfo: "user=pharos"
              groups: { 0: demo, 1: demo-w1 }
              mode: own

            """
        #expect(
            options.groups.map { NodeFiles.pharos(options, $0) } == [
                """
                patroni_config: /etc/patroni/config.yml
                addresses:
                  - {address: "10.77.0.100/24", interface: eth0}
                \(section)
                """, "patroni_config: /etc/patroni/config.yml\n\(section)",
            ])
        #expect(options.group(of: "n5") == nil)
        options.citus?.layout = .mode
        #expect(Set(options.groups.map(\.leaderKey)) == ["/service/demo/0/leader", "/service/demo/1/leader"])
        options.citus?.workers = 3
        #expect(options.groups.map(\.nodes) == [["n1", "n2"], ["n3", "n4"], ["n6", "n7"], ["n8"]])
        #expect(options.nodes.count == 8 && options.group(of: "n5") == nil)
    }
}
