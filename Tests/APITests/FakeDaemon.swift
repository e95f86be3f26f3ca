// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Journal
import LenientJSON
import Settings
import TestSupport
import WebServer

@testable import pharos_api

/// A daemon's socket that answers what the test says, and the API before it, in the test's own process.
@EventLoop
final class FakeDaemon {
    let folder: TemporaryDirectory
    private(set) var server: ScriptedServer?
    /// By path: status and body.
    var answers: [String: (Int, String)] = [
        "/status": (
            200,
            #"{"scope":"demo","member":"n1","version":"0.1.0","is_leader":true,"has_contact":true,"uptime_seconds":5,"records":{},"addresses":[{"address":"10.0.0.3","is_here":true,"stance":"hold"}]}"#
        ),
        "/cluster": (200, #"{"scope":"demo","is_current":true,"read_seconds_ago":1,"groups":[],"problems":[]}"#),
        "/primary": (200, #"{"scope":"demo","member":"n1","is_primary":true,"lasts_milliseconds":20000}"#),
        "/events": (
            200,
            #"{"stream":"s","first":1,"last":2,"events":[{"number":1,"message":"one"},{"number":2,"message":"two"}]}"#
        ),
        "/failovers": (200, #"{"read_seconds_ago":null,"reason":"not read yet","failovers":null}"#),
        "/operations": (200, #"{"current":[],"operations":null,"reason":"not read yet"}"#),
        "/plan": (202, #"{"number":7,"state":"looking"}"#),
        "/findings": (200, #"{"problems":[],"verification":null}"#), "/health": (200, "ok\n"),
    ]
    private(set) var records: [LogRecord] = []
    /// What was posted: the lines of the head, and the body.
    private(set) var posted: [(head: [String], body: String)] = []

    init() throws {
        let folder = try TemporaryDirectory("api")
        self.folder = folder
        self.server = try ScriptedServer(path: folder.file("daemon.sock")) { [weak self] connection in
            guard let line = try await connection.readRequest(), let self else { return }
            if line.hasPrefix("POST ") {
                self.posted.append((connection.head, String(decoding: connection.body, as: UTF8.self)))
            }
            let (status, body) = self.answers[String(line.split(separator: " ")[1])] ?? (404, "{}")
            try await connection.write(httpAnswer(status, body))
        }
    }

    var requests: [String] { self.server?.requests ?? [] }

    func api(page: Page = Page(folder: "/nonexistent"), _ change: (inout APISettings) -> Void = { _ in }) throws -> API
    {
        try self.folder.write(
            "api.yml", "socket: \(self.folder.file("api.sock"))\ndaemon_socket: \(self.folder.file("daemon.sock"))\n")
        var settings = try APISettings.load(path: self.folder.file("api.yml"))
        change(&settings)
        let link = DaemonLink { [path = settings.daemonSocket] question throws(DaemonSilence) in
            try await DaemonSocket(path: path).ask(question)
        }
        let tokens = settings.tokens.map { TokenStore($0) { _ in } }
        return API(settings, link, tokens, page: page) { [weak self] in self?.records.append($0) }
    }

    func told(_ kind: LogKind) -> [LogRecord] { self.records.filter { $0.kind == kind } }
}

/// What is answered in the end.
@EventLoop
func answer(_ reply: WebReply) async -> WebAnswer {
    switch reply {
    case .now(let answer): answer
    case .later(let answer): await answer()
    }
}
