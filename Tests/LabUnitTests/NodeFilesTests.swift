// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Lab

struct NodeFilesTests {
    @Test func `the daemon gets what the manual says is enough`() {
        var options = LabOptions()
        options.addresses = ["10.77.0.100/24"]
        #expect(
            NodeFiles.pharos(options) == """
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
        #expect(NodeFiles.pharos(options).hasSuffix("lease: {ttl: 20s}\nstatus: {listen: 127.0.0.1:8009}\n"))
    }

    @Test func `passwords are readable by the owner and the group only`() {
        let files = NodeFiles(node: "n1", options: LabOptions(), password: "secret").all
        let tellers = files.filter { $0.text.contains("secret") }
        #expect(tellers.map(\.path) == ["etc/patroni/config.yml"])
        #expect(tellers.map(\.mode) == [0o640])
    }
}
