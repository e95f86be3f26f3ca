// SPDX-License-Identifier: Apache-2.0
import Migration
import NetworkAddress
import Settings
import Testing

/// What `pharos migrate` says of etcd and of this node, and the steps.
struct ReportTests {
    private func sight(
        _ leader: MigrationSight.Leader, members: [String]? = ["n1", "n2"], isMarked: Bool? = false,
        _ standing: MigrationSight.Standing = .places([])
    ) throws -> MigrationSight {
        MigrationSight(
            leader: leader, members: members, isMarked: isMarked,
            standings: [(try #require(IPAddress("10.10.10.3")), standing)])
    }

    private func report(_ sight: MigrationSight) throws -> String {
        try Node().read([try fixture("vip-manager.yml")]).report(sight)
    }

    @Test func `what was looked at is told, and what was not is told as that`() throws {
        let well = try self.report(try self.sight(.named("n1"), .places(["on eth1 as 10.10.10.3/24, without an end"])))
        #expect(well.contains("it names n1, this member"))
        #expect(well.contains("  10.10.10.3 stands on this node: on eth1 as 10.10.10.3/24, without an end"))
        #expect(well.contains("Pharos has not met this etcd yet"))
        #expect(!well.contains("\n! "))
        let blind = try self.report(
            try self.sight(.notAsked("no answer"), members: nil, isMarked: nil, .notAsked("no ip")))
        #expect(blind.contains("! etcd could not be asked, so whether the key exists is not known: no answer"))
        #expect(blind.contains("! whether 10.10.10.3 stands on this node is not known: no ip"))
        #expect(!blind.contains("members in etcd") && !blind.contains("has not met"))
    }

    @Test func `an address that does not fit the leader is marked`() throws {
        let absent = try self.report(try self.sight(.named("n1")))
        #expect(absent.contains("! 10.10.10.3 does not stand on this node, though it leads"))
        let two = try self.report(try self.sight(.named("n2"), .places(["on eth1"])))
        #expect(
            two.contains(
                "! 10.10.10.3 stands on this node: on eth1, though another member leads: two nodes may have it"))
        #expect(two.contains("what n2's kernel has cannot be seen from here"))
        let none = try self.report(try self.sight(.absent, members: ["n2"]))
        #expect(none.contains("! etcd has no such key now (API v3)"))
        #expect(none.contains("this one, n1, is not among them"))
    }

    @Test func `the steps stop the old program only where Pharos can follow at once`() throws {
        let made = try Node().read([try fixture("vip-manager.yml")])
        let change = ChangeOver(made.plan, instance: DaemonInstance())
        let commands = change.steps.flatMap(\.commands)
        let beside = try #require(
            commands.firstIndex { $0.contains("AmbientCapabilities=") && $0.contains("SystemCallFilter=capset") })
        let waiting = try #require(commands.firstIndex { $0.contains("belongs here") })
        let stop = try #require(commands.firstIndex { $0.contains("systemctl stop vip-manager") })
        #expect(beside < waiting && waiting < stop)
        // On the leader's node nothing stands between the stop and the restart.
        #expect(commands.contains { $0.hasSuffix("systemctl stop vip-manager && systemctl restart pharos") })
        #expect(
            change.wayBack.flatMap(\.commands).contains(
                "systemctl disable --now pharos && systemctl enable --now vip-manager"))
    }
}
