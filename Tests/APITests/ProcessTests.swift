// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import EventLoop
import Glibc
import LenientJSON
import NetworkBed
import Settings
import TestSupport
import Testing

@testable import pharos_api

/// The API as a process of its own, on loopback, with real certificates, asked by curl.
@Suite(.serialized)
struct APIProcessTests {
    init() { EventLoop.shared.executor.startThread() }

    @EventLoop
    private final class Scene {
        let daemon: FakeDaemon
        let certificates: TestCertificates
        let port: Int
        let (look, operate, old) = (TokenText.random(), TokenText.random(), TokenText.random())
        private var process: TestProcess?

        init() async throws {
            self.daemon = try FakeDaemon()
            self.certificates = try await TestCertificates()
            self.port = try freePorts(1)[0]
            try self.daemon.folder.write(
                "tokens",
                TokenFile([
                    AccessToken(name: "prom", role: .look, digest: self.look.digest, expires: nil),
                    AccessToken(name: "ops", role: .operate, digest: self.operate.digest, expires: nil),
                    AccessToken(name: "old", role: .endanger, digest: self.old.digest, expires: 1),
                ]).text)
            try self.daemon.folder.write(
                "api.yml",
                """
                listen: ["127.0.0.1:\(self.port)"]
                socket: \(self.daemon.folder.file("api.sock"))
                daemon_socket: \(self.daemon.folder.file("daemon.sock"))
                tls:
                  cert_file: \(self.certificates.serverCertificate)
                  key_file: \(self.certificates.serverKey)
                  client_ca_file: \(self.certificates.authority)
                access:
                  tokens_file: \(self.daemon.folder.file("tokens"))
                  certificates: [{ name: client, role: look }]

                """)
        }

        func start() async throws {
            self.process = try TestProcess(
                [try TestProcess.built("pharos-api"), "--config", self.daemon.folder.file("api.yml")],
                log: self.daemon.folder.file("log"), stopSignal: SIGTERM)
            try await waitUntil { self.log.contains("the API answers at") }
        }

        func stop() { self.process?.kill() }

        var log: String { String(decoding: self.daemon.folder.read("log"), as: UTF8.self) }

        /// What curl says: the status, and the body before it. 000: there was no answer.
        func curl(_ path: String, _ more: [String] = [], authority: String? = nil) async throws -> (
            status: String, body: String
        ) {
            let command =
                [
                    "/usr/bin/env", "curl", "--silent", "--max-time", "10", "--cacert",
                    authority ?? self.certificates.authority,
                    "--write-out", "\n%{http_code}",
                ] + more + ["https://127.0.0.1:\(self.port)\(path)"]
            let text = try await ChildProcess(command, timeout: .seconds(20)).run().text
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            return (String(lines.last ?? ""), lines.dropLast().joined(separator: "\n"))
        }

        func client(_ name: String) -> [String] {
            let folder = self.certificates.authority.dropLast("ca.pem".count)
            return ["--cert", "\(folder)\(name).pem", "--key", "\(folder)\(name).key"]
        }

        /// A client's certificate that nobody has signed, or another authority.
        func makeClient(_ name: String, common: String, days: Int = 2) async throws {
            let folder = String(self.certificates.authority.dropLast("/ca.pem".count))
            let command = [
                "/usr/bin/env", "--chdir", folder, "openssl", "req", "-x509", "-days", "\(days)", "-subj",
                "/CN=\(common)",
                "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-out", "\(name).pem", "-keyout",
                "\(name).key",
            ]
            let outcome = try await ChildProcess(command, timeout: .seconds(20)).run()
            try #require(outcome.exitCode == 0, "\(outcome.text)")
        }
    }

    /// Asks again and again, over a new connection each time; no more often than a peer may have handshakes.
    @EventLoop
    private final class Load {
        private(set) var (good, bad) = (0, 0)
        private var isOver = false
        private var task: Task<Void, Never>?

        init(_ scene: Scene) {
            self.task = EventLoop.spawn {
                while !self.isOver {
                    let said = try? await scene.curl("/health", ["--insecure"])  // counted as bad
                    if said?.status == "200" { self.good += 1 } else { self.bad += 1 }
                    do throws(WaitError) { try await EventLoop.sleep(for: .milliseconds(250)) } catch { return }
                }
            }
        }

