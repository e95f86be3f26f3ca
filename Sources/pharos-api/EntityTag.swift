// SPDX-License-Identifier: Apache-2.0

/// Entity tags (RFC 9110, 8.8.3): by them a client learns that what it has is still what there is.
enum EntityTag {
    /// For bytes that are sent as they are.
    static func strong(_ bytes: some Sequence<UInt8>) -> String {
        var digest = Digest()
        for byte in bytes { digest.take(byte) }
        return "\"\(digest.text)\""
    }

    /// Whether `If-None-Match` names the tag, or any. Compared weakly, as is right for that header; what cannot be read names none.
    static func isNamed(_ tag: String, by header: String) -> Bool {
        var rest = header[...]
        func skip(_ characters: String) { rest = rest.drop { characters.contains($0) } }
        skip(" \t,")
        if rest.hasPrefix("*") { return rest.dropFirst().allSatisfy { " \t".contains($0) } }
        while !rest.isEmpty {
            if rest.hasPrefix("W/") { rest = rest.dropFirst(2) }
            guard rest.first == "\"", let end = rest.dropFirst().firstIndex(of: "\"") else { return false }
            if rest[...end] == tag.drop(while: { $0 != "\"" }) { return true }
            rest = rest[rest.index(after: end)...]
            skip(" \t,")
        }
        return false
    }

    /// FNV-1a, 64 bits, and how many bytes there were: nobody gains by two texts with one tag.
    fileprivate struct Digest {
        private var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        private var count = 0

        mutating func take(_ byte: UInt8) {
            self.hash = (self.hash ^ UInt64(byte)) &* 0x100_0000_01b3
            self.count += 1
        }

        var text: String { "\(String(self.hash, radix: 16))-\(String(self.count, radix: 16))" }
    }
}

/// The entity tags of one question's answers, one after the other. They are weak: an age that has gone on, or the time of day, is no
/// news; an age that has begun anew is. A client adds to the ages that it has the time since it got them.
struct AnswerTags {
    /// When each age of the last answer began, in the order in which they stand there: seconds since boot.
    private var beginnings: [Int64] = []

    /// Of an answer, in JSON, that came at `now`, in seconds since boot.
    mutating func tag(of bytes: [UInt8], at now: Int64) -> String {
        var digest = EntityTag.Digest()
        var beginnings: [Int64] = []
        var index = 0
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "\"") else {
                digest.take(bytes[index])
                index += 1
                continue
            }
            let begin = index
            index = Self.endOfText(bytes, from: begin)
            let name = bytes[begin..<index]
            for byte in name { digest.take(byte) }
            let kind = Kind(name)
            guard kind != .other else { continue }
            while index < bytes.count, [UInt8(ascii: ":"), UInt8(ascii: " ")].contains(bytes[index]) { index += 1 }
            let digits = bytes[index...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            // Null instead of a number is news.
            guard !digits.isEmpty else { continue }
            index = digits.endIndex
            guard kind == .age, let age = Int64(String(decoding: digits, as: UTF8.self)) else { continue }
            var beginning = now.subtractingReportingOverflow(age).partialValue
            // Whole seconds at both ends: the same beginning comes out one second earlier or later.
            if beginnings.count < self.beginnings.count {
                let former = self.beginnings[beginnings.count]
                if (former &- 1...former &+ 1).contains(beginning) { beginning = former }
            }
            beginnings.append(beginning)
            for byte in "\(beginning)".utf8 { digest.take(byte) }
        }
        self.beginnings = beginnings
        return "W/\"\(digest.text)\""
    }

    private enum Kind {
        case age, time, other

        /// By a text with its quotes.
        init(_ name: ArraySlice<UInt8>) {
            if name.elementsEqual("\"time\"".utf8) {
                self = .time
            } else if name.suffix(12).elementsEqual("seconds_ago\"".utf8)
                || name.suffix(12).elementsEqual("for_seconds\"".utf8)
            {
                self = .age
            } else {
                self = .other
            }
        }
    }

    /// The index behind a JSON text that begins at `begin`.
    private static func endOfText(_ bytes: [UInt8], from begin: Int) -> Int {
        var index = begin + 1
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\"") { return index + 1 }
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return bytes.count
    }
}
