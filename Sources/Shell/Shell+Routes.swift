// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import LenientJSON
import StatusServer

/// What the status API answers, and what it does.
extension Shell {
    /// `/plan`, `/confirm/DIGEST`, `/acknowledge/GROUP/MEMBER`; `/told`, by which a command puts on record what it has done itself.
    func act(_ post: StatusServer.Post) -> StatusServer.Answer {
        let users = LocalUsers.read()
        guard let by = users.requester(of: post) else {
            return self.operations.refuseStranger(post.user.map(users.name) ?? "somebody", post.path)
        }
        let parts = post.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        switch (parts.first, parts.count) {
        case ("plan", 1): return self.operations.plan(post.body, by: by)
        case ("told", 1) where by.role == .endanger: return self.operations.told(post.body, by: by)
        case ("confirm", 2): return self.operations.confirm(parts[1], post.body, by: by)
        case ("acknowledge", 3):
            // pharos-api plans it as all else.
            guard by.role == .endanger, let group = Int(parts[1]) else { break }
            return self.operations.acknowledge(MemberID(group, parts[2]), by: by)
        default: break  // Text that somebody has sent.
        }
        return StatusServer.Answer(
            status: 404, contentType: "text/plain",
            body: "known paths: /plan, /confirm/DIGEST, /acknowledge/GROUP/MEMBER\n")
    }

    /// Whether only the end of this process lets go of an address: then the watchdog's pings end.
    public var isStuck: Bool { self.core.isStuck(commandsUnderWay: ChildSlots.shared.running(.address)) }

    func answer(_ path: String) -> StatusServer.Answer {
        switch path {
        case "/", "/status": StatusServer.Answer(body: self.statusJSON())
        case "/cluster": StatusServer.Answer(body: self.clusterJSON())
        case "/primary": self.primaryAnswer()
        case "/events":
            StatusServer.Answer(body: self.outward(self.history.document(stream: self.stream).compact + "\n"))
        case "/operations": self.operations.list()
        case "/failovers": StatusServer.Answer(body: self.ledgerCopy.answer(at: .now))
        case "/findings":
            StatusServer.Answer(
                body: self.outward(
                    FindingList(cluster: self.wholeClusterStatus, citus: self.core.citusStatus).document(at: .now)
                        .compact + "\n"))
        case "/health":
            self.core.isHealthy
                ? StatusServer.Answer(contentType: "text/plain", body: "ok\n")
                : StatusServer.Answer(status: 503, contentType: "text/plain", body: self.statusLine + "\n")
        default:
            path.hasPrefix("/operations/")
                ? self.operations.ticket(Int(path.dropFirst("/operations/".count)) ?? 0)
                : StatusServer.Answer(
                    status: 404,
                    body:
                        #"{"error": "known paths: /status, /cluster, /primary, /events, /failovers, /findings, /operations, /health"}"#
                        + "\n")
        }
    }

    /// Names this process among all that have counted records: events are numbered anew by each.
    private var stream: String { "\(self.node)-\(self.startedAt.microseconds)" }
}
