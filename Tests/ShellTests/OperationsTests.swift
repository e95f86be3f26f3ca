// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import HTTPClient
import Journal
import LenientJSON
import StatusServer
import TestSupport
import Testing

@testable import Shell

/// What persons ask of a whole daemon over its socket: n1, on which it runs, leads; n2 stands by.
@Suite(.serialized)
struct OperationsTests {
    init() { EventLoop.shared.executor.startThread() }

    private static let member = #"{"state":"running","timeline":3,"xlog_location":1000}"#

    @EventLoop
    private final class Stage {
        let folder: TemporaryDirectory
        let scene: Scene
        private(set) var shell: Shell?

        /// `patroni`: what it answers.
        init(_ patroni: @escaping @EventLoop () -> [UInt8] = { httpAnswer(503, "no") }) throws {
            self.folder = try TemporaryDirectory("operations")
            self.scene = try Scene(status: "{ socket: \(self.folder.file("socket")) }", patroni: patroni)
            for name in ["n1", "n2"] { self.scene.etcd.put("/service/demo/members/\(name)", OperationsTests.member) }
        }

        func start() async throws { self.shell = try await self.scene.startHolding() }

        func ask(_ path: String, _ body: String? = nil) async throws -> (status: Int, json: JSON) {
            let http = HTTPClient()
            defer { http.close() }
            var request = HTTPRequest(body == nil ? .get : .post, "http://localhost" + path)
            request.unixSocket = self.folder.file("socket")
            request.isRepeatable = false
            request.body = Array((body ?? "").utf8)
            let answer = try await http.send(request)
            return (answer.status, JSON.parse(answer.body) ?? .null)
        }

        /// The ticket, once it is in none of these states any more.
        func follow(_ ticket: JSON, while states: String...) async throws -> JSON {
            let number = try #require(ticket["number"]?.int64)
            var ticket = ticket
            try await self.scene.expect(within: .seconds(40)) {
                ticket = try await self.ask("/operations/\(number)").json
                return !states.contains(ticket["state"]?.string ?? "")
            }
            return ticket
        }

        func plan(_ body: String) async throws -> JSON {
            let asked = try await self.ask("/plan", body)
            #expect(asked.status == 202, "\(asked.json)")
            return try await self.follow(asked.json, while: "looking")
        }

        /// The names of what speaks against a plan, as a confirmation overrides them.
        static func overrides(_ ticket: JSON) -> String {
            let names = (ticket["plan"]?["objections"]?.array ?? []).compactMap { $0["name"]?.string }
            return names.map { "\"\($0)\"" }.joined(separator: ",")
        }

        func records() async throws -> [JSON] {
            var list: [JSON]?
            try await self.scene.expect {
                list = try await self.ask("/operations").json["operations"]?.array
                return list?.isEmpty == false
            }
            return list ?? []
        }
    }

