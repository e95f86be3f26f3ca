// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import LenientJSON
import StatusServer

/// What the status API answers, and what it does.
extension Shell {
    /// `/acknowledge/GROUP/MEMBER`.
    func act(_ path: String) -> StatusServer.Answer {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard parts.count == 3, parts.first == "acknowledge", let group = Int(parts[2]) else {
            return StatusServer.Answer(
                status: 404, contentType: "text/plain", body: "known paths: /acknowledge/GROUP/MEMBER\n")
        }
        let id = MemberID(group, String(parts[3]))
        guard self.core.detectorStatus?.targets.contains(where: { $0.id == id }) == true else {
            return StatusServer.Answer(
                status: 404, contentType: "text/plain", body: "no member \(id) is watched here\n")
        }
        self.deliver(.detector(.acknowledged(id, at: WallClock.milliseconds)))
        return StatusServer.Answer(contentType: "text/plain", body: "acknowledged\n")
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
            StatusServer.Answer(
                status: 404,
                body: #"{"error": "known paths: /status, /cluster, /primary, /events, /failovers, /findings, /health"}"#
                    + "\n")
        }
    }

    /// Names this process among all that have counted records: events are numbered anew by each.
    private var stream: String { "\(self.node)-\(self.startedAt.microseconds)" }
}
