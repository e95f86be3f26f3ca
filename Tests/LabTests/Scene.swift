// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Lab
import Synchronization
import Testing

/// One fault on a real cluster: from a healthy beginning, through what happens, to the measured outcome.
///
/// The lab is shared by the scenes that want the same cluster, and left running for the next; scripts/test takes the last
/// one down. Every scene ends with the checks that no two nodes held an address at once, and that
/// nobody announced one without having it.
@EventLoop
struct Scene {
    let lab: Lab
    /// When it began, in microseconds since boot.
    let start: Int64
    /// The leader at the beginning.
    let leader: String

    static let v4 = "10.77.0.100"
    static let v6 = "fd77::100"
    static let addresses = [v4, v6]

    /// Plays a scene in a lab whose options `change` has changed. `isOverlapExpected`: an operator's own hand makes two holders.
    static func play(
        _ name: String,
        _ change: (inout LabOptions) -> Void = { _ in },
        isOverlapExpected: Bool = false,
        _ act: @EventLoop (Scene) async throws -> Void
    ) async throws {
        let (lab, leader) = try await self.healthyLab(change)
        try lab.mark("scene: \(name)")
        let scene = Scene(lab: lab, start: Lab.now, leader: leader)
        self.hasFailed.store(false, ordering: .relaxed)
        do {
            try await act(scene)
        } catch {
            await scene.dump()
            await self.abandonLab()
            throw error
        }
        if !isOverlapExpected {
            try await scene.expectNoOverlap()
            try scene.expectOnlyHoldersAnnounce()
        }
        if self.hasFailed.load(ordering: .relaxed) { await scene.dump() }
        try await scene.repair()
    }

    /// Whether an expectation has failed since the scene began: there is one scene at a time.
    private nonisolated static let hasFailed = Atomic(false)

    /// Takes notice of an issue, which stays one.
    nonisolated static func note(_ issue: Issue) -> Issue? {
        self.hasFailed.store(true, ordering: .relaxed)
        return issue
    }

    nonisolated static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Whether a lab may be started: it takes root rights, minutes, and the staged daemon.
    nonisolated static var isPossible: Bool { getenv("PHAROS_LAB_STAGE") != nil }

    /// Whether scenes of minutes are played too.
    nonisolated static var takesLong: Bool { getenv("PHAROS_LAB_LONG") != nil }

    /// The lab with these options, and its leader: the running one if it is well, else a new one.
    private static func healthyLab(_ change: (inout LabOptions) -> Void) async throws -> (Lab, String) {
        var options = LabOptions()
        options.installTree = self.variable("PHAROS_LAB_STAGE")
        change(&options)
        if let running = self.running(), running.options == options {
            do {
                let leader = try await running.awaitHealth(timeout: .seconds(30))
                try await running.awaitReplay(timeout: .seconds(30))
                return (running, leader)
            } catch {
                print("the lab is not well after the scene before (\(error)); it is made anew")
            }
        }
        let lab = try await Lab.up(options, program: self.variable("PHAROS_LAB_PROGRAM")) { print($0) }
        let leader = try await lab.awaitHealth(timeout: .seconds(120))
        try await lab.awaitReplay(timeout: .seconds(60))
        if options.citus != nil { try await lab.prepareCitus() }
        return (lab, leader)
    }

    /// What a scene that ended half way has done to the nodes, nobody undoes: the next scene gets a new lab.
    private static func abandonLab() async {
        do throws(LabError) { try await Lab.down() } catch { print("the lab is still there: \(error)") }
    }

    private static func running() -> Lab? {
        do throws(LabError) {
            return try Lab.running()
        } catch {
            return nil
        }
    }

    // MARK: - Steps

    func wait(_ description: String, _ timeout: Duration, _ condition: @EventLoop () async throws -> Bool) async throws
    {
        try await self.lab.waitFor(description, timeout: timeout, condition)
    }

    func pause(_ delay: Duration) async throws { try await EventLoop.sleep(for: delay) }

    /// Waits until exactly these nodes hold both addresses.
    func awaitHolders(_ nodes: [String], _ timeout: Duration) async throws {
        try await self.wait("holders are \(nodes)", timeout) {
            for address in Self.addresses where try await self.lab.holders(address) != nodes { return false }
            return true
        }
    }

    /// Waits for another leader than the first; answers it.
    func awaitNewLeader(_ timeout: Duration) async throws -> String {
        var leader = ""
        try await self.wait("another leader than \(self.leader)", timeout) {
            leader = try await self.lab.leader() ?? self.leader
            return leader != self.leader
        }
        return leader
    }

    func run(_ node: String, _ command: String...) async throws { try await self.lab.run(node, command) }

