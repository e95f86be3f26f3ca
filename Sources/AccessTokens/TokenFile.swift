// SPDX-License-Identifier: Apache-2.0
import Settings

/// Why a tokens' file cannot be used. Never contains a digest.
public struct TokenFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// From 1.
    public let line: Int
    public let message: String
    public var description: String { "line \(self.line): \(self.message)" }
}

/// The file that `pharos token` writes and the API reads: a line for each token, `NAME ROLE EXPIRY SHA256`, where the expiry is
/// `never` or a time such as `2027-01-31T12:00:00Z`. `#` begins a comment.
///
/// A line that cannot be read refuses the whole file: to leave it out could let somebody in who is to be kept out, once the
/// meaning of lines grows.
public struct TokenFile: Hashable, Sendable {
    public private(set) var tokens: [AccessToken]

    /// Bytes of the file, and tokens in it.
    public static let (sizeLimit, limit) = (1 << 16, 256)

    public init(_ tokens: [AccessToken] = []) { self.tokens = tokens }

    public init(parsing bytes: [UInt8]) throws(TokenFileError) {
        self.tokens = []
        var names: Set<String> = []
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            let number = index + 1
            func fail(_ message: String) -> TokenFileError { TokenFileError(line: number, message: message) }
            guard let text = String(validating: line, as: UTF8.self) else { throw fail("expected UTF-8 text") }
            let words = text.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
            if words.isEmpty { continue }
            guard words.count == 4 else { throw fail("expected NAME ROLE EXPIRY SHA256, not \(words.count) words") }
            guard AccessToken.isValid(name: words[0]) else {
                throw fail("expected a name of at most \(AccessToken.nameLimit) letters, digits and - _ . @")
            }
            guard names.insert(words[0]).inserted else { throw fail("the name \(words[0]) is given twice") }
            guard let role = AccessRole(rawValue: words[1]) else {
                throw fail("expected a role (look, operate or endanger) behind \(words[0])")
            }
            let expires = words[2] == "never" ? nil : UTCTime.seconds(words[2])
            guard words[2] == "never" || expires != nil else {
                throw fail("expected never, or a time such as 2027-01-31T12:00:00Z, behind the role of \(words[0])")
            }
            guard let digest = Self.bytes(hexadecimal: words[3]), digest.count == 32 else {
                throw fail("expected 64 hexadecimal digits at the end of the line of \(words[0])")
            }
            guard self.tokens.count < Self.limit else { throw fail("more than \(Self.limit) tokens") }
            self.tokens.append(AccessToken(name: words[0], role: role, digest: digest, expires: expires))
        }
    }

    /// The file's text.
    public var text: String {
        let head = """
            # Who may ask Pharos's API: NAME ROLE EXPIRY SHA256-OF-THE-TOKEN. Written by `pharos token add` and `pharos token remove`;
            # read by pharos-api whenever it changes. Mode 0640, root:pharos-api.

            """
        return self.tokens.reduce(into: head) { text, token in
            let digest = token.digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            text += "\(token.name) \(token.role.rawValue) \(token.expires.map(UTCTime.text) ?? "never") \(digest)\n"
        }
    }

    public mutating func add(_ token: AccessToken) { self.tokens.append(token) }

    /// Answers whether there was one of that name.
    public mutating func remove(_ name: String) -> Bool {
        let count = self.tokens.count
        self.tokens.removeAll { $0.name == name }
        return self.tokens.count < count
    }

    /// Whose token it is, expired ones too; nil: nobody's. All are compared, each in the same time, whichever it is.
    public func owner(of text: String) -> AccessToken? {
        guard text.utf8.count <= TokenText.limit else { return nil }
        let digest = TokenText.digest(text)
        var owner: AccessToken?
        for token in self.tokens where TokenText.areEqual(token.digest, digest) { owner = owner ?? token }
        return owner
    }

    private static func bytes(hexadecimal text: String) -> [UInt8]? {
        let digits = text.map(\.hexDigitValue)
        guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8((digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0)) }
    }
}
