// SPDX-License-Identifier: Apache-2.0

/// What the daemon has said to one question: HTTP, read from its whole text.
struct DaemonAnswer: Sendable, Equatable {
    let status: Int
    let body: [UInt8]

    /// Bytes of an answer, its head included: the status of a cluster of a thousand members is half of that.
    static let limit = 2 << 20

    /// The text of a connection that has ended; nil: it is no whole answer.
    init?(_ text: [UInt8]) {
        guard let end = text.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: text[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        let first = (lines.first ?? "").split(separator: " ")
        guard first.count >= 2, first[0].hasPrefix("HTTP/1."), let status = Int(first[1]), (100...599).contains(status)
        else { return nil }
        let lengths = lines.dropFirst().compactMap { line -> Int? in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "content-length" else { return nil }
            return Int(parts[1].filter { $0 != " " })
        }
        let body = text[end.upperBound...]
        // A body that was cut is none.
        guard lengths.count == 1, lengths[0] == body.count else { return nil }
        (self.status, self.body) = (status, Array(body))
    }

    init(status: Int, body: [UInt8]) { (self.status, self.body) = (status, body) }
}

/// Why there is no answer, for people.
struct DaemonSilence: Error, Sendable, Equatable {
    let reason: String
}
