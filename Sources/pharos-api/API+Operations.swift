// SPDX-License-Identifier: Apache-2.0
import EventLoop
import LenientJSON
import Settings
import WebServer

/// What changes something: handed to the daemon, with the name and the role of whoever asks.
extension API {
    /// At a time: the daemon gives this user eight connections, of which questions use two.
    private nonisolated static let postLimit = 4

    /// Why a POST is refused before anybody looks at what it says; nil: it is not.
    ///
    /// A browser sends a client's certificate by itself, also where a page of another site makes it ask. Such a page can send no JSON
    /// without being asked for permission first, which is never given; and it says where it comes from.
    func refusal(ofPost request: WebRequest) -> WebAnswer? {
        guard request.body != nil else {
            return self.error(413, "too_long", "the body has more than \(WebRequest.bodyLimit) bytes")
        }
        let type = (request.contentType ?? "").prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        guard type == "application/json" else {
            return self.error(
                415, "unsupported_media_type", "expected a body of the type application/json",
                hint: "send the header Content-Type: application/json")
        }
        if let origin = request.origin, origin.split(separator: "/").last.map(String.init) != request.host {
            return self.error(403, "other_origin", "a page of another site has asked for this")
        }
        return nil
    }

    /// Hands a body to the daemon, and its answer back.
    func post(_ path: String, _ context: RequestContext) -> WebReply {
        guard let who = context.identity else { return .now(self.error(401, "unauthorized", "nobody has asked")) }
        guard self.postsUnderWay < Self.postLimit else {
            return .now(self.error(429, "busy", "\(Self.postLimit) such requests are under way: wait a moment"))
        }
        self.postsUnderWay += 1
        return .later {
            defer { self.postsUnderWay -= 1 }
            do throws(DaemonSilence) {
                let socket = DaemonSocket(path: self.settings.daemonSocket)
                let answer = try await socket.post(path, context.body, for: who.name, who.role.rawValue)
                return self.handedBack(answer, path)
            } catch {
                return self.error(
                    503, "daemon_silent",
                    "the daemon of this node does not answer: \(error.reason). Whether it has taken the request is not known: look at /v1/operations",
                    hint: self.hint)
            }
        }
    }

    /// What the daemon says to it, where it is for whoever has asked; else what is the matter between the two.
    private func handedBack(_ answer: DaemonAnswer, _ path: String) -> WebAnswer {
        let isJSON = JSON.parse(answer.body)?.object != nil
        guard isJSON, [202, 400, 403, 404, 409, 413, 429].contains(answer.status) else {
            return self.error(
                503, "daemon_of_another_version",
                "the daemon of this node does not take this (\(answer.status)); it may be of another version, or this process not run as the user pharos-api",
                hint: "on this node: systemctl restart \(self.daemonUnit)")
        }
        return self.answer(UInt32(answer.status), String(decoding: answer.body, as: UTF8.self))
    }
}
