// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON
import PatroniValues

/// What stands in etcd of operations that persons have asked for: `reactions`, beside a group's claim, that reactions are paused; and
/// below `acts/`, what was done.
extension DetectorKeys {
    /// Where a pause of reactions is written, for all groups that are known here: below one scope one key for all of them.
    var reactionKeys: [String] {
        if self.groups.isEmpty { return [self.cluster + "0/" + Self.reactions] }
        return self.groups.map { $0.prefix + Self.reactions }
    }

    /// What the records of operations begin with, of the whole cluster. Nobody reads them to follow something; the watch of
    /// the addresses' keys, which has all that is below their prefix, shows them as it shows the ledger's, and nothing follows from it.
    var acts: String { (self.groups.isEmpty ? self.cluster : self.prefix(of: 0) ?? self.cluster) + "acts/" }

    /// The person for whom a claim was made; nil: for none.
    static func person(_ value: [UInt8]) -> String? {
        (JSON.parse(value, limit: 4096)?["for"]?.string).flatMap { patroniLeader(Array($0.utf8)) }
    }
}

extension ReactionPause {
    /// A pause as it stands in etcd; nil for what is none, or is over. Whatever it says, it ends a day after it began.
    init?(value: [UInt8]) {
        guard let json = JSON.parse(value, limit: 4096), let since = json["since"]?.int64,
            let end = json["until"]?.int64,
            let by = json["by"]?.string, let reason = json["reason"]?.string
        else { return nil }
        let wall = WallClock.milliseconds
        // Of what anybody may have written, what no clock of this node will see is left out.
        guard (0...wall + 86_400_000).contains(since) else { return nil }
        let endsAt = min(end, since + Operation.longestPause * 1000)
        guard endsAt > wall else { return nil }
        self.init(
            by: String(by.prefix(128)), reason: String(reason.prefix(Operation.reasonLimit)), endsAt: endsAt,
            until: .now + .milliseconds(endsAt - wall))
    }

    /// As it stands in etcd, in JSON. Times are milliseconds since 1970.
    static func value(by: String, reason: String, since: Int64, until: Int64) -> [UInt8] {
        let document: JSONDocument = [
            "by": .string(by), "reason": .string(reason), "since": .integer(since), "until": .integer(until),
        ]
        return Array(document.compact.utf8)
    }

    /// For the status, and for the cluster.
    func document(at now: Instant) -> JSONDocument {
        [
            "by": .string(self.by), "reason": .string(self.reason), "until": .string(Wording.time(self.endsAt)),
            "seconds_left": .seconds(max(.zero, self.until - now)),
        ]
    }
}