    /// From now on systemd does not start the leader's service again when it dies.
    func keepDown(_ service: String) async throws {
        let folder = "/run/systemd/system/\(service).service.d"
        try await self.run(
            self.leader, "sh", "-c",
            "mkdir -p \(folder) && printf '[Service]\\nRestart=no\\n' >\(folder)/dead.conf && systemctl daemon-reload")
    }

    func bringBack(_ service: String) async throws {
        let folder = "/run/systemd/system/\(service).service.d"
        try await self.run(
            self.leader, "sh", "-c", "rm -r \(folder) && systemctl daemon-reload && systemctl restart \(service)")
    }

    /// Ends the leader's daemon as a crash does, with all that it has started.
    func crash() async throws { try await self.run(self.leader, "systemctl", "kill", "-s", "KILL", "pharos") }

    var others: [String] { self.lab.options.nodes.filter { $0 != self.leader } }

    // MARK: - Outcomes

    func timeline() throws -> Timeline { try self.lab.timeline() }

    func expectNoOverlap(_ location: SourceLocation = #_sourceLocation) async throws {
        // The observer writes within milliseconds; nothing is still on its way after this.
        try await self.pause(.milliseconds(300))
        let overlap = try self.timeline().overlap(since: self.start, until: Lab.now)
        #expect(overlap == 0, "two nodes held one address for \(overlap) ms", sourceLocation: location)
    }

    /// Expects that nobody has announced an address that its kernel did not have.
    private func expectOnlyHoldersAnnounce() throws {
        let told = try self.timeline().falseAnnouncements(since: self.start)
        #expect(told.isEmpty, "announced without having it: \(told.map { ($0.node, $0.address, $0.at - self.start) })")
    }

    /// Milliseconds since the scene began during which nobody held the address.
    func absence(of address: String = Scene.v4) throws -> Double {
        try self.timeline().absence(of: address, since: self.start, until: Lab.now)
    }

    /// The same for each address.
    func absences() throws -> [Double] { try Self.addresses.map { try self.absence(of: $0) } }

    /// How long the addresses stayed on the old leader after Patroni's leader key no longer named it, and how long they
    /// took to come to `target` after it led, took writes, and they were free: the longer of both addresses, in milliseconds.
    func handover(to target: String, since begun: Int64) async throws -> (away: Int64, delay: Int64) {
        try await self.pause(.milliseconds(300))
        let timeline = try self.timeline()
        let changes = timeline.leaderChanges(since: begun)
        let left = try #require(changes.first).at
        let led = try #require(changes.first { $0.node == target }).at
        let writable = try #require(timeline.firstWritable(target, since: begun)).at
        var (away, delay): (Int64, Int64) = (0, 0)
        for address in Self.addresses {
            let gone = try #require(timeline.holdings(of: address).compactMap(\.until).last { $0 >= begun })
            let came = try #require(timeline.firstAppearance(of: address, on: target, since: begun)).at
            away = max(away, (gone - left) / 1000)
            delay = max(delay, (came - max(led, writable, gone)) / 1000)
        }
        return (away, delay)
    }

    /// Expects that each address was held throughout.
    func expectNoAbsence(_ location: SourceLocation = #_sourceLocation) throws {
        for address in Self.addresses {
            let absence = try self.absence(of: address)
            // Thrown, so that the scene is told whole.
            try #require(absence == 0, "nobody held \(address) for \(absence) ms", sourceLocation: location)
        }
    }

    /// Ends what the scene has done to the nodes. Whether they recover from it is for the next scene to find out.
    private func repair() async throws {
        try await self.lab.heal()
        try await self.pause(.seconds(1))
    }

    /// Asks for a switchover until Patroni, which may itself be busy with the fault, agrees.
    func insistOnSwitchover(to candidate: String?) async throws -> String {
        var target = ""
        try await self.wait("a switchover that Patroni agrees to", .seconds(60)) {
            do throws(LabError) {
                // An attempt that was not answered may have worked.
                if let leader = try await self.lab.leader(), leader == candidate {
                    target = leader
                } else {
                    target = try await self.lab.switchover(to: candidate)
                }
                return true
            } catch {
                guard error.kind == .command else { throw error }
                try await self.pause(.seconds(2))
                return false
            }
        }
        return target
    }

    /// What a person needs to understand a failure.
    private func dump() async {
        do {
            print(try self.timeline().render(since: self.start, until: Lab.now))
            for node in self.lab.options.nodes {
                let records = try await self.records(node, ["-u", "pharos", "-u", "patroni", "-u", "etcd"])
                print("--- \(node)")
                for record in records { print("\((record.at - self.start) / 1000) ms: \(record.message)") }
            }
        } catch {
            print("no more can be said: \(error)")
        }
    }
}
