// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Decision
import LenientJSON
import Shell
import Testing

@testable import pharos

/// What `pharos repair` and the walk after a restore make of findings.
struct RepairTests {
    private static let node = NodeEndpoint("10.77.0.3", 5432)

    private static func finding(
        _ code: Finding.Code, _ severity: Finding.Severity = .critical, refusal: String? = nil
    ) -> Finding {
        Finding(
            code, severity, group: 1, node: self.node, "about \(code.rawValue)",
            .init("do this", repairedBy: ["select 1"], on: .server(self.node), refusal: refusal))
    }

    private static func list(_ code: Finding.Code, _ findings: [Finding]) -> RepairList {
        RepairList(
            code, ClusterFacts(database: "app", settings: CitusSettings(group: 0, databases: ["app"], mode: .own)),
            findings)
    }

    @Test func `nothing to repair is said only where all was looked at`() {
        #expect(Self.list(.rowNotLeader, [Self.finding(.inactive)]).status == 0)
        for code in Finding.Code.allCases where code.isOfTheUnseen {
            let list = Self.list(.orphanedPrepared, [Self.finding(code)])
            #expect(list.status == 69 && list.found.isEmpty, "\(code)")
            #expect(list.lines == ["app: not looked at: about \(code.rawValue)"])
        }
        #expect(Self.list(.orphanedPrepared, [Self.finding(.rowUnverified, .note)]).status == 0)
    }

    @Test func `what is refused is told with the reason, and counts`() {
        let list = Self.list(
            .inactive, [Self.finding(.inactive), Self.finding(.inactive, refusal: "it may lose data")])
        #expect(list.status == 1 && list.repairable.count == 1 && list.found.count == 2)
        #expect(list.lines.contains("  refused: it may lose data. do this"))
    }

