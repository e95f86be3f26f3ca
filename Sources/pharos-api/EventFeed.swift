// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// The daemon's last records behind one that is known already.
struct EventFeed {
    /// The daemon's answer.
    let said: JSON

    /// - Parameters:
    ///   - since: the number of the last record that is known; nil: all that are kept.
    ///   - stream: the stream in which that number counts; nil: the present one.
    /// Nil where the daemon's answer is not what it should be.
    func document(since: Int64?, stream: String?) -> JSONDocument? {
        guard let now = self.said["stream"]?.string, let first = self.said["first"]?.int64,
            let last = self.said["last"]?.int64, let events = self.said["events"]?.array
        else { return nil }
        // Another process of the daemon's counts from 1: what was known before says nothing of it.
        let isOther = stream.map { $0 != now } ?? (since.map { $0 > last } ?? false)
        let known = isOther ? nil : since
        let (lost, reason): (Int64?, String?)
        if isOther {
            (lost, reason) = (
                nil, "the daemon has begun a new stream: how many of the former one are missing is not known"
            )
        } else {
            (lost, reason) = (known.map { max(0, first - $0 - 1) }, nil)
        }
        let newer = events.filter { event in known.map { event["number"]?.int64 ?? 0 > $0 } ?? true }
        return [
            "stream": .string(now), "first": .integer(first), "last": .integer(last),
            "is_new_stream": .bool(isOther), "lost": .number(lost), "lost_reason": .text(reason),
            "events": .list(newer.map { $0.document }),
        ]
    }
}
