// SPDX-License-Identifier: Apache-2.0
import Settings
import StatusServer
import Testing

@testable import pharos_api

/// The repository's own files against the code: the unit, its instances, the example.
struct APIUnitTests {
    private func text(_ path: String) throws -> String {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        let file = try SettingsEnvironment.system.read("\(root)/\(path)", 1 << 18).get()
        return String(decoding: file.contents, as: UTF8.self)
    }

    private func values(_ name: String) throws -> [String] {
        try self.text("systemd/pharos-api.service").split(separator: "\n").filter { $0.hasPrefix(name + "=") }
            .map { String($0.dropFirst(name.count + 1)) }
    }

    @Test func `the unit is not started without a configuration, and has no rights`() throws {
        #expect(try self.values("ConditionPathExists") == [APIInstance().configuration])
        #expect(try self.values("CapabilityBoundingSet") == [""] && self.values("AmbientCapabilities") == [""])
        #expect(try self.values("User") == ["pharos-api"] && self.values("RuntimeDirectory") == ["pharos-api"])
        #expect(try self.text("systemd/pharos.sysusers").contains("\nu pharos-api "))
        #expect(try !self.text("systemd/pharos.sysusers").contains("m pharos-api"), "it is in no group of anybody's")
    }

    @Test func `a cluster's own unit differs in whatever an API has for itself`() throws {
        let script = try self.text("systemd/api-instance.sed").split(separator: "\n").filter { !$0.hasPrefix("#") }
        let unit = try self.text("systemd/pharos-api.service")
        for line in script.dropFirst().dropLast() {
            let former = line.split(separator: "|")[1].dropFirst().dropLast().replacing("\\", with: "")
            #expect(unit.contains("\n\(former)\n"), "\(former)")
        }
        let instance = APIInstance(configuration: "/etc/pharos/api/NAME.yml")
        func said(_ text: String) -> String { text.replacing("NAME", with: "%i") }
        let replaced = script.joined(separator: "\n")
        #expect(replaced.contains("--config \(said(instance.configuration))|"))
        #expect(replaced.contains("ConditionPathExists=\(said(instance.configuration))|"))
        #expect(replaced.contains("RuntimeDirectory=\(said(instance.runtimeFolder.replacing("/run/", with: "")))|"))
        #expect(replaced.contains("|\(said(instance.daemon.unit)).service|"))
        #expect(try self.text("Makefile").contains(">$(DESTDIR)$(UNITDIR)/pharos-api@.service"))
    }

    @Test func `the unit has room for all connections of all places, each with an answer of its own`() throws {
        let places = APISettings.listenLimit + 1
        let files = try #require(Int(try self.values("LimitNOFILE")[0]))
        #expect(places * (StatusServer.openConnections + 2) + DaemonLink.lanes + 32 <= files)
        let memory = try #require(Int(try self.values("MemoryMax")[0].dropLast())) << 20
        // Answers are shared by all who get them: of each question the kept one and one that is still being sent.
        let answers = 2 * DaemonQuestion.allCases.count * 3 * DaemonAnswer.limit
        #expect(
            places * StatusServer.openConnections * (StatusServer.connectionMemory + 64 << 10) + answers + 20 << 20
                <= memory)
    }

    @Test func `the example loads as it is, and with all that it explains`() throws {
        let text = try self.text("config/api.yml")
        func load(_ text: String) throws -> APISettings {
            try APISettings.load(
                path: "/etc/pharos/api.yml",
                environment: SettingsEnvironment(read: { path, _ in
                    .success(.init(contents: path.hasSuffix(".yml") ? Array(text.utf8) : []))
                }))
        }
        let plain = try load(text)
        let minimal = try load("listen: [\"127.0.0.1:8010\"]")
        #expect(plain == minimal && plain.warnings == [])
        let keys = [
            "socket", "daemon_socket", "tls", "cert_file", "key_file", "client_ca_file", "access", "tokens_file",
            "certificates", "open",
        ]
        let lines = text.split(separator: "\n").map { line in
            let rest = line.drop { $0 == "#" || $0 == " " }
            let isKey = keys.contains { rest.hasPrefix($0 + ":") } || rest.hasPrefix("- {")
            return isKey && line.hasPrefix("# ") ? String(line.dropFirst(2)) : String(line)
        }
        let full = try load(lines.joined(separator: "\n"))
        // Which key is explained by a sentence that begins with its name is no key; those are longer.
        #expect(full.tls?.clientAuthorities == "/etc/pharos/api-clients.crt")
        #expect(full.certificates.map(\.role) == [.look] && full.tokens == APIInstance().tokens)
        #expect(full.open == plain.open && full.socket == plain.socket && full.daemonSocket == plain.daemonSocket)
    }
}
