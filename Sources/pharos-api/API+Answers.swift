// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import EventLoop
import LenientJSON
import Metrics
import Settings
import WebServer

/// What the routes answer, of what the daemon has said.
extension API {
    /// Makes an answer of a fresh one of the daemon's, at once where there is one.
    private func after(
        _ question: DaemonQuestion, _ make: @escaping @EventLoop @Sendable (KeptAnswer) -> WebAnswer
    ) -> WebReply {
        if let kept = self.daemon.fresh(question) { return .now(make(kept)) }
        return .later { make(await self.daemon.answer(to: question)) }
    }

    /// The daemon's answer as it is.
    func handOn(_ question: DaemonQuestion) -> WebReply {
        self.after(question) { kept in
            guard let said = kept.answer else { return self.silent(kept) }
            guard said.status == 200 else {
                return self.error(
                    503, "daemon_of_another_version", "the daemon of this node does not know \(question.rawValue)",
                    hint: "it is of another version than this API; on this node: systemctl restart \(self.daemonUnit)")
            }
            // The daemon says so where it follows no groups.
            if said.body.count <= 5, String(decoding: said.body, as: UTF8.self) == "null\n" {
                return self.error(
                    503, "unknown", "the daemon of this node follows no groups, and knows nothing of them")
            }
            var answer = WebAnswer(200, "application/json", kept.body)
            answer.tag = kept.tag
            return answer
        }
    }

    private func silent(_ kept: KeptAnswer) -> WebAnswer {
        self.error(
            503, "daemon_silent", "the daemon of this node does not answer: \(self.reason(kept) ?? "")", hint: self.hint
        )
    }

    private func reason(_ kept: KeptAnswer) -> String? {
        if case .failure(let silence) = kept.outcome { silence.reason } else { nil }
    }

    var hint: String {
        "on this node: systemctl status \(self.daemonUnit); journalctl -u \(self.daemonUnit) -n 50"
    }

    func events(since: Int64?, stream: String?) -> WebReply {
        self.after(.events) { kept in
            guard let said = kept.json, kept.answer?.status == 200 else {
                return kept.answer == nil
                    ? self.silent(kept)
                    : self.error(
                        503, "daemon_of_another_version", "the daemon of this node numbers no events", hint: self.hint)
            }
            guard let document = EventFeed(said: said).document(since: since, stream: stream) else {
                return self.error(503, "unknown", "the daemon's answer cannot be read", hint: self.hint)
            }
            return self.answer(200, document.readable(lines: 2) + "\n")
        }
    }

    func health() -> WebReply {
        self.after(.health) { kept in
            guard let said = kept.answer else {
                return self.answer(503, "the daemon does not answer: \(self.reason(kept) ?? "")\n", "text/plain")
            }
            return WebAnswer(said.status == 200 ? 200 : 503, "text/plain", kept.body)
        }
    }

    func primary() -> WebReply {
        self.after(.primary) { kept in
            let said = kept.json
            let primary = PrimaryAnswer(
                said, askedAt: kept.askedAt, silence: self.reason(kept), at: BootClock.microseconds)
            return self.answer(primary.isPrimary ? 200 : 503, primary.document(said).compact + "\n")
        }
    }

    /// Both questions at once; nothing but `pharos_up 0` and the API's own figures where the daemon is silent.
    func metrics(_ context: RequestContext) -> WebReply {
        let format = Negotiation.exposition(context.accept)
        if let status = self.daemon.fresh(.status), let cluster = self.daemon.fresh(.cluster) {
            return .now(self.metrics(format, status, cluster))
        }
        return .later {
            let status = await self.daemon.answer(to: .status)
            return self.metrics(format, status, await self.daemon.answer(to: .cluster))
        }
    }

    private func metrics(_ format: Exposition, _ status: KeptAnswer, _ cluster: KeptAnswer) -> WebAnswer {
        let said = status.answer?.status == 200 ? status.json : nil
        let families = PharosMetrics.families(
            status: said, cluster: cluster.answer?.status == 200 ? cluster.json : nil, instance: self.cluster)
        return self.answer(200, format.text(families + self.ownFamilies), format.contentType)
    }

    // MARK: - Access

    func whoami(_ context: RequestContext) -> WebReply {
        let who = context.identity
        let said: JSONDocument = [
            "name": .text(who?.name), "role": .text(who?.role.rawValue), "means": .text(who?.means.rawValue),
            "until": .text(who?.until.map(UTCTime.text)),
        ]
        return .now(self.answer(200, said.compact + "\n"))
    }

    func whoMay() -> WebReply {
        let now = UTCTime.now
        let tokens = self.tokens?.file.tokens.map { token -> JSONDocument in
            [
                "name": .string(token.name), "role": .string(token.role.rawValue),
                "expires": .text(token.expires.map(UTCTime.text)), "is_expired": .bool(token.isExpired(at: now)),
                "last_used_seconds_ago": .number(self.tokens?.lastUse[token.name].map { max(0, now - $0) }),
            ]
        }
        let certificates = self.settings.certificates.map { certificate -> JSONDocument in
            ["name": .string(certificate.name), "role": .string(certificate.role.rawValue)]
        }
        let said: JSONDocument = [
            "tokens": .list(tokens ?? []), "tokens_file": .text(self.tokens?.path),
            "problem": .text(self.tokens?.problem), "certificates": .list(certificates),
        ]
        return .now(self.answer(200, said.readable(lines: 2) + "\n"))
    }
}