    @Test @EventLoop func `a switchover is planned, confirmed by name, and followed to the new leader`() async throws {
        let text = "Successfully switched over to \"n2\""
        let stage = try Stage { httpAnswer(200, text) }
        try await stage.start()
        let ticket = try await stage.plan(#"{"operation":"switchover","to":"n2"}"#)
        let plan = try #require(ticket["plan"])
        #expect(ticket["state"]?.string == "planned" && ticket["by"]?.string == "root")
        #expect(plan["must_name"]?.string == "n1" && plan["hindrances"]?.array?.isEmpty == true, "\(plan)")
        let names = (plan["objections"]?.array ?? []).compactMap { $0["name"]?.string }
        // PostgreSQL cannot be reached here: that does not pass for fine.
        #expect(names.contains("backup-running-unseen") && names.contains("long-transactions-unseen"), "\(names)")
        #expect(!names.contains("timeline") && !names.contains("lag"), "\(names)")
        let path = "/confirm/\(plan["digest"]?.string ?? "")"
        let bare = try await stage.ask(path, #"{"name":"n1"}"#)
        #expect(bare.status == 409 && bare.json["error"]?.string == "objections")
        let overrides = Stage.overrides(ticket)
        let other = try await stage.ask(path, #"{"name":"n2","overrides":[\#(overrides)]}"#)
        #expect(other.status == 400 && other.json["message"]?.string?.contains("expected 'n1'") == true)
        let confirmed = try await stage.ask(path, #"{"name":"n1","overrides":[\#(overrides)]}"#)
        #expect(confirmed.status == 202, "\(confirmed.json)")
        try await stage.scene.expect { stage.scene.patroni.requests.contains { $0.hasPrefix("POST /switchover") } }
        #expect(stage.scene.record(.operationConfirmed)?["OBJECTIONS"]?.contains("backup-running-unseen") == true)
        stage.scene.etcd.delete("/service/demo/leader")
        stage.scene.etcd.put("/service/demo/leader", "n2")
        let done = try await stage.follow(confirmed.json, while: "confirming", "under_way")
        #expect(done["result"]?["outcome"]?.string == "done", "\(done)")
        #expect(done["result"]?["text"]?.string?.hasPrefix("n2 leads. Patroni says: Successfully") == true)
        #expect(try await stage.ask(path, #"{"name":"n1"}"#).json["error"]?.string == "plan_used")
        let record = try #require(stage.scene.record(.operationDone))
        #expect(record["BY"] == "root" && record["OPERATION"] == "switchover")
        #expect(stage.scene.records(.operationRefused).count >= 2, "refusals are told too")
        try await stage.scene.expect {
            try await stage.records().contains {
                $0["result"]?.string == "done" && $0["node"]?.string == "n1" && $0["by"]?.string == "root"
            }
        }
        #expect(stage.scene.etcd.text("/pharos/demo/switchover") == nil, "the claim is given back")
        try await stage.scene.stop()
    }

    @Test @EventLoop func `what moves between plan and confirmation voids it, and Patroni is not asked`() async throws {
        let stage = try Stage { httpAnswer(200, "yes") }
        try await stage.start()
        let ticket = try await stage.plan(#"{"operation":"switchover","to":"n2"}"#)
        stage.scene.etcd.put("/service/demo/config", #"{"ttl":30,"loop_wait":10,"retry_timeout":10,"x":1}"#)
        let asked = stage.scene.patroni.requests.count { $0.hasPrefix("POST") }
        let confirmed = try await stage.ask(
            "/confirm/\(ticket["plan"]?["digest"]?.string ?? "")",
            #"{"name":"n1","overrides":[\#(Stage.overrides(ticket))]}"#)
        let ended = try await stage.follow(confirmed.json, while: "confirming", "under_way")
        #expect(ended["result"]?["outcome"]?.string == "void", "\(ended)")
        #expect(ended["result"]?["text"]?.string?.contains("Patroni's configuration: of revision") == true)
        #expect(stage.scene.patroni.requests.count { $0.hasPrefix("POST") } == asked)
        try await stage.scene.stop()
    }

    @Test @EventLoop func `what Patroni refuses is a failure, with its words`() async throws {
        let stage = try Stage { httpAnswer(412, "candidate name does not match with sync_standby") }
        try await stage.start()
        let ticket = try await stage.plan(#"{"operation":"switchover"}"#)
        let confirmed = try await stage.ask(
            "/confirm/\(ticket["plan"]?["digest"]?.string ?? "")",
            #"{"name":"n1","overrides":[\#(Stage.overrides(ticket))]}"#)
        let ended = try await stage.follow(confirmed.json, while: "confirming", "under_way")
        #expect(ended["result"]?["outcome"]?.string == "failed", "\(ended)")
        #expect(ended["result"]?["text"]?.string?.contains("candidate name does not match") == true)
        #expect(stage.scene.record(.operationFailed)?.priority == .error)
        #expect(stage.scene.etcd.text("/pharos/demo/switchover") == nil)
        try await stage.scene.stop()
    }

    @Test @EventLoop func `what cannot be done is said with what to do`() async throws {
        let stage = try Stage()
        try await stage.start()
        for (body, code) in [
            (#"{"operation":"switchover","to":"n1"}"#, "leads_already"),
            (#"{"operation":"switchover","to":"n9"}"#, "unknown_member"),
            (#"{"operation":"switchover","group":4}"#, "other_group"),
            (#"{"operation":"acknowledge","member":"n9"}"#, "not_watched"),
            (#"{"operation":"resume_reactions"}"#, "not_paused"),
        ] {
            let ticket = try await stage.plan(body)
            let hindrance = try #require(ticket["plan"]?["hindrances"]?.array?.first, "\(ticket)")
            #expect(hindrance["code"]?.string == code && hindrance["advice"]?.string?.isEmpty == false)
            let confirmed = try await stage.ask("/confirm/\(ticket["plan"]?["digest"]?.string ?? "")", "{}")
            #expect(confirmed.status == 409 && confirmed.json["error"]?.string == "hindered")
        }
        try await stage.scene.stop()
    }

    @Test @EventLoop func `a pause of reactions stands in etcd, is seen by every daemon, and is ended`() async throws {
        let stage = try Stage()
        try await stage.start()
        func confirm(_ body: String) async throws -> JSON {
            let ticket = try await stage.plan(body)
            let confirmed = try await stage.ask("/confirm/\(ticket["plan"]?["digest"]?.string ?? "")", "{}")
            return try await stage.follow(confirmed.json, while: "confirming", "under_way")
        }
        let paused = try await confirm(#"{"operation":"pause_reactions","seconds":7200,"reason":"new switch"}"#)
        #expect(paused["result"]?["outcome"]?.string == "done", "\(paused)")
        let value = try #require(stage.scene.etcd.text("/pharos/demo/reactions"))
        #expect(value.contains(#""by":"root","reason":"new switch""#))
        try await stage.scene.expect { stage.scene.record(.reactionsPaused)?["BY"] == "root" }
        #expect(try stage.scene.status["detector"]?["reactions_paused"]?["reason"]?.string == "new switch")
        let cluster = try await stage.ask("/cluster").json
        #expect(cluster["reactions_paused"]?["by"]?.string == "root")
        #expect(cluster["problems"]?.array?.contains { $0["code"]?.string == "reactions_paused" } == true)
        let resumed = try await confirm(#"{"operation":"resume_reactions"}"#)
        #expect(resumed["result"]?["outcome"]?.string == "done", "\(resumed)")
        try await stage.scene.expect { stage.scene.record(.reactionsResumed) != nil }
        #expect(try stage.scene.status["detector"]?.object?["reactions_paused"] == .null)
        try await stage.scene.stop()
    }

    @Test @EventLoop func `an acknowledgement goes through the desk, and is on record`() async throws {
        let stage = try Stage()
        try await stage.start()
        try await stage.scene.expect {
            try stage.scene.status["detector"]?["targets"]?.array?.contains { $0["member"]?.string == "n2" } == true
        }
        #expect(try await stage.ask("/acknowledge/0/n2", "").status == 200)
        #expect(try await stage.ask("/acknowledge/0/n9", "").status == 404)
        let record = try #require(stage.scene.record(.operationDone))
        #expect(record["OPERATION"] == "acknowledge" && record.message.contains("vouch for n2 (group 0)"))
        try await stage.scene.expect {
            try await stage.records().contains { $0["operation"]?.string == "acknowledge" }
        }
        try await stage.scene.stop()
    }

    @Test @EventLoop func `what a command has done itself is on record`() async throws {
        let stage = try Stage()
        try await stage.start()
        for body in ["", "{}", #"{"operation":"repair","code":"x","database":"app","result":"maybe"}"#] {
            #expect(try await stage.ask("/told", body).status == 400, "\(body)")
        }
        let body =
            #"{"operation":"repair","code":"fence-superseded","database":"app","result":"failed","text":"no luck"}"#
        #expect(try await stage.ask("/told", body).status == 202)
        #expect(
            stage.scene.record(.operationFailed)?.message.contains("repair fence-superseded in the database app")
                == true)
        try await stage.scene.expect {
            try await stage.records().contains {
                $0["operation"]?.string == "repair" && $0["result"]?.string == "failed"
            }
        }
        try await stage.scene.stop()
    }

    @Test @EventLoop func `a body that is not as expected is refused, and a long one is not read`() async throws {
        let stage = try Stage()
        try await stage.start()
        for body in [
            "", "[]", "{}", #"{"operation":"x"}"#, #"{"operation":"switchover","too":"n2"}"#,
            #"{"operation":"switchover","group":-1}"#, #"{"operation":"switchover","to":7}"#,
            #"{"operation":"acknowledge"}"#, #"{"operation":"pause_reactions","seconds":59,"reason":"x"}"#,
            #"{"operation":"pause_reactions","seconds":86401,"reason":"x"}"#,
            #"{"operation":"pause_reactions","seconds":60,"reason":" "}"#,
            #"{"operation":"pause_reactions","seconds":60,"reason":"a\nb"}"#,
        ] {
            let answer = try await stage.ask("/plan", body)
            #expect(answer.status == 400 && answer.json["message"]?.string?.contains("expected") == true, "\(body)")
        }
        let long = #"{"operation":"switchover","to":"\#(String(repeating: "x", count: 5000))"}"#
        #expect(try await stage.ask("/plan", long).status == 413)
        #expect(try await stage.ask("/confirm/ff", "{}").json["error"]?.string == "no_such_plan")
        #expect(try await stage.ask("/confirm/ff", #"{"overrides":["all"]}"#).status == 400)
        #expect(try await stage.ask("/operations/99").status == 404)
        #expect(stage.shell?.operations.desk.tickets.isEmpty == true)
        try await stage.scene.stop()
    }
}
