// SPDX-License-Identifier: Apache-2.0
import CitusCatalog
import Decision
import EtcdClient
import EventLoop
import PostgresClient
import Settings
import TestSupport
import Testing

@testable import Shell

/// A cluster in order, with all that `pharos grant-sql` gives, in which a drift can be made and looked for.
@EventLoop
struct VerifyBench {
    let scene: CitusScene
    let settings: Settings

    init(settings: [String] = []) async throws {
        let scene = try await CitusScene(settings: settings)
        let grants = CitusGrants(writes: true, secondaries: false, pools: true)
        for (_, sql) in grants.statements(role: CitusScene.role) { _ = try await scene.session.query(sql) }
        self.settings = try scene.settings(.own)
        self.scene = scene
        try await scene.citus.shareRole(CitusScene.role, rights: ["pg_read_all_settings"])
        _ = try await scene.session.query("select citus_stand_in.sync()")
        _ = try await scene.session.query("select citus_stand_in.share_shards()")
        for name in ["c", "w1", "w2"] {
            try await self.on(
                name, ["begin"] + CitusGrants.restoreStatements(role: CitusScene.role).map(\.sql) + ["commit"])
        }
    }

    func on(_ name: String, _ statements: [String]) async throws {
        let session = try await PostgresConnection(self.scene.citus.conninfo(name))
        for statement in statements { _ = try await session.query(statement, timeout: .seconds(30)) }
    }

    /// What is found, notes too.
    func all(deep: Bool = false) async throws -> [Finding] {
        let verifier = try #require(ClusterVerifier(self.settings))
        return await verifier.verified(isDeep: deep, isAfterRestore: false).flatMap(\.findings)
    }

    /// What is found, but for notes.
    func findings(deep: Bool = false) async throws -> [Finding] {
        try await self.all(deep: deep).filter { $0.severity > .note }
    }

    func codes(deep: Bool = false) async throws -> [String] {
        Self.codes(try await self.findings(deep: deep))
    }

    /// What one drift is called, and that nothing is left when it is undone.
    func drift(
        _ expected: [String], deep: Bool = false, on name: String = "c", _ inject: [String], undo: [String],
        beforehand: [String] = [], location: SourceLocation = #_sourceLocation
    ) async throws {
        try await self.on("c", beforehand)
        try await self.on(name, inject)
        let found = try await self.findings(deep: deep)
        let told = found.map { "\($0.code.rawValue): \($0.evidence)" }.joined(separator: "\n")
        #expect(Self.codes(found) == expected, "\(told)", sourceLocation: location)
        try await self.on(name, undo)
        let left = try await self.findings(deep: deep)
        #expect(Self.codes(left) == [], "\(left.map(\.evidence))", sourceLocation: location)
    }

    private static func codes(_ findings: [Finding]) -> [String] {
        findings.map { "\($0.code.rawValue) \($0.group.map(String.init) ?? "-")" }
    }
}