        func end() async {
            self.isOver = true
            await self.task?.value
        }
    }

    @Test @EventLoop func `who shows what proves something is let in, and nobody else`() async throws {
        let scene = try await Scene()
        try await scene.makeClient("self", common: "client")
        try await scene.start()
        func bearer(_ text: String) -> [String] { ["--header", "Authorization: Bearer \(text)"] }
        #expect(try await scene.curl("/health").status == "200")
        #expect(try await scene.curl("/primary").status == "200")
        let nobody = try await scene.curl("/v1/status")
        #expect(nobody.status == "401" && nobody.body.contains("a token or a client's certificate is needed"))
        let own = try await scene.curl("/v1/status", scene.client("self"))
        #expect(own.status == "401" && own.body.contains("the client's certificate proves nothing"), "\(own)")
        let signed = try await scene.curl("/v1/whoami", scene.client("client"))
        #expect(signed.status == "200" && signed.body.contains("\"name\":\"client\""), "\(signed)")
        #expect(signed.body.contains("\"means\":\"certificate\""))
        #expect(try await scene.curl("/v1/tokens", scene.client("client")).status == "403")
        #expect(try await scene.curl("/v1/status", bearer(scene.look.text)).status == "200")
        #expect(try await scene.curl("/v1/tokens", bearer(scene.look.text)).status == "403")
        #expect(try await scene.curl("/v1/tokens", bearer(scene.operate.text)).status == "200")
        let old = try await scene.curl("/v1/status", bearer(scene.old.text))
        #expect(old.status == "401" && old.body.contains("the token of old has expired"))
        #expect(try await scene.curl("/v1/status", bearer("pharos_wrong")).status == "401")
        let log = scene.log
        #expect(log.contains("GET /v1/tokens by client at 127.0.0.1 was refused (403)"), "\(log)")
        for token in [scene.look, scene.operate, scene.old] { #expect(!log.contains(token.text)) }
        scene.stop()
    }

    @Test @EventLoop func `GET, HEAD and OPTIONS are answered, older TLS and another authority are not`() async throws {
        let scene = try await Scene()
        try await scene.start()
        let head = try await scene.curl("/primary", ["--head"])
        #expect(head.status == "200" && head.body.lowercased().contains("cache-control: no-store"))
        let options = try await scene.curl("/primary", ["--request", "OPTIONS", "--include"])
        #expect(options.status == "200" && options.body.contains("Allow: GET, HEAD, OPTIONS"))
        #expect(options.body.contains("Content-Length: 0"))
        #expect(try await scene.curl("/primary", ["--request", "POST", "--data", "x"]).status == "405")
        #expect(try await scene.curl("/health", ["--tlsv1.3"]).status == "200")
        #expect(try await scene.curl("/health", ["--tlsv1.2", "--tls-max", "1.2"]).status == "200")
        let seclevel = ["--ciphers", "DEFAULT@SECLEVEL=0"]
        #expect(try await scene.curl("/health", ["--tlsv1.0", "--tls-max", "1.1"] + seclevel).status == "000")
        let plain = ChildProcess(
            ["/usr/bin/env", "curl", "--silent", "--max-time", "5", "http://127.0.0.1:\(scene.port)/health"],
            timeout: .seconds(20))
        #expect(try await plain.run().exitCode != 0)
        scene.stop()
    }

    @Test @EventLoop func `a new pair is presented without a restart and under load, and a bad one is told`()
        async throws
    {
        let scene = try await Scene()
        try await scene.start()
        let first = scene.daemon.folder.file("first-ca.pem")
        let authority = try #require(String(validating: try read(scene.certificates.authority), as: UTF8.self))
        try scene.daemon.folder.write("first-ca.pem", authority)
        #expect(try await scene.curl("/health", authority: first).status == "200")
        let load = Load(scene)
        // The authority changes too: who trusts the old one alone finds another server.
        try await scene.certificates.renew(client: false)
        #expect(try await eventually(within: .seconds(30)) { scene.log.contains("has changed, and is in force") })
        #expect(try await scene.curl("/health").status == "200", "the new authority")
        #expect(try await scene.curl("/health", authority: first).status == "000", "the old one")
        try write("garbage\n", to: scene.certificates.serverCertificate)
        #expect(
            try await eventually(within: .seconds(30)) {
                scene.log.contains("cannot be used; what was read before stays")
            })
        #expect(try await scene.curl("/health").status == "200", "the pair of before")
        await load.end()
        #expect(load.bad == 0 && load.good > 5, "\(load.good) good, \(load.bad) bad")
        #expect(scene.log.components(of: "cannot be used") == 1, "told once")
        scene.stop()
    }

