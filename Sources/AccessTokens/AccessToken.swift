// SPDX-License-Identifier: Apache-2.0
public import Settings

/// Somebody who may ask the API, as the tokens' file has it: by the digest of a token, never by the token.
public struct AccessToken: Hashable, Sendable {
    /// As records call whoever uses it.
    public let name: String
    public let role: AccessRole
    /// SHA-256 of the token's text.
    public let digest: [UInt8]
    /// Seconds since 1970; nil: it does not expire.
    public let expires: Int64?

    public init(name: String, role: AccessRole, digest: [UInt8], expires: Int64?) {
        (self.name, self.role, self.digest, self.expires) = (name, role, digest, expires)
    }

    public func isExpired(at seconds: Int64) -> Bool { self.expires.map { $0 <= seconds } ?? false }

    /// Characters of a name.
    public static let nameLimit = 64

    /// Letters, digits, `-`, `_`, `.` and `@`: it stands in a file of words, and in records.
    public static func isValid(name: String) -> Bool {
        (1...self.nameLimit).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"): true
                case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "@"): true
                default: false  // bytes, not cases of ours
                }
            }
    }
}

/// The text that somebody shows to be let in.
public enum TokenText {
    /// So that whoever finds one knows what it is.
    static let prefix = "pharos_"
    private static let byteCount = 32
    /// Bytes of what is taken for a token at all.
    static let limit = 256

    /// A new one, of 32 random bytes: the text to show once, and what to keep of it.
    public static func random() -> (text: String, digest: [UInt8]) {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<self.byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let text = self.prefix + self.base64URL(bytes)
        return (text, self.digest(text))
    }

    /// SHA-256. A token has 256 random bits: it needs no slow digest, which would keep the server busy.
    public static func digest(_ text: String) -> [UInt8] { SHA256.digest(Array(text.utf8)) }

    /// Whether two digests are equal, in a time that does not tell how far they are.
    static func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        one.count == other.count && zip(one, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// RFC 4648, section 5, without padding.
    static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let padded = Array(group) + [UInt8](repeating: 0, count: 3 - group.count)
            let bits = Int(padded[0]) << 16 | Int(padded[1]) << 8 | Int(padded[2])
            text += (0...group.count).map { alphabet[bits >> (18 - 6 * $0) & 63] }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
