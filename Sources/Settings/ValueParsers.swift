// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// The syntax of single values, shared by pharos.yml, patroni.yml and `pharos init`. Each throws what was expected.
enum ValueParsers {
    /// A cluster's or a member's name: one component of a key in etcd.
    static func name(_ text: String) throws(InvalidValue) -> String {
        let isGood = text.utf8.count <= 255 && !text.contains("/") && !text.contains { $0.isWhitespace }
        guard isGood, text != ".", text != ".." else {
            throw .expected("a name without '/' and blanks, of at most 255 bytes", not: text)
        }
        return text
    }

    /// A path of keys in etcd, as Patroni reads it: slashes are put at both ends and runs of them are one.
    static func keyPath(_ text: String) throws(InvalidValue) -> String {
        let components = text.split(separator: "/")
        guard text.utf8.count <= 1024, !text.contains(where: { $0.isWhitespace }) else {
            throw .expected("a path such as /service/", not: text)
        }
        return components.isEmpty ? "/" : "/" + components.joined(separator: "/") + "/"
    }

    static func absolutePath(_ text: String) throws(InvalidValue) -> String {
        guard text.hasPrefix("/"), text.utf8.count < 4096 else { throw .expected("an absolute path", not: text) }
        return text
    }

    /// sockaddr_un has room for 108 bytes, its NUL included.
    static func socketPath(_ text: String) throws(InvalidValue) -> String {
        guard text.utf8.count <= 107 else { throw InvalidValue("a socket's path has at most 107 bytes") }
        return try Self.absolutePath(text)
    }

    static func duration(_ text: String) throws(InvalidValue) -> Duration {
        if let duration = DurationText.parse(text) { return duration }
        if Int(text) != nil { throw InvalidValue("a duration needs a unit: \(quoted(text + "s")), or ms, m, h") }
        throw .expected(DurationText.expectation, not: text)
    }

