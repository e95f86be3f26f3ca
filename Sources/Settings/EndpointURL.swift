// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// The URL of a server's root: `http` or `https`, a host and a port, and nothing else.
struct EndpointURL: Hashable, Sendable, CustomStringConvertible {
    var isTLS: Bool
    /// A name in lower case or an address, IPv6 without brackets.
    var host: String
    var port: UInt16

    var description: String {
        "\(self.isTLS ? "https" : "http")://\(self.host.contains(":") ? "[\(self.host)]" : self.host):\(self.port)"
    }

    /// Whether it is surely on this host.
    var isLoopback: Bool { LoopbackName.contains(self.host) || IPAddress(self.host)?.category == .loopback }

    init(isTLS: Bool, host: String, port: UInt16) {
        self.isTLS = isTLS
        self.host = host
        self.port = port
    }

    /// Parses `http(s)://HOST[:PORT][/]`.
    init(_ text: String, defaultPort: UInt16) throws(InvalidValue) {
        let what = "a URL such as http://10.0.0.1:\(defaultPort)"
        // Whatever stands before an '@' may be a password: it is not shown.
        guard !text.contains("@") else {
            throw InvalidValue("a URL here holds no user or password; use 'username' and 'password_file'")
        }
        guard let separator = text.firstIndex(of: ":"), text[separator...].hasPrefix("://") else {
            throw .expected(what, not: text)
        }
        switch text[..<separator].lowercased() {
        case "http": self.isTLS = false
        case "https": self.isTLS = true
        default: throw .expected(what, not: text)  // text, not cases of ours
        }
        var authority = text[separator...].dropFirst(3)
        if authority.hasSuffix("/") { authority = authority.dropLast() }
        guard let (host, port) = Self.split(authority), !host.isEmpty else { throw .expected(what, not: text) }
        (self.host, self.port) = (host, port ?? defaultPort)
    }

    /// Splits `HOST[:PORT]`, IPv6 in brackets; the host may come out empty. Nil if it is neither name nor address.
    static func split(_ text: some StringProtocol) -> (host: String, port: UInt16?)? {
        var host = String(text)
        var port: UInt16?
        if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
            guard let number = ValueParsers.port(host[host.index(after: colon)...]) else { return nil }
            port = number
            host = String(host[..<colon])
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            guard let address = IPAddress(String(host.dropFirst().dropLast())), address.isIPv6 else { return nil }
            return (address.description, port)
        }
        guard host.utf8.count <= 253, host.utf8.allSatisfy(Self.isNameByte) else { return nil }
        return (host.lowercased(), port)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
        default: false  // bytes, not cases of ours
        }
    }
}