    @Test func `a code goes by its name, and transactions in doubt by what people call them`() throws {
        #expect(Repair.code(named: "in-doubt") == .orphanedPrepared)
        for code in Finding.Code.allCases { #expect(Repair.code(named: code.rawValue) == code) }
        #expect(Repair.code(named: "in_doubt") == nil && Repair.code(named: "") == nil)
        #expect(try Repair.parse(["in-doubt", "--dry-run"]).dryRun)
        #expect(throws: (any Error).self) { try Repair.parse(["in_doubt"]) }
    }

    @Test func `who is switched off is said with a place, and after a restore alone`() throws {
        let said = try Verify.parse(["--after-restore", "--switched-off", "a:1", "--switched-off", "[fd00::2]:5432"])
        #expect(said.switchedOff == ["a:1", "[fd00::2]:5432"])
        for wrong in [["--switched-off", "a:1"], ["--after-restore", "--switched-off", "a"]] {
            #expect(throws: (any Error).self, "\(wrong)") { try Verify.parse(wrong) }
        }
    }

    @Test func `what this node's daemon knows is taken over`() {
        var knowledge = PriorKnowledge()
        let status =
            #"{"rival_coordinators":["10.0.0.9:5432","x"],"verification":{"databases":[{"database":"app","codes":["cleanup-pending"]},{"database":"b","codes":[]}]}}"#
        knowledge.learn(JSON.parse(Array(status.utf8)))
        #expect(knowledge.suspects == [NodeEndpoint("10.0.0.9", 5432)] && knowledge.oldCleanups == ["app"])
        knowledge.learn(nil)
        #expect(knowledge.suspects == [])
    }

    // MARK: - The walk after a restore

    private static let proof = RestorePointProof.proven(RestoredServer.Marker(id: "7", name: "hourly", made: 0))

    private static func walk(_ findings: [Finding], _ proof: RestorePointProof? = Self.proof) -> String {
        RestoreWalk(VerificationReport(database: "app", findings: findings, restorePoint: proof)).text
    }

    @Test func `a restored cluster may be opened only where every step holds and one point is proven`() {
        #expect(Self.walk([]).contains("may be opened. Every server stopped at restore point \"hourly\""))
        #expect(!Self.walk([], nil).contains("may be opened"))
        #expect(Self.walk([Self.finding(.shardLeftovers, .note)]).contains("may be opened"), "a note keeps nobody out")
    }

    @Test func `what was not looked at keeps the cluster shut, however little it may be, and is printed`() {
        for code in Finding.Code.allCases where code.isOfTheUnseen {
            let text = Self.walk([Self.finding(code, .note)])
            #expect(!text.contains("may be opened") && text.contains("NOT YET"), "\(code)")
            #expect(text.contains("\(code.rawValue): about \(code.rawValue)"), "\(code)")
        }
    }

    @Test func `the walk prints what to type, and on which server`() {
        let text = Self.walk([Self.finding(.orphanedPrepared)])
        #expect(text.contains("on 10.77.0.3:5432:\n") && text.contains("select 1;"), "\(text)")
    }

    @Test func `who was not asked stands in the all-clear`() {
        func walk(_ switchedOff: [NodeEndpoint], _ forgotten: String?) -> String {
            RestoreWalk(
                VerificationReport(
                    database: "app", findings: [], restorePoint: Self.proof, switchedOff: switchedOff,
                    forgotten: forgotten)
            ).text
        }
        let off = walk([Self.node], nil)
        #expect(off.contains("may be opened") && off.contains("you say that they are switched off"))
        #expect(off.contains("the servers at 10.77.0.3:5432"))
        let unknown = walk([], "no daemon has written it down")
        #expect(unknown.contains("may be opened") && unknown.contains("since none is known here: no daemon"))
        #expect(!walk([], nil).contains("sked"), "nobody was left out")
    }

    /// What keeps nobody out, by name: each code that is not in this list does. A new one has to be thought about.
    private static let later: Set<Finding.Code> = [
        .failoverMayHang, .poolDiffers, .poolUnmanaged, .grantsOutdated, .fenceUnusable, .fenceSuperseded,
        .versionUntested, .commitRecordsLeft, .timelineDiffers, .maintenanceDaemonMissing, .tasksFailed,
    ]

    @Test(arguments: Finding.Code.allCases)
    func `every finding stands in one step, and keeps the cluster shut unless it is for later`(code: Finding.Code) {
        let text = Self.walk([Self.finding(code, .warning)])
        let isLater = Self.later.contains(code)
        #expect(text.contains("may be opened") == isLater, "\(code)")
        #expect(text.split(separator: "\n").count { $0.hasPrefix("NOT YET") } == (isLater ? 0 : 1))
        #expect(RestoreWalk.allSteps.count { $0.codes.contains(code) } == 1)
        #expect(text.contains("later       \(code.rawValue)") == isLater)
    }

    @Test func `nothing is called in order of what could not be looked at`() {
        func marks(_ text: String) -> [String] {
            text.split(separator: "\n").map { String($0.prefix(8)) }.filter {
                ["ok      ", "NOT YET ", "NOT SEEN"].contains($0)
            }
        }
        let down = marks(Self.walk([Self.finding(.rowUnreachable, .warning)]))
        #expect(down.count == RestoreWalk.allSteps.count)
        #expect(down[0] == "ok      ", "the coordinator was seen")
        #expect(
            down[2] == "NOT YET "
                && down.enumerated().allSatisfy { $0.offset < 1 || $0.offset == 2 || $0.element == "NOT SEEN" })
        let blind = marks(Self.walk([Self.finding(.etcdUnreadable, .warning)]))
        #expect(blind.count { $0 == "NOT SEEN" } == RestoreWalk.allSteps.count - 1)
        // Nobody has read where the servers stopped.
        #expect(marks(Self.walk([], nil))[5] == "NOT SEEN")
        #expect(marks(Self.walk([])).allSatisfy { $0 == "ok      " })
    }
}