    /// A percentage with at most one decimal, from 1% to 20%; answers parts per million.
    static func clockDrift(_ text: String) throws(InvalidValue) -> Int {
        let what = "a percentage from 1% to 20%, such as 9%"
        guard text.hasSuffix("%") else { throw .expected(what, not: text) }
        let digits = text.dropLast().split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard digits.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }),
            digits.count == 1 || digits[1].utf8.count == 1, digits[0].utf8.count <= 2, let whole = Int(digits[0])
        else { throw .expected(what, not: text) }
        let tenths = whole * 10 + (digits.count == 2 ? Int(digits[1]) ?? 0 : 0)
        guard (10...200).contains(tenths) else { throw .expected(what, not: text) }
        return tenths * 1000
    }

    /// Parts per million as ``clockDrift(_:)`` reads them.
    static func clockDriftText(_ partsPerMillion: Int) -> String {
        let tenths = partsPerMillion / 1000
        return tenths.isMultiple(of: 10) ? "\(tenths / 10)%" : "\(tenths / 10).\(tenths % 10)%"
    }

    /// The number of a Citus group.
    static func group(_ text: String) throws(InvalidValue) -> Int {
        guard let number = Int(text), String(number) == text, (0...Int(Int32.max)).contains(number) else {
            throw .expected("a Citus group: a number from 0", not: text)
        }
        return number
    }

    /// A TCP port, or 0.
    static func portOrNone(_ text: String) throws(InvalidValue) -> UInt16 {
        guard let port = UInt16(text), String(port) == text else {
            throw .expected("a port from 1 to 65535, or 0 for none", not: text)
        }
        return port
    }

    /// A virtual address with its prefix: one that a host can hold.
    static func addressPrefix(_ text: String) throws(InvalidValue) -> AddressPrefix {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(String(parts[0])) else {
            throw .expected("an address with its prefix such as 10.10.10.3/24", not: text)
        }
        guard parts.count == 2 else {
            throw InvalidValue(
                "\(address) has no prefix length; say for example \(address)/\(address.isIPv6 ? 64 : 24)")
        }
        guard let prefix = AddressPrefix(text), prefix.prefixLength > 0 else {
            throw .expected("a prefix length from 1 to \(address.bitWidth)", not: String(parts[1]))
        }
        switch address.category {
        case .unicast, .linkLocal: break
        case .unspecified: throw InvalidValue("\(address) is an unspecified address, which no host can hold")
        case .loopback: throw InvalidValue("\(address) is a loopback address, which no other host can reach")
        case .multicast: throw InvalidValue("\(address) is a multicast address, which no host can hold")
        case .broadcast: throw InvalidValue("\(address) is the broadcast address, which no host can hold")
        case .reserved: throw InvalidValue("\(address) is a reserved address, which no host can hold")
        case .ipv4Mapped: throw InvalidValue("\(address) is an IPv4 address in IPv6 form; write it as IPv4")
        }
        if prefix.isNetworkAddress {
            throw InvalidValue("\(address) is the address of the network \(prefix) itself, which no host can hold")
        }
        if prefix.broadcast == address {
            throw InvalidValue(
                "\(address) is the broadcast address of the network \(prefix.network)/\(prefix.prefixLength)"
            )
        }
        return prefix
    }

    /// A name that the kernel takes for an interface, or for another name of one (ALTIFNAMSIZ less its NUL), without a separator of
    /// any tool.
    static func interface(_ text: String) throws(InvalidValue) -> String {
        let isBad = text.contains { $0.isWhitespace || $0 == "/" || $0 == ":" }
        guard !isBad, !text.isEmpty, text.utf8.count <= 127, text != ".", text != ".." else {
            throw .expected(
                "an interface's name or alternative name: at most 127 bytes without '/', ':' and blanks", not: text)
        }
        return text
    }

    /// A name for people, in the journal and in the status.
    static func label(_ text: String) throws(InvalidValue) -> String {
        let isGood = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
            default: false  // bytes, not cases of ours
            }
        }
        guard isGood, text.utf8.count <= 32 else {
            throw .expected("a label of at most 32 letters, digits, '-', '_' and '.'", not: text)
        }
        return text
    }

    /// An address and a port to listen on; every interface at once is refused.
    static func listenAddress(_ text: String) throws(InvalidValue) -> ListenAddress {
        let what = "an address and a port such as 127.0.0.1:8009 or [::1]:8009"
        guard let colon = text.lastIndex(of: ":"), let port = Self.port(text[text.index(after: colon)...]) else {
            throw .expected(what, not: text)
        }
        var host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        if ["", "*", "0.0.0.0", "::"].contains(host) {
            throw InvalidValue("listening on every interface is refused; name one address, best 127.0.0.1 or [::1]")
        }
        guard let address = IPAddress(String(host)), address.isIPv6 == isBracketed else {
            throw .expected(what, not: text)
        }
        switch address.category {
        case .unicast, .loopback: return ListenAddress(address: address, port: port)
        case .unspecified, .linkLocal, .multicast, .broadcast, .reserved, .ipv4Mapped: throw .expected(what, not: text)
        }
    }

    /// A TCP port in decimal digits, from 1.
    static func port(_ text: some StringProtocol) -> UInt16? {
        guard let port = UInt16(text), port > 0, String(port) == text else { return nil }
        return port
    }

    /// One of a few words.
    static func choice<Choice: RawRepresentable & CaseIterable>(_ text: String) throws(InvalidValue) -> Choice
    where Choice.RawValue == String {
        if let choice = Choice(rawValue: text) { return choice }
        let words = Choice.allCases.map(\.rawValue)
        let advice = nearest(to: text, in: words).map { "; did you mean '\($0)'?" } ?? ""
        throw InvalidValue("expected one of \(words.joined(separator: ", ")), not \(quoted(text))\(advice)")
    }

    /// An amount of data in bytes: a whole number and B, kB, MB or GB, each 1024 times the one before, as PostgreSQL's.
    static func bytes(_ text: String) throws(InvalidValue) -> Int64 {
        let digits = text.prefix { ("0"..."9").contains($0) }
        let units: [Substring: Int64] = ["B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30]
        guard digits.utf8.count <= 9, let number = Int64(digits), let unit = units[text.dropFirst(digits.count)] else {
            throw .expected("an amount such as 512kB, 16MB or 1GB", not: text)
        }
        return number * unit
    }

    /// The shortest text that ``bytes(_:)`` reads as the same amount.
    static func text(bytes: Int64) -> String {
        for (unit, size) in [("GB", Int64(1) << 30), ("MB", 1 << 20), ("kB", 1 << 10)]
        where bytes >= size && bytes % size == 0 {
            return "\(bytes / size)\(unit)"
        }
        return "\(bytes)B"
    }
}
