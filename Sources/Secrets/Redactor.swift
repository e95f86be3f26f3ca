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

    public init(_ secrets: [Secret]) {
        self.needles = secrets.map { Array($0.reveal().utf8) }
            .filter { $0.count >= Self.minimumLength }
            .sorted { $0.count > $1.count }
    }

    /// `text` without the secrets. Occurrences are matched byte for byte, left to right, the longest first.
    public func redact(_ text: String) -> String {
        guard !self.needles.isEmpty else { return text }
        let bytes = Array(text.utf8)
        var output: [UInt8] = []
        var index = 0
        var found = false
        while index < bytes.count {
            if let needle = self.needles.first(where: { bytes[index...].starts(with: $0) }) {
                output += Secret.replacement.utf8
                index += needle.count
                found = true
            } else {
                output.append(bytes[index])
                index += 1
            }
        }
        return found ? String(decoding: output, as: UTF8.self) : text
    }
}
