// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// Whether a load balancer may send writes here, of what the daemon has said. A value; times are microseconds since boot.
///
/// Invariant: no 200 at or behind the end of the right, which is reckoned from before the daemon was asked: however old the kept
/// answer is, and however long its way took.
struct PrimaryAnswer: Equatable {
    let isPrimary: Bool
    /// Milliseconds that are left of it.
    let lasts: Int64?
    let (code, reason): (String?, String?)

    /// - Parameters:
    ///   - said: the daemon's answer; nil: there is none that can be read.
    ///   - silence: why there is none.
    init(_ said: JSON?, askedAt: Int64, silence: String?, at now: Int64) {
        guard let said, let isPrimary = said["is_primary"]?.bool else {
            (self.isPrimary, self.lasts, self.code) = (false, nil, "daemon_silent")
            self.reason = silence ?? "the daemon does not say: it is of an earlier version"
            return
        }
        guard isPrimary, let lasts = said["lasts_milliseconds"]?.int64, (0...86_400_000).contains(lasts) else {
            (self.isPrimary, self.lasts) = (false, nil)
            (self.code, self.reason) = (said["code"]?.string, said["reason"]?.string)
            return
        }
        let left = askedAt + lasts * 1000 - now
        guard left > 0 else {
            (self.isPrimary, self.lasts, self.code) = (false, nil, "right_over")
            self.reason = "this node's right had ended before it was renewed"
            return
        }
        (self.isPrimary, self.lasts, self.code, self.reason) = (true, left / 1000, nil, nil)
    }

    func document(_ said: JSON?) -> JSONDocument {
        [
            "scope": .text(said?["scope"]?.string), "member": .text(said?["member"]?.string),
            "is_primary": .bool(self.isPrimary), "lasts_milliseconds": .number(self.lasts), "code": .text(self.code),
            "reason": .text(self.reason),
        ]
    }
}
