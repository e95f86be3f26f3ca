// SPDX-License-Identifier: Apache-2.0

/// The last guard before a text leaves the process: replaces every occurrence of a known secret with `[redacted]`.
///
/// Secrets of fewer than ``minimumLength`` bytes are left alone: replacing every `a` would garble the logs, and tell what
/// the secret is. A secret that was encoded (base64, percent) on its way is not recognized.
public struct Redactor: Sendable {
    /// The shortest secret that is looked for, in bytes of UTF-8.
    public static let minimumLength = 4

    /// Longest first, so that a secret that contains another one is replaced whole.
    private let needles: [[UInt8]]
    /// Whether some secret begins with a byte: most bytes of most texts begin none.
    private let beginnings: [Bool]

    public init(_ secrets: [Secret]) {
        self.needles = secrets.map { Array($0.reveal().utf8) }
            .filter { $0.count >= Self.minimumLength }
            .sorted { $0.count > $1.count }
        var beginnings = [Bool](repeating: false, count: 256)
        for needle in self.needles { beginnings[Int(needle[0])] = true }
        self.beginnings = beginnings
    }

    /// `text` without the secrets. Occurrences are matched byte for byte, left to right, the longest first.
    ///
    /// `limit`: bytes after which the caller will cut the result. Nothing is looked at, and nothing answered, far beyond it;
    /// a secret that lies across it is still replaced whole.
    public func redact(_ text: String, limit: Int = .max) -> String {
        guard !self.needles.isEmpty || text.utf8.count > limit else { return text }
        var text = text
        let output = text.withUTF8 { self.redacted($0, limit: limit) }
        return String(decoding: output, as: UTF8.self)
    }

    private func redacted(_ bytes: UnsafeBufferPointer<UInt8>, limit: Int) -> [UInt8] {
        var output: [UInt8] = []
        // What lies before `copied` is in the output; what lies between it and `index` goes there in one piece.
        var (copied, index) = (0, 0)
        while index < bytes.count, output.count + index - copied <= limit {
            let mayBegin = self.beginnings[Int(bytes[index])]
            if mayBegin, let needle = self.needles.first(where: { bytes[index...].starts(with: $0) }) {
                output.append(contentsOf: bytes[copied..<index])
                output += Secret.replacement.utf8
                index += needle.count
                copied = index
            } else {
                // Up to the next character of Unicode, so that the end is none's middle.
                repeat { index += 1 } while index < bytes.count && bytes[index] & 0xc0 == 0x80
            }
        }
        output.append(contentsOf: bytes[copied..<index])
        return output
    }
}
