// SPDX-License-Identifier: Apache-2.0
import Migration
import NetworkAddress
import Settings
import Testing

/// vip-manager's files with `dcs-type: patroni`: what asked Patroni's REST API.
struct VipManagerRESTTests {
    private static let head = "ip: 10.10.10.3\nnetmask: 24\ninterface: eth1\ndcs-type: patroni\n"

    private func made(_ rest: String, patroni: String = Node.patroni) throws -> Node.Outcome {
        let former = try Former.read(Array((Self.head + rest).utf8), file: "/f")
        return try Node(files: [Node.patroniPath: patroni]).read([former])
    }

    @Test func `each setting is accounted for, with what Pharos does instead`() throws {
        let made = try self.made(
            """
            dcs-endpoints: http://10.10.10.11:8008/
            trigger-key: "/primary"
            trigger-value: "200"
            interval: 1000
            etcd-user: u
            etcd-password: never-shown
            etcd-ca-file: /ca
            etcd-cert-file: /crt
            etcd-key-file: /key

            """)
        #expect(made.plan.lost.map(\.place).sorted() == (5...13).map { "/f:\($0)" }.sorted(), "\(made.plan.lost)")
        #expect(made.plan.doubts.isEmpty && made.plan.secretFiles.isEmpty && made.plan.followedKey == nil)
        let report = made.report()
        #expect(report.contains("left the address where it was while nothing answered"), "\(report)")
        #expect(report.contains("it asked no etcd, and did not use it") && !report.contains("never-shown"))
    }

    @Test(arguments: ["/leader", "/", "/primary", "master", "//read-write/"])
    func `the paths that are true on the leader's node alone are taken over, without an answer's code too`(path: String)
        throws
    {
        let made = try self.made("trigger-key: \"\(path)\"\n")
        #expect(made.plan.lost.map(\.place) == ["/f:5"] && made.plan.doubts.isEmpty)
        #expect(made.settings.addresses.map(\.prefix.description) == ["10.10.10.3/24"])
    }

    @Test(arguments: ["/standby-leader", "/health", "/replica?lag=1MB", "/leader?x"])
    func `all others are refused`(path: String) {
        let found = refusal(Self.head + "trigger-key: \"\(path)\"\n")
        #expect(found.hasPrefix("/f:5: trigger-key is '\(path)'") && found.contains("leader's node only"), "\(found)")
    }

    @Test func `whether it asked this node's Patroni is a doubt where the file says another place`() throws {
        let elsewhere = try self.made("dcs-endpoints: http://10.10.10.12:8009\ntrigger-key: /leader\n")
        #expect(elsewhere.plan.doubts.map(\.place) == ["/f:5"])
        let text = elsewhere.plan.doubts.first?.text ?? ""
        #expect(text.contains("http://10.10.10.12:8009") && text.contains("http://127.0.0.1:8008"), "\(text)")
        // It listens on one address.
        let one = Node.patroni.replacing("0.0.0.0:8008", with: "10.10.10.11:8008")
        let other = try self.made("dcs-endpoints: http://10.10.10.12:8008\ntrigger-key: /leader\n", patroni: one)
        #expect(other.plan.doubts.count == 1)
        for own in ["http://10.10.10.11:8008", "http://10.10.10.11:8008/,http://10.10.10.12:8008/"] {
            let same = try self.made("dcs-endpoints: \"\(own)\"\ntrigger-key: /leader\n", patroni: one)
            #expect(same.plan.doubts.isEmpty, "\(same.plan.doubts)")
        }
        // What it asks where none is said.
        #expect(try self.made("trigger-key: /leader\n").plan.doubts.isEmpty)
        let moved = Node.patroni.replacing("8008", with: "8010")
        #expect(try self.made("trigger-key: /leader\n", patroni: moved).plan.doubts.count == 1)
        #expect(try self.made("dcs-endpoints: nonsense\ntrigger-key: /leader\n").plan.doubts.count == 1)
    }

    @Test func `of several endpoints it asked the first, and the report says so`() throws {
        let made = try self.made("dcs-endpoints: http://10.10.10.11:8008,http://h:8008\ntrigger-key: /leader\n")
        #expect(made.plan.lost.contains { $0.text.contains("of several endpoints it asked the first alone") })
    }
}
