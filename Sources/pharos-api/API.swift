// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import EventLoop
import Journal
import LenientJSON
import Metrics
import Settings
import StatusServer
import WebServer

/// What is answered to whom: every request comes here, whichever way it came.
@EventLoop
final class API {
    let settings: APISettings
    let daemon: DaemonLink
    let tokens: TokenStore?
    /// The daemon's unit, as people type it.
    let daemonUnit: String
    /// The name of the daemon, where it is one of several of a host; a label of all figures.
    let cluster: String?
    private let page: Page
    private let log: @EventLoop (LogRecord) -> Void
    private var refusals = RefusalBook()
    private var patience = PeerBuckets.ofRefusals
    /// Requests that change something, and wait for the daemon.
    var postsUnderWay = 0
    /// Answers by status.
    private(set) var answers: [UInt32: Int64] = [:]
    /// TLS handshakes of all listeners, and those that were refused.
    var handshakes: @EventLoop () -> (begun: Int64, refused: Int64) = { (0, 0) }
    let openAPI = OpenAPI.document.readable(lines: 8) + "\n"

    nonisolated static let openMetricsType = Exposition.openMetrics.contentType

    init(
        _ settings: APISettings, _ daemon: DaemonLink, _ tokens: TokenStore?, unit: String = DaemonInstance().unit,
        cluster: String? = nil, page: Page = Page(), log: @escaping @EventLoop (LogRecord) -> Void
    ) {
        (self.settings, self.daemon, self.tokens, self.log) = (settings, daemon, tokens, log)
        (self.daemonUnit, self.cluster) = (unit, cluster)
        self.page = page
    }

    /// The handler of every listener.
    func reply(to request: WebRequest) -> WebReply {
        switch self.decide(request) {
        case .now(let answer): return .now(self.counted(answer, request))
        case .later(let answer):
            return .later {
                let answer = await answer()
                return self.counted(answer, request)
            }
        }
    }

    private func counted(_ answer: WebAnswer, _ request: WebRequest) -> WebAnswer {
        var answer = self.conditional(answer, request)
        self.answers[answer.status, default: 0] += 1
        // One that is refused for its method says already which ones there are.
        guard request.method == "OPTIONS", answer.status != 405 else { return answer }
        answer.body = WebBody([])
        answer.headers.append(("Allow", "GET, HEAD, OPTIONS"))
        return answer
    }

    /// 304 where the client has what there is (RFC 9110, 13.1.2). Who may not see it has got another answer before.
    private func conditional(_ answer: WebAnswer, _ request: WebRequest) -> WebAnswer {
        guard ["GET", "HEAD"].contains(request.method), answer.status == 200, let tag = answer.tag,
            let known = request.ifNoneMatch, EntityTag.isNamed(tag, by: known)
        else { return answer }
        var answer = answer
        answer.status = 304
        return answer
    }

    private func decide(_ request: WebRequest) -> WebReply {
        if let answer = self.page.answer(request.method, request.path) { return .now(answer) }
        let route: Route
        let part: String?
        switch RouteMatch(request.method, request.path) {
        case .route(let found, let name): (route, part) = (found, name)
        case .none:
            return .now(
                self.error(404, "not_found", "there is no such path", hint: "/openapi.json says what can be asked for"))
        case .otherMethod(let allowed):
            var answer = self.error(405, "method_not_allowed", "this path answers \(allowed)")
            answer.headers.append(("Allow", allowed))
            return .now(answer)
        }
        let now = UTCTime.now
        let identity: Identity?
        switch AccessDecision.judge(
            self.evidence(of: request, at: now), route.requirement, open: self.settings.open, at: now)
        {
        case .allowed(let who): identity = who
        case .unproved(let reason, let name): return .now(self.refuse(request, 401, name: name, reason))
        case .forbidden(let reason, let who): return .now(self.refuse(request, 403, name: who.name, reason))
        }
        do throws(Arguments.Mistake) {
            let arguments = try Arguments(request.query, route.parameters)
            var context = RequestContext(identity: identity, accept: request.accept, part: part)
            if route.method == "POST" {
                if let refusal = self.refusal(ofPost: request) { return .now(refusal) }
                context.body = request.body ?? []
            }
            return route.handler(self, arguments, context)
        } catch {
            return .now(
                self.error(400, "bad_argument", error.message, hint: "/openapi.json says what can be asked for"))
        }
    }

