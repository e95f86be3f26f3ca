// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import LenientJSON
import NetworkBed
import TestSupport
import Testing

@testable import Shell

/// Many members and groups, of which nothing is heard.
extension IsolationTests {
    /// In Citus mode: this node is group 0, and each other group has three members.
    private static let citusMode = "group: 0\ncitus: { databases: [app] }\n"

    private static func groups(of members: Int, host: (Int) -> String) -> [(key: String, value: String)] {
        (0..<members).flatMap { number -> [(key: String, value: String)] in
            let (prefix, name) = ("/service/demo/\(number / 3 + 1)/", "m\(number)")
            let leads = number % 3 == 0
            let text = IsolationScene.member(host(number), role: leads ? "primary" : "replica")
            return [(prefix + "members/\(name)", text)] + (leads ? [(prefix + "leader", name)] : [])
        }
    }

    /// TCP connections in the node's namespace that have been begun, and not been answered (SYN_SENT is 2).
    private static func pendingConnections(_ scene: IsolationScene) async throws -> Int {
        let syn = "^ *[0-9]*: [0-9A-F:]* [0-9A-F:]* 02 "
        let table = try await scene.run(["/usr/bin/grep", "-c", syn, "/proc/net/tcp"])
        return Int(table.text.filter(\.isNumber)) ?? 0
    }

    @Test(arguments: ["hyperscale", "fast"])
    @EventLoop func `600 members that drop what is sent to them cost nothing`(profile: String)
        async throws
    {
        try await IsolationScene.play(prefix: "/service/demo/0/") { scene in
            try await scene.serveEtcd()
            try scene.configure(Self.citusMode + "detector: { profile: \(profile) }")
            try scene.startDaemon()
            try await scene.lead("/service/demo/0/leader")
            try await scene.put(Self.groups(of: 600, host: IsolationScene.deadAddress))
            var most = 0
            for _ in 0..<25 {
                try await scene.wait(.seconds(2))
                most = max(most, try await Self.pendingConnections(scene))
            }
            print("600 members, \(profile): at most \(most) connections pending")
            // As many as one libcurl client would have had for everything.
            #expect(most > 64)
            try await scene.expectLease()
        }
    }

    @Test @EventLoop func `64 groups that are scopes are all followed, and the address comes with the leader key`()
        async throws
    {
        func scope(_ group: Int) -> String { group == 0 ? "demo" : "demo-w\(group)" }
        try await IsolationScene.play { scene in
            let proxy = try await scene.serveEtcd()
            let groups = (0..<64).map { "\($0): \(scope($0))" }.joined(separator: ", ")
            try scene.configure("citus: { databases: [app], groups: { \(groups) } }")
            try scene.startDaemon()
            // Of each group Patroni's keys and ours; those of the own group hold the addresses', too.
            #expect(try await eventually(within: .seconds(30)) { proxy.watchCount >= 128 }, "\(proxy.watchCount)")
            print("\(proxy.watchCount) watches")
            try await scene.lead()
            try await scene.put(
                (1..<64).flatMap { group in
                    [
                        ("/service/\(scope(group))/members/w\(group)", IsolationScene.member("10.99.9.\(group)")),
                        ("/service/\(scope(group))/leader", "w\(group)"),
                    ]
                })
            var leaders: [String] = []
            let isFollowed = try await eventually(within: .seconds(30)) {
                let status = JSON.parse(try await scene.pharos("status", "--json", "--socket", scene.socket).text.utf8)
                leaders = status?["citus"]?["groups"]?.array?.compactMap { $0["leader"]?.string } ?? []
                return leaders.count == 64
            }
            #expect(isFollowed && Set(leaders).count == 64, "\(leaders)")
            try await scene.wait(.seconds(20))
            #expect(proxy.watchCount >= 128, "\(proxy.watchCount)")
            try await scene.expectLease()
        }
    }

    @Test @EventLoop func `of 300 names four are looked up at once`() async throws {
        try await IsolationScene.play(prefix: "/service/demo/0/") { scene in
            try await scene.serveEtcd()
            let servers = try await NameServers(in: scene.node.name, [:])
            servers.areSilent = true
            try scene.folder.write("resolv.conf", NameServers.addresses.map { "nameserver \($0)\n" }.joined())
            try scene.configure(Self.citusMode + "detector: { profile: fast }")
            try scene.startDaemon()
            try await scene.lead("/service/demo/0/leader")
            try await scene.put(Self.groups(of: 300) { "m\($0).test" })
            let begun = ContinuousClock.now
            var most = 0
            for _ in 0..<600 {
                try await scene.wait(.milliseconds(50))
                most = max(most, try scene.children("getent").count)
            }
            let asked = Set(servers.unanswered).count
            print("\(asked) names were asked for, by at most \(most) children")
            // One that was killed at its limit, after 2 s, may be there for another moment, as one of eight in all.
            let limit = ChildBudget.limit(of: .nameLookup).running
            #expect(most >= HostResolver.atOnce && most <= limit)
            let rounds = Int((ContinuousClock.now - begun) / .seconds(2)) + 2
            #expect(asked > 2 * HostResolver.atOnce && asked <= HostResolver.atOnce * rounds, "\(rounds) rounds")
            try await scene.expectLease()
        }
    }
}