    @Test @EventLoop func `whoever says nothing, and whoever knocks too often, keeps nobody else out`() async throws {
        let scene = try await Scene()
        try await scene.start()
        // More than one peer may have, and no byte from any of them.
        let mute = (0..<16).compactMap { _ in TCPSocket.connect("127.0.0.1", UInt16(scene.port)) }
        defer { for descriptor in mute { close(descriptor) } }
        #expect(mute.count == 16)
        #expect(try await scene.curl("/health").status == "200")
        func isClosed(_ descriptor: Int32) -> Bool {
            var byte: UInt8 = 0
            let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT))
            return count == 0 || (count < 0 && errno != EAGAIN)
        }
        #expect(
            try await eventually(within: .seconds(30)) { mute.allSatisfy { isClosed($0) } }, "a request has 5 s in all")
        // Each knock costs a permission; they run out, and come back.
        for _ in 0..<60 { if let descriptor = TCPSocket.connect("127.0.0.1", UInt16(scene.port)) { close(descriptor) } }
        #expect(
            try await eventually(within: .seconds(20)) {
                scene.log.contains("too many TLS handshakes within a short time")
            })
        #expect(try await eventually(within: .seconds(30)) { try await scene.curl("/health").status == "200" })
        // The unix socket has no handshakes.
        let local = ChildProcess(
            [
                "/usr/bin/env", "curl", "--silent", "--unix-socket", scene.daemon.folder.file("api.sock"),
                "http://localhost/v1/whoami",
            ],
            timeout: .seconds(20))
        #expect(try await local.run().text.contains("\"name\":\"root\""))
        scene.stop()
    }

    @Test @EventLoop func `what is not safe is not served, and --check says what is wrong`() async throws {
        let folder = try TemporaryDirectory("api")
        let program = try TestProcess.built("pharos-api")
        func run(_ text: String, _ more: [String] = []) async throws -> (Int32?, String) {
            try folder.write("api.yml", text)
            let outcome = try await ChildProcess(
                [program, "--config", folder.file("api.yml")] + more, timeout: .seconds(20)
            ).run()
            return (outcome.exitCode, outcome.text)
        }
        let open = try await run("listen: [10.0.0.11:8010]\n")
        #expect(open.0 == EX_CONFIG && open.1.contains("can be reached from other hosts: that needs 'tls'"), "\(open)")
        #expect(open.1.contains("hint: mend"))
        let check = try await run("listen: [127.0.0.1:8010]\n", ["--check"])
        #expect(check.0 == 0 && check.1.contains("listen         127.0.0.1:8010"), "\(check)")
        try folder.write("c.pem", "x")
        let pair = "tls: { cert_file: \(folder.file("c.pem")), key_file: \(folder.file("c.pem")) }\n"
        let bad = try await run("listen: [127.0.0.1:8010]\n" + pair, ["--check"])
        #expect(bad.0 == EX_CONFIG && bad.1.contains("'tls': \(folder.file("c.pem")) with"), "\(bad)")
    }
}

private func read(_ path: String) throws -> [UInt8] {
    let file = try #require(fopen(path, "r"))
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = fread(&buffer, 1, buffer.count, file)
    return Array(buffer.prefix(count))
}

private func write(_ text: String, to path: String) throws {
    let file = try #require(fopen(path, "w"))
    defer { fclose(file) }
    try #require(fputs(text, file) >= 0)
}

extension String {
    fileprivate func components(of text: String) -> Int { self.ranges(of: text).count }
}