    // MARK: - Who asks

    private func evidence(of request: WebRequest, at now: Int64) -> Evidence {
        var evidence = Evidence()
        if case .user(let number) = request.peer.kind { evidence.user = number }
        evidence.token = self.token(request.authorization, at: now)
        switch request.peer.certificate {
        case .absent: evidence.certificate = .absent
        case .refused(let reason): evidence.certificate = .refused(reason)
        case .verified(let name, let until):
            let role = self.settings.certificates.first { $0.name == name }?.role
            evidence.certificate = .verified(name: name, role: role, until: until)
        }
        return evidence
    }

    private func token(_ header: String?, at now: Int64) -> Evidence.Token {
        guard let header else { return .absent }
        guard let text = BearerHeader.token(header) else { return .unreadable }
        guard let tokens = self.tokens else { return .unused }
        guard let owner = tokens.owner(of: text, at: now) else { return .unknown }
        if let expires = owner.expires, owner.isExpired(at: now) { return .expired(name: owner.name, at: expires) }
        return .valid(name: owner.name, role: owner.role, until: owner.expires)
    }

    /// 401 or 403, and a record; 429 where the peer has been refused too often in a short time. Who shows what is right is never
    /// told to slow down.
    private func refuse(_ request: WebRequest, _ status: UInt32, name: String?, _ reason: String) -> WebAnswer {
        let isTooOften = !self.patience.take(Self.bucket(request.peer), at: BootClock.microseconds)
        self.tell(request.peer.name, name: name, reason, what: "\(request.method) \(request.path)", status: status)
        if isTooOften {
            var answer = self.error(
                429, "refused_too_often", "refused too often within a short time; the last time: \(reason)",
                hint: "wait a second, and show what this API accepts")
            answer.headers.append(("Retry-After", "1"))
            return answer
        }
        guard status == 401 else {
            return self.error(status, "forbidden", reason, hint: "on this node, as root: pharos token list")
        }
        var answer = self.error(
            status, "unauthorized", reason, hint: "on this node, as root: pharos token add NAME --role look")
        answer.headers.append(("WWW-Authenticate", "Bearer"))
        return answer
    }

    /// A connection that was closed before its handshake.
    func refusedHandshake(of peer: String) {
        self.tell(peer, name: nil, "too many TLS handshakes within a short time", what: "a connection", status: 429)
    }

    private func tell(_ peer: String, name: String?, _ reason: String, what: String, status: UInt32) {
        let key = RefusalBook.Key(peer: peer, name: name ?? "", reason: reason)
        guard let told = self.refusals.note(key, at: BootClock.microseconds) else { return }
        let who = name.map { "\($0) at \(peer)" } ?? "somebody at \(peer)"
        let times = told.count > 1 ? ", \(told.count) times since the last such record" : ""
        let text =
            told.isCrowd
            ? "many different requests are refused (\(told.count) of them since the last such record), the last one by \(who): \(reason)"
            : "\(what) by \(who) was refused (\(status))\(times): \(reason)"
        // Whatever a client has written is cut, and journald is given it as one value.
        self.log(
            LogRecord(
                .apiRefused, String(text.prefix(1000)),
                [
                    "NAME": name ?? "somebody", "PEER": peer, "REQUEST": String(what.prefix(200)),
                    "ANSWER": "\(status)",
                    "REASON": reason,
                ]))
    }

    /// Whom a limit is meant for: a local user, or all of an IPv6 network.
    private static func bucket(_ peer: WebPeer) -> ConnectionTable.Peer {
        switch peer.kind {
        case .user(let number): .user(number)
        case .network(let address): .network(Array(address.utf8))
        }
    }

    var refusalCount: Int64 { self.refusals.total }

    // MARK: - Answers

    func answer(_ status: UInt32, _ text: String, _ type: String = "application/json") -> WebAnswer {
        WebAnswer(status, type, WebBody(text))
    }

    func error(_ status: UInt32, _ code: String, _ message: String, hint: String? = nil) -> WebAnswer {
        let said: JSONDocument = ["error": .string(code), "message": .string(message), "hint": .text(hint)]
        return self.answer(status, said.compact + "\n")
    }
}
