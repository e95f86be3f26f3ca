// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON
import Settings
import StatusServer

extension Shell {
    /// `/primary`: 200 with how long it stays so, or 503 with why it is not so.
    func primaryAnswer() -> StatusServer.Answer {
        let now = Instant.now
        let claim = self.core.primaryClaim(at: now)
        let said = claim.document(scope: self.settings.scope, member: self.settings.member, at: now)
        let isPrimary = if case .lasts = claim { true } else { false }
        return StatusServer.Answer(status: isPrimary ? 200 : 503, body: self.outward(said.compact + "\n"))
    }
}

extension PrimaryClaim {
    /// Who asks reckons `lasts_milliseconds` from before the question: a duration, since the clocks of two processes need not agree.
    func document(scope: String, member: String, at now: Instant) -> JSONDocument {
        let (lasts, code, reason): (Int64?, String?, String?)
        switch self {
        case .lasts(let until):
            (lasts, code, reason) = (Int64(max(.zero, until - now) / .milliseconds(1)), nil, nil)
        case .noAddress:
            (lasts, code) = (nil, "no_address")
            reason = "no address is looked after here, so no lease says for how long this node may be the primary"
        case .refused(let why, let address):
            (lasts, code) = (nil, Wording.code(why))
            reason = (address.map { "\($0) is not held here: " } ?? "") + Wording.text(why)
        }
        return [
            "scope": .string(scope), "member": .string(member), "is_primary": .bool(lasts != nil),
            "lasts_milliseconds": .number(lasts), "code": .text(code), "reason": .text(reason),
        ]
    }
}
