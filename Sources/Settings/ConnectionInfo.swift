// SPDX-License-Identifier: Apache-2.0

/// A look at a libpq connection string (PostgreSQL's "Connection Strings"): its syntax, and that it holds no password.
///
/// Keywords are not checked against libpq's list, which grows with its versions: libpq itself says so at connect time.
enum ConnectionInfo {
    /// Answers `text` itself. The messages never show any of it.
    static func check(_ text: String) throws(Complaint) -> String {
        if text.hasPrefix("postgresql://") || text.hasPrefix("postgres://") {
            try self.checkURI(text)
        } else {
            for keyword in try self.keywords(text) where self.isSecret(keyword) { throw self.secretRefused }
        }
        return text
    }

    private static let secretRefused = Complaint(
        "a password does not belong in this file; use peer authentication, or name a password file with 'passfile='"
    )

    private static func isSecret(_ keyword: some StringProtocol) -> Bool {
        ["password", "sslpassword", "oauth_client_secret"].contains(keyword.lowercased())
    }

    private static func checkURI(_ text: String) throws(Complaint) {
        let rest = text.drop { $0 != ":" }.dropFirst(3)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        if let at = authority.lastIndex(of: "@"), authority[..<at].contains(":") { throw self.secretRefused }
        let query = rest.drop { $0 != "?" }.dropFirst()
        for parameter in query.split(separator: "&") {
            // A keyword may hide behind percent signs; none needs them.
            let keyword = parameter.prefix { $0 != "=" }
            if self.isSecret(keyword) || keyword.contains("%") { throw self.secretRefused }
        }
    }

    /// The keywords of `keyword = value` pairs. Values may be in single quotes, where a backslash escapes.
    private static func keywords(_ text: String) throws(Complaint) -> [String] {
        let expectation = Complaint("expected pairs of keyword=value such as host=/var/run/postgresql user=pharos")
        var rest = Substring(text)
        var keywords: [String] = []
        func skipBlanks() { rest = rest.drop { $0.isWhitespace } }
        skipBlanks()
        while !rest.isEmpty {
            let keyword = rest.prefix { $0 != "=" && !$0.isWhitespace }
            rest = rest.dropFirst(keyword.count)
            skipBlanks()
            guard !keyword.isEmpty, rest.first == "=" else { throw expectation }
            rest = rest.dropFirst()
            skipBlanks()
            keywords.append(String(keyword))
            let isQuoted = rest.first == "'"
            if isQuoted { rest = rest.dropFirst() }
            var isClosed = !isQuoted
            while let character = rest.first {
                if !isQuoted, character.isWhitespace { break }
                rest = rest.dropFirst()
                if character == "\\" {
                    rest = rest.dropFirst()
                } else if isQuoted, character == "'" {
                    isClosed = true
                    break
                }
            }
            guard isClosed else { throw Complaint("a quote is not closed") }
            skipBlanks()
        }
        return keywords
    }

    /// `value` as it is written in a connection string: in quotes where it needs them.
    static func quote(_ value: String) -> String {
        let isPlain = !value.isEmpty && !value.contains { $0.isWhitespace || $0 == "'" || $0 == "\\" }
        if isPlain { return value }
        let escaped = value.flatMap { $0 == "'" || $0 == "\\" ? ["\\", $0] : [$0] }
        return "'\(String(escaped))'"
    }
}
