// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Decision

/// Each code of `pharos verify`, by facts that yield it.
struct FindingRowsTests {
    private typealias Scene = VerificationTests

    private static func found(_ code: Finding.Code, afterRestore: Bool = false) -> [Finding] {
        verify(
            Scene.facts { facts in
                FindingRow(code).change(&facts)
                if afterRestore { facts.isAfterRestore = true }
            })
    }

    @Test(arguments: Finding.Code.allCases)
    func `verify finds each code, as grave as the manual says, and nothing that does not belong to it`(
        code: Finding.Code
    ) throws {
        let (row, found) = (FindingRow(code), Self.found(code))
        #expect(found.map { "\($0.code.rawValue) \($0.severity) \($0.group.map(String.init) ?? "-")" } == row.found)
        let own = try #require(found.first { $0.code == code }, "no \(code.rawValue) of its own facts")
        #expect(own.remedy.place == row.place.map { .server($0) }, "\(code.rawValue): \(own.remedy)")
        #expect(!own.evidence.isEmpty && !own.remedy.text.isEmpty)
    }

    /// Where etcd does not say where the coordinator is, nobody is sent to another server for it.
    @Test func `a statement is never without a server`() {
        for code in Finding.Code.allCases {
            let facts = Scene.facts { facts in
                FindingRow(code).change(&facts)
                facts.leaders = [:]
            }
            for finding in Self.found(code) + Self.found(code, afterRestore: true) + verify(facts) {
                let remedy = finding.remedy
                #expect((remedy.place == nil) == (remedy.sql.isEmpty && remedy.changes.isEmpty), "\(finding)")
                // What is to be run on a worker is told of that worker, or of the member that its leader's statement concerns.
                guard case .server(let place)? = remedy.place, place != Scene.coordinator else { continue }
                #expect(finding.group == facts.group(of: place), "\(finding)")
            }
        }
    }

    /// `restart CLUSTER` at three in the morning is a question, no answer.
    @Test func `what is to be typed has names, and no place-holders`() {
        for code in Finding.Code.allCases {
            for finding in Self.found(code) + Self.found(code, afterRestore: true) {
                for text in finding.remedy.sql + finding.remedy.commands {
                    let words = text.split { !$0.isLetter && $0 != "_" }
                    let shouted = words.filter { $0.count > 2 && $0.allSatisfy { $0.isUppercase || $0 == "_" } }
                    #expect(shouted.isEmpty, "\(finding.code.rawValue): \(text)")
                }
            }
        }
    }

    /// docs/restore.md: never synchronize metadata to get rid of a difference.
    @Test func `after a restore nothing is offered that lets the coordinator's view win`() {
        for code in Finding.Code.allCases {
            for sql in Self.found(code, afterRestore: true).flatMap(\.remedy.sql) {
                #expect(!sql.contains("start_metadata_sync") && !sql.contains("citus_activate_node"), "\(code): \(sql)")
            }
        }
        let living: [String] = Self.found(.shardsDiffer).flatMap(\.remedy.sql)
        #expect(living.contains { $0.contains("start_metadata_sync") })
    }

    @Test func `statements name what is listed`() {
        func sql(_ kind: Irregularity, _ listed: String...) -> [String] {
            verify(Scene.facts { $0.coordinator?.facts.irregularities[kind] = listed }).flatMap(\.remedy.sql)
        }
        #expect(
            sql(.tasks, "task 9 (running) of job 7: x", "task 10 (blocked) of job 7: x", "task 11 (runnable) of job 8")
                == ["select citus_job_cancel(7)", "select citus_job_cancel(8)"])
        let copy = sql(.inactivePlacements, "shard 102008 in group 2")
        #expect(copy.count == 1 && copy[0].contains("t.groupid = 2") && copy[0].contains("p.shardid = 102008 and"))
        #expect(sql(.failedTasks, "task 9 (error) of job 7: x").map { $0.hasSuffix("job_id = 7") } == [true])
        let grant = verify(
            Scene.facts {
                $0.coordinator?.facts.role = "the \"role\""
                $0.coordinator?.facts.irregularities[.maintenanceDaemonUnseen] = ["app"]
            }
        ).flatMap(\.remedy.sql)
        #expect(grant == [#"grant pg_read_all_stats to "the ""role""""#])
    }

    @Test func `commands name database and cluster`() throws {
        func commands(_ layout: PatroniLayout, _ change: (inout ClusterFacts) -> Void) -> [String] {
            verify(
                Scene.facts { facts in
                    facts.database = "the app"
                    facts.settings.layout = layout
                    change(&facts)
                }
            ).flatMap(\.remedy.commands)
        }
        let timeout = ["citus.node_connection_timeout": "30s"]
        let everywhere: (inout ClusterFacts) -> Void = { facts in
            facts.coordinator?.facts.settings = timeout
            for worker in [Scene.worker, Scene.other] { Scene.change(&facts, worker) { $0.settings = timeout } }
        }
        #expect(
            commands(.scopes([0: "app", 1: "app-w1", 2: "app-w2"]), everywhere)
                == ["app", "app-w1", "app-w2"].map {
                    "patronictl edit-config \($0) --pg 'citus.node_connection_timeout=3s'"
                })
        #expect(
            commands(.oneScope("demo")) { facts in
                Scene.change(&facts, Scene.worker) { $0.settings = ["citus.node_conninfo": "sslmode=prefer"] }
            } == [
                "patronictl edit-config demo --group 1 --pg 'citus.node_conninfo=sslmode=prefer tcp_user_timeout=3000 keepalives_idle=2 keepalives_interval=1 keepalives_count=3'"
            ])
        let workers = commands(.oneScope("demo")) {
            $0.coordinator?.facts.room = ServerRoom(workers: 8, workersInUse: 8)
        }
        #expect(workers.last == "patronictl restart demo --group 0 --role replica; patronictl restart demo --group 0")
        #expect(
            commands(.oneScope("demo")) { $0.coordinator?.missingFunctions = ["pharos.f"] }
                == ["pharos grant-sql | runuser -u postgres -- psql -d 'the app'"])
        // What may hold a password is not repeated.
        let secret = commands(.oneScope("demo")) { facts in
            Scene.change(&facts, Scene.worker) { $0.settings = ["citus.node_conninfo": "password=s3cret"] }
        }
        #expect(secret.count == 1 && !secret[0].contains("s3cret"))
    }
}

extension ClusterFacts {
    /// Of a leader or row.
    fileprivate func group(of place: NodeEndpoint) -> Int? {
        self.coordinator?.rows.first { $0.endpoint == place }?.group
    }
}
