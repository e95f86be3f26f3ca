// SPDX-License-Identifier: Apache-2.0
import Settings
import Testing

@testable import pharos_api

/// Who may what: values alone.
struct AccessTests {
    private static let now: Int64 = 1000

    private func judge(
        _ evidence: Evidence, _ requirement: Requirement = .role(.look), open: Set<APISettings.OpenPath> = []
    ) -> AccessDecision {
        AccessDecision.judge(evidence, requirement, open: open, at: Self.now)
    }

    private func name(_ decision: AccessDecision) -> String? {
        if case .allowed(let identity) = decision { identity?.name ?? "-" } else { nil }
    }

    private func reason(_ decision: AccessDecision) -> String? {
        switch decision {
        case .allowed: nil
        case .unproved(let reason, _), .forbidden(let reason, _): reason
        }
    }

    @Test func `whoever shows nothing is let into what is open, and nothing else`() {
        let nothing = Evidence()
        #expect(self.judge(nothing, .open(.health, otherwise: .look), open: [.health]) == .allowed(nil))
        #expect(
            self.reason(self.judge(nothing, .open(.health, otherwise: .look), open: [.primary]))?.contains("a token")
                == true)
        #expect(self.reason(self.judge(nothing)) == "a token or a client's certificate is needed")
    }

    @Test func `an expired token costs no health check`() {
        let expired = Evidence(token: .expired(name: "n", at: 5))
        #expect(self.judge(expired, .open(.health, otherwise: .look), open: [.health]) == .allowed(nil))
        #expect(self.judge(expired) == .unproved(reason: "the token of n has expired", name: "n"))
    }

    @Test func `over the unix socket root may all, and others look`() {
        #expect(self.name(self.judge(Evidence(user: 0), .role(.endanger))) == "root")
        #expect(self.name(self.judge(Evidence(user: 1000))) == "uid 1000")
        guard case .forbidden(let reason, let who) = self.judge(Evidence(user: 1000), .role(.operate)) else {
            Issue.record("let in")
            return
        }
        #expect(reason == "the role look is not enough: this needs operate" && who.name == "uid 1000")
    }

    @Test func `a token permits what its role does, and raises who is known otherwise`() {
        let token = Evidence.Token.valid(name: "ops", role: .operate, until: 2000)
        #expect(self.name(self.judge(Evidence(token: token), .role(.operate))) == "ops")
        #expect(self.name(self.judge(Evidence(token: token), .role(.endanger))) == nil)
        #expect(self.name(self.judge(Evidence(user: 1000, token: token), .role(.operate))) == "ops")
        #expect(self.name(self.judge(Evidence(user: 0, token: token), .role(.endanger))) == "root")
    }

    @Test func `a token that is wrong is told, whatever else would do`() {
        for token in [Evidence.Token.unknown, .unreadable, .unused, .expired(name: "n", at: 1)] {
            #expect(self.name(self.judge(Evidence(user: 0, token: token))) == nil, "\(token)")
            let certificate = Evidence.Certificate.verified(name: "c", role: .endanger, until: 2000)
            #expect(self.name(self.judge(Evidence(token: token, certificate: certificate))) == nil, "\(token)")
        }
    }

    @Test func `a certificate counts by its name, once it is verified, and until it ends`() {
        func judge(_ certificate: Evidence.Certificate) -> AccessDecision {
            self.judge(Evidence(certificate: certificate))
        }
        #expect(self.name(judge(.verified(name: "c", role: .look, until: Self.now + 1))) == "c")
        #expect(
            self.reason(judge(.verified(name: "c", role: .look, until: Self.now))) == "the certificate of c has expired"
        )
        #expect(
            self.reason(judge(.verified(name: "c", role: nil, until: 2000)))
                == "the certificate's name c has no role (access.certificates)")
        #expect(
            self.reason(judge(.refused("signer not found")))
                == "the client's certificate proves nothing: signer not found")
        #expect(self.reason(judge(.absent)) == "a token or a client's certificate is needed")
    }

    @Test func `an Authorization header is a bearer token, or nothing`() {
        #expect(BearerHeader.token("Bearer abc") == "abc" && BearerHeader.token("bearer  abc") == "abc")
        for header in ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer a b", "Bearerabc"] {
            #expect(BearerHeader.token(header) == nil, "\(header)")
        }
    }

    @Test func `every route has a path of its own, and asks for a role where it is not open`() {
        let routes = Route.all
        #expect(Set(routes.map { "\($0.method) \($0.path)" }).count == routes.count)
        let open = routes.filter { if case .open = $0.requirement { true } else { false } }.map(\.path)
        #expect(open == ["/metrics", "/health", "/primary"])
        for route in routes where route.method != "GET" {
            #expect(
                route.method == "POST" && route.requirement == .role(.operate),
                "what changes something is not for who looks")
        }
    }
}
