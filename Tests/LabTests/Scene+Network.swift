// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// What a node's network looks like from inside, and what the client knows of it.
extension Scene {
    /// Runs on the leader's node what takes all addresses off its interface, and waits until the kernel has told that, and ours
    /// are back. (What the daemon tells depends on how often it has happened: see `Meddling`.)
    func takeAddressesAway(_ script: String) async throws {
        let before = try self.endedHoldings()
        try await self.run(self.leader, "sh", "-c", script)
        try await self.wait("another removal of \(Self.v4) on \(self.leader)", .seconds(20)) {
            try self.endedHoldings() > before
        }
        try await self.awaitHolders([self.leader], .seconds(30))
    }

    /// How often the leader's node has lost the address.
    private func endedHoldings() throws -> Int {
        try self.timeline().holdings(of: Self.v4).count { $0.node == self.leader && $0.until != nil }
    }

    /// Waits until the node has `own` as the first IPv4 address of its subnet, with a route that does not name ours, and
    /// expects that what the node opens then comes from it.
    func expectOwnNetwork(of node: String, _ own: String, _ location: SourceLocation = #_sourceLocation) async throws {
        let other = try #require(self.lab.options.nodes.first { $0 != node })
        let url = "http://\(LabLayout.address(other)):2379/version"
        var source = ""
        do {
            try await self.wait("\(own) and its route on \(node)", .seconds(20)) {
                let addresses = try await self.lab.run(node, ["ip", "-o", "-4", "address", "show", "dev", "eth0"])
                let routes = try await self.lab.run(node, ["ip", "route", "show"])
                let entry = addresses.split(separator: "\n").first { $0.contains("inet \(own)/24 ") }
                return entry?.contains("secondary") == false && routes.contains("10.77.0.0/24 dev eth0")
                    && !routes.contains(Self.v4)
            }
            try await self.wait("a connection from \(node) to \(other)", .seconds(20)) {
                let curl = ["curl", "-s", "-o", "/dev/null", "--max-time", "2", "-w", "%{local_ip}", url]
                let outcome = try await self.lab.exec(node, curl)
                source = outcome.text
                return outcome.exitCode == 0
            }
        } catch {
            let script = "ip -o address; ip route; ip route show table local; ip neigh"
            for node in [node, other] { print("\(node):\n\(try await self.lab.run(node, ["sh", "-c", script]))") }
            throw error
        }
        #expect(source == own, "\(node) connects from \(source)", sourceLocation: location)
    }

    /// Expects that nothing on the node has opened a connection from our address.
    func expectNothingOpenedFromOurs(
        on node: String, _ location: SourceLocation = #_sourceLocation
    ) async throws {
        // What PostgreSQL's clients and those who ask Patroni have opened is not the node's.
        let opened = try await self.lab.run(
            node, ["ss", "-Htn", "state", "established", "src \(Self.v4) and sport != 5432 and sport != 8008"])
        #expect(opened.isEmpty, "\(node) has opened \(opened)", sourceLocation: location)
    }

    /// The link address at which the client's kernel believes `address` to be.
    func neighbor(_ address: String) async throws -> String? {
        let text = try await self.lab.runAtClient(["ip", "-json", "neigh", "show", "to", address, "dev", "eth0"])
        return JSON.parse(text.utf8)?.array?.first?["lladdr"]?.string
    }

    /// Expects that the client looks for both addresses where `holder` is.
    func expectNeighbors(_ holder: String, _ location: SourceLocation = #_sourceLocation) async throws {
        for address in Self.addresses {
            let known = try await self.neighbor(address)
            #expect(known == LabLayout.linkAddress(holder), "\(address)", sourceLocation: location)
        }
    }

    /// Waits until a client writes through each of these addresses again, after it could not.
    func awaitWrites(through addresses: [String] = Self.addresses) async throws {
        try await self.wait("writes through \(addresses)", .seconds(60)) {
            let timeline = try self.timeline()
            return addresses.allSatisfy { address in
                let gaps = timeline.gaps(of: address, since: self.start)
                return !gaps.isEmpty && gaps.allSatisfy { $0.firstSuccess != nil }
            }
        }
    }

    /// Switches over from the present leader, and expects that the clients reach the new holder.
    func switchOver() async throws {
        let leader = try #require(try await self.lab.leader())
        let candidate = try #require(self.lab.options.nodes.first { $0 != leader })
        // Patroni's own connections may have gone with the address that they came from.
        _ = try await self.insistOnSwitchover(to: candidate)
        try await self.awaitHolders([candidate], .seconds(30))
        try await self.awaitWrites()
        try await self.expectNeighbors(candidate)
    }

    /// Ends the leader's daemon for good, and leaves its kernel as a daemon of before left it whose node's own address had
    /// been taken away and put back: ours first, with the configured length, and the node's own would go with it.
    func putOwnAddressBehindOurs() async throws {
        try await self.keepDown("pharos")
        try await self.crash()
        let own = LabLayout.address(self.leader)
        // As Debian 12 leaves it; a daemon that has found such an order before has set it.
        try await self.lab.setInterfaceNumber("promote_secondaries", 0, on: self.leader)
        try await self.run(
            self.leader, "sh", "-c",
            """
            set -e
            ip -4 address flush dev eth0
            ip address add \(Self.v4)/24 dev eth0 valid_lft 15 preferred_lft 15
            ip address add \(own)/24 dev eth0
            ip address show dev eth0 | grep -q 'inet \(own)/24 .*secondary'
            """)
    }
}
