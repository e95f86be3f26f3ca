// SPDX-License-Identifier: Apache-2.0
import AccessTokens
import Decision

extension Wording {
    /// `2027-01-31T12:00:00Z`, of milliseconds since 1970.
    static func time(_ milliseconds: Int64) -> String { UTCTime.text(milliseconds / 1000) }

    static func text(_ pause: ReactionPause) -> String {
        "\(pause.by) has paused Pharos's reactions until \(self.time(pause.endsAt)) (\(pause.reason)): no daemon asks Patroni for a switchover by itself"
    }
}
