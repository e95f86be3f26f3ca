// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Lab
import LenientJSON
import Testing

/// `pharos-api` as systemd runs it: with its own user, in its sandbox, by TLS beyond loopback.
extension LabTests {
    @Test @EventLoop
    func `the API answers truly on every node through a switchover and with a new certificate`() async throws {
        try await Scene.play("pharos-api") { scene in
            let nodes = scene.lab.options.nodes
            var tokens: [String: String] = [:]
            for node in nodes { tokens[node] = try await scene.startAPI(on: node) }
            let old = scene.leader
            try await scene.expectPrimary(old)

            // Without a token what is open; with one the whole cluster.
            let open = try await scene.ask(old, "/v1/cluster", token: nil)
            #expect(open.status == 401, "\(open)")
            for node in nodes {
                let answer = try await scene.ask(node, "/v1/cluster", token: tokens[node])
                let groups = try #require(JSON.parse(answer.body.utf8)?["groups"]?.array, "\(answer)")
                #expect(groups.first?["leader"]?.string == old)
            }
            let figures = try await scene.ask(old, "/metrics", token: tokens[old])
            #expect(figures.body.contains("\npharos_up 1") && figures.body.contains("pharos_api_answers_total"))
            let page = try await scene.ask(old, "/", token: nil)
            #expect(page.status == 200 && page.body.contains("<title>Pharos"), "\(page)")

            try await scene.switchOver()
            let new = try #require(try await scene.lab.leader())
            try await scene.expectPrimary(new)

            // A new certificate is presented without a restart.
            let before = try await scene.property(new, "MainPID", of: "pharos-api")
            let first = try await scene.fingerprint(of: new)
            try await scene.makeCertificate(on: new)
            try await scene.wait("the new certificate", .seconds(20)) { try await scene.fingerprint(of: new) != first }
            #expect(try await scene.property(new, "MainPID", of: "pharos-api") == before)

            // A frozen daemon: the answer's own end, and then 503.
            try await scene.lab.freeze(new, .pharos)
            try await scene.wait("503 past the end of the right", .seconds(30)) {
                try await scene.ask(new, "/primary", token: nil).status == 503
            }
            try await scene.lab.thaw(new, .pharos)
            let last = try await scene.awaitLeaderWithAddresses()
            try await scene.expectPrimary(last)

            for node in nodes {
                let journal = try await scene.records(node, ["-u", "pharos-api"])
                #expect(try await scene.property(node, "NRestarts", of: "pharos-api") == "0", "\(journal)")
                #expect(!journal.contains { record in tokens.values.contains { record.message.contains($0) } })
                try await scene.endAPI(on: node)
            }
        }
    }
}

extension Scene {
    /// Certificate, token, configuration, start: docs/api.md, "Set-up in five steps". Answers the token.
    func startAPI(on node: String) async throws -> String {
        try await self.makeCertificate(on: node)
        let token = try await self.lab.run(
            node, ["sh", "-c", "pharos token add scene --role look 2>/dev/null"])
        try await self.run(
            node, "sh", "-c",
            """
            set -e
            cat >/etc/pharos/api.yml <<'END'
            listen: ["127.0.0.1:8010", "\(LabLayout.address(node)):8011"]
            tls: { cert_file: /etc/pharos/api.crt, key_file: /etc/pharos/api.key }
            access: { tokens_file: /etc/pharos/api.tokens }
            END
            runuser -u pharos-api -- pharos-api --check
            systemctl start pharos-api
            """)
        return String(token.prefix { $0 != "\n" })
    }

    func makeCertificate(on node: String) async throws {
        try await self.run(
            node, "sh", "-c",
            """
            set -e
            cd /etc/pharos
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=\(node) \
                -addext subjectAltName=IP:\(LabLayout.address(node)),IP:127.0.0.1 -keyout new.key -out new.crt 2>/dev/null
            chown root:pharos-api new.key new.crt
            chmod 640 new.key new.crt
            mv new.key api.key
            mv new.crt api.crt
            """)
    }

    func endAPI(on node: String) async throws {
        try await self.run(
            node, "sh", "-c",
            "systemctl stop pharos-api; rm /etc/pharos/api.yml /etc/pharos/api.crt /etc/pharos/api.key /etc/pharos/api.tokens"
        )
    }

    struct Answered: CustomStringConvertible {
        let status: Int
        let body: String
        var description: String { "\(self.status): \(self.body.prefix(300))" }
    }

    /// Asks the API of a node by TLS, at its own address, trusting its certificate alone.
    func ask(_ node: String, _ path: String, token: String?) async throws -> Answered {
        // From a file: a token in an argument could be read by everybody.
        let header = token.map { "printf 'header = \"Authorization: Bearer %s\"\\n' '\($0)' |" } ?? "printf '' |"
        let url = "https://\(LabLayout.address(node)):8011\(path)"
        let text = try await self.lab.run(
            node,
            [
                "sh", "-c",
                "\(header) curl -s --config - --max-time 5 --cacert /etc/pharos/api.crt -w '\\n%{http_code}' \(url) || true",
            ])
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return Answered(status: lines.last.flatMap { Int($0) } ?? 0, body: lines.dropLast().joined(separator: "\n"))
    }

    /// Waits until that node's API alone says that it is the primary.
    func expectPrimary(_ node: String) async throws {
        try await self.wait("/primary on \(node) alone", .seconds(20)) {
            for other in self.lab.options.nodes {
                let status = try await self.ask(other, "/primary", token: nil).status
                if status != (other == node ? 200 : 503) { return false }
            }
            return true
        }
    }

    func fingerprint(of node: String) async throws -> String {
        let place = "\(LabLayout.address(node)):8011"
        return try await self.lab.run(
            node,
            [
                "sh", "-c",
                "openssl s_client -connect \(place) </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256",
            ])
    }

    /// Who leads, once that node holds the addresses.
    func awaitLeaderWithAddresses() async throws -> String {
        var leader = ""
        try await self.wait("a leader with the addresses", .seconds(60)) {
            leader = try await self.lab.leader() ?? ""
            for address in Self.addresses where try await self.lab.holders(address) != [leader] { return false }
            return true
        }
        return leader
    }
}
