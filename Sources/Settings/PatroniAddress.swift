// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// Addresses as Patroni takes them apart (`split_host_port` of its utils.py, and Python's `int` and `urlparse`): the port follows
/// the last colon, with or without brackets around what is before it.
enum PatroniAddress {
    /// `text` without its port, or with `port` if it has none; no port without either. The host may come out empty, or with commas.
    static func split(_ text: String, port fallback: String?) throws(InvalidValue) -> (host: String, port: Int) {
        guard let colon = text.lastIndex(of: ":") else {
            guard let fallback else { throw .patroniRefuses("expected a host and a port, such as 10.0.0.1:8008", text) }
            guard let port = self.integer(fallback) else { throw .patroniRefuses("expected a port", fallback) }
            return (text, port)
        }
        guard let port = self.integer(text[text.index(after: colon)...]) else {
            throw .patroniRefuses("expected a port after the last colon", text)
        }
        let host = text[..<colon]
        guard host.contains(":") else { return (String(host), port) }
        let hosts = host.split(separator: ",", omittingEmptySubsequences: false).map { part in
            let part = trimmed(part)
            let start = part.drop { $0 == "[" || $0 == "]" }
            return String(start.dropLast(start.reversed().prefix { $0 == "[" || $0 == "]" }.count))
        }
        return (hosts.joined(separator: ","), port)
    }

    /// One place that can be reached.
    static func endpoint(isTLS: Bool, host: String, port: Int, in text: String) throws(InvalidValue) -> EndpointURL {
        guard let number = UInt16(exactly: port), number > 0 else {
            throw .expected("a port from 1 to 65535", not: text)
        }
        guard let host = self.host(host) else {
            throw .patroniRefuses("expected one host's name or address and a port, such as 10.0.0.1:2379", text)
        }
        return EndpointURL(isTLS: isTLS, host: host, port: number)
    }

    /// A name in lower case, or an address; nil for what is neither.
    static func host(_ text: String) -> String? {
        if text.contains(":") {
            guard let address = IPAddress(text), address.isIPv6 else { return nil }
            return address.description
        }
        guard !text.isEmpty, let (host, port) = EndpointURL.split(text), port == nil, !host.contains(":") else {
            return nil
        }
        return host
    }

    /// Python's `int()` of a text: blanks around it, a sign, and `_` between digits.
    static func integer(_ text: some StringProtocol) -> Int? {
        var body = trimmed(text)[...]
        let isNegative = body.hasPrefix("-")
        if isNegative || body.hasPrefix("+") { body = body.dropFirst() }
        let groups = body.split(separator: "_", omittingEmptySubsequences: false)
        guard groups.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }) else { return nil }
        return Int(groups.joined()).map { isNegative ? -$0 : $0 }
    }

    /// What Python's `urlparse` finds in a URL of an http server. Path, query and fragment are passed over, as Patroni does.
    struct URL {
        var isTLS: Bool
        var host: String
        var port: Int
        /// As they stand there, percent signs included.
        var username: String?
        var password: String?

        init(_ text: String, defaultPort: Int) throws(InvalidValue) {
            let what = "expected a URL such as http://10.0.0.1:\(defaultPort)"
            guard let separator = text.firstIndex(of: ":"), text[separator...].hasPrefix("://") else {
                throw .patroniRefuses(what, text)
            }
            switch text[..<separator].lowercased() {
            case "http": self.isTLS = false
            case "https": self.isTLS = true
            default: throw .patroniRefuses(what, text)  // text, not cases of ours
            }
            var authority = text[separator...].dropFirst(3).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            if let at = authority.lastIndex(of: "@") {
                let login = authority[..<at]
                let colon = login.firstIndex(of: ":") ?? login.endIndex
                self.username = String(login[..<colon])
                self.password = colon < login.endIndex ? String(login[login.index(after: colon)...]) : nil
                authority = authority[authority.index(after: at)...]
            }
            let isBracketed = authority.hasPrefix("[")
            let end = authority.firstIndex(of: isBracketed ? "]" : ":") ?? authority.endIndex
            self.host = String(isBracketed ? authority[..<end].dropFirst() : authority[..<end])
            let rest = isBracketed ? authority[end...].dropFirst() : authority[end...]
            guard rest.isEmpty || rest.hasPrefix(":"), let host = PatroniAddress.host(self.host) else {
                throw .patroniRefuses(what, text)
            }
            self.host = host
            let digits = rest.dropFirst()
            guard digits.isEmpty || digits.utf8.allSatisfy({ (48...57).contains($0) }) && Int(digits) != nil else {
                throw .patroniRefuses(what, text)
            }
            let port = Int(digits) ?? 0
            self.port = port == 0 ? defaultPort : port
        }
    }
}

extension InvalidValue {
    /// What Patroni cannot use either. A text with an `@` may hold a password and is not shown.
    static func patroniRefuses(_ what: String, _ text: String? = nil) -> InvalidValue {
        let shown = text.map { $0.utf8.contains(UInt8(ascii: "@")) ? "" : ", not \(quoted($0))" } ?? ""
        return .init("\(what)\(shown): Patroni itself cannot use it")
    }
}
