// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// A look at a libpq connection string (PostgreSQL's "Connection Strings"): its syntax, that it holds no password, and no
/// host by its name, because libpq waits for the resolver while the whole daemon waits for libpq.
///
/// Keywords are not checked against libpq's list, which grows with its versions: libpq itself says so at connect time.
enum ConnectionInfo {
    /// Answers `text` itself. The messages never show any of it.
    static func check(_ text: String) throws(Complaint) -> String {
        if text.hasPrefix("postgresql://") || text.hasPrefix("postgres://") {
            try self.checkURI(text)
        } else {
            let pairs = try self.pairs(text)
            if pairs.contains(where: { self.isSecret($0.keyword) }) { throw self.secretRefused }
            // Of a keyword that stands twice the last one counts.
            let values = Dictionary(pairs.map { ($0.keyword, $0.value) }, uniquingKeysWith: { $1 })
            try self.checkHosts(values["host", default: ""], hasAddress: values["hostaddr"]?.isEmpty == false)
        }
        return text
    }

    /// A text for `pg_dist_poolinfo`: like a connection string, but the host is Citus's to resolve, and may be `{host}`.
    static func checkPool(_ text: String) throws(Complaint) -> String {
        guard try !self.pairs(text).contains(where: { self.isSecret($0.keyword) }) else { throw self.secretRefused }
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
        var hosts = authority.split(separator: "@", omittingEmptySubsequences: false).last.map(String.init) ?? ""
        var hasAddress = false
        for parameter in query.split(separator: "&") {
            // A keyword may hide behind percent signs; none needs them.
            let keyword = parameter.prefix { $0 != "=" }
            if self.isSecret(keyword) || keyword.contains("%") { throw self.secretRefused }
            if keyword == "host" { hosts = String(parameter.dropFirst(5)) }
            if keyword == "hostaddr" { hasAddress = true }
        }
        try self.checkHosts(hosts, hasAddress: hasAddress)
    }

    private static func checkHosts(_ hosts: String, hasAddress: Bool) throws(Complaint) {
        guard !hasAddress, !hosts.split(separator: ",").allSatisfy({ self.needsNoResolver(String($0)) }) else { return }
        throw Complaint(
            "a host's name would have to be resolved, and everything else would wait for it; "
                + "name the directory of the socket, or give the address with 'hostaddr='")
    }

    /// Whether a host, with or without a port, is a socket's directory, an address, or this machine.
    static func needsNoResolver(_ host: String) -> Bool {
        if host.hasPrefix("/") || host.hasPrefix("@") || host.uppercased().hasPrefix("%2F") { return true }
        if host.hasPrefix("[") { return true }  // Of brackets libpq makes an IPv6 address or nothing.
        if IPAddress(host) != nil { return true }
        let name = host.prefix { $0 != ":" }
        return name.isEmpty || name == "localhost" || IPAddress(String(name)) != nil
    }

    /// `keyword = value` pairs. Values may be in single quotes, where a backslash escapes.
    private static func pairs(_ text: String) throws(Complaint) -> [(keyword: String, value: String)] {
        let expectation = Complaint("expected pairs of keyword=value such as host=/var/run/postgresql user=pharos")
        var rest = Substring(text)
        var pairs: [(keyword: String, value: String)] = []
        func skipBlanks() { rest = rest.drop { $0.isWhitespace } }
        skipBlanks()
        while !rest.isEmpty {
            let keyword = rest.prefix { $0 != "=" && !$0.isWhitespace }
            rest = rest.dropFirst(keyword.count)
            skipBlanks()
            guard !keyword.isEmpty, rest.first == "=" else { throw expectation }
            rest = rest.dropFirst()
            skipBlanks()
            var value = ""
            let isQuoted = rest.first == "'"
            if isQuoted { rest = rest.dropFirst() }
            var isClosed = !isQuoted
            while let character = rest.first {
                if !isQuoted, character.isWhitespace { break }
                rest = rest.dropFirst()
                if character == "\\" {
                    if let escaped = rest.popFirst() { value.append(escaped) }
                } else if isQuoted, character == "'" {
                    isClosed = true
                    break
                } else {
                    value.append(character)
                }
            }
            guard isClosed else { throw Complaint("a quote is not closed") }
            pairs.append((String(keyword), value))
            skipBlanks()
        }
        return pairs
    }

    /// `value` as it is written in a connection string: in quotes where it needs them.
    static func quote(_ value: String) -> String {
        let isPlain = !value.isEmpty && !value.contains { $0.isWhitespace || $0 == "'" || $0 == "\\" }
        if isPlain { return value }
        let escaped = value.flatMap { $0 == "'" || $0 == "\\" ? ["\\", $0] : [$0] }
        return "'\(String(escaped))'"
    }
}
