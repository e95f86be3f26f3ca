// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// One of the servers that a connection string names: the entries of the same number in `host`, `hostaddr` and `port`.
public struct ConnectionTarget: Sendable, Hashable {
    public enum Place: Sendable, Hashable {
        /// Neither host nor address is said: libpq takes the directory of sockets that it was built with.
        case usualSocket
        /// A directory of sockets, or the beginning of an abstract one's name (`@…`).
        case socket(directory: String)
        /// As libpq takes it: without looking anything up. `name`: of the server, for its certificate; nil: none is said.
        case address(String, name: String?)
        /// A host's name, whose addresses somebody has to find.
        case name(String)
    }

    public let place: Place
    /// Nil: libpq's own, 5432.
    public let port: UInt16?

    public init(place: Place, port: UInt16?) {
        self.place = place
        self.port = port
    }

    /// What libpq is to be told: at `address`, which was found for the name.
    public func options(at address: String? = nil) -> [(keyword: String, value: String)] {
        var options: [(keyword: String, value: String)] = []
        switch self.place {
        case .usualSocket: break
        case .socket(let directory): options.append(("host", directory))
        case .address(let numeric, let name):
            if let name { options.append(("host", name)) }
            options.append(("hostaddr", numeric))
        case .name(let name):
            options.append(("host", name))
            if let address { options.append(("hostaddr", address)) }
        }
        if let port = self.port { options.append(("port", "\(port)")) }
        return options
    }
}

/// Why the lists of hosts, addresses and ports do not fit together. Holds none of the text.
public struct TargetsError: Error, Equatable, Sendable {
    /// What was expected, and where.
    public let message: String
}

extension ConnectionString {
    /// What names a server; of all else one connection string has one.
    static let targetKeywords: Set<String> = ["host", "hostaddr", "port"]
    /// Servers of one connection string: each has a share of the time that there is for all.
    static let targetLimit = 16

    /// The servers, in the order in which libpq would try them; at least one.
    ///
    /// libpq's own rules (PostgreSQL, "Specifying Multiple Hosts"): as many entries in `host` as in `hostaddr` where both stand; one
    /// port for all, or one for each.
    public func targets() throws(TargetsError) -> [ConnectionTarget] {
        let (hosts, addresses, ports) = (self.entries("host"), self.entries("hostaddr"), self.entries("port"))
        let count = max(hosts.count, addresses.count, 1)
        guard count <= Self.targetLimit else {
            throw TargetsError(message: "expected at most \(Self.targetLimit) hosts, not \(count)")
        }
        guard hosts.isEmpty || addresses.isEmpty || hosts.count == addresses.count else {
            throw TargetsError(
                message:
                    "'host' has \(hosts.count) entries and 'hostaddr' \(addresses.count); expected as many of both, with "
                    + "nothing between two commas where a host has none")
        }
        guard ports.count <= 1 || ports.count == count else {
            throw TargetsError(
                message:
                    "'port' has \(ports.count) entries for \(count == 1 ? "one host" : "\(count) hosts"); expected one for "
                    + "all, or one for each")
        }
        var targets: [ConnectionTarget] = []
        for index in 0..<count {
            let place = try Self.place(
                hosts.isEmpty ? "" : hosts[index], addresses.isEmpty ? "" : addresses[index], at: index, of: count)
            let port = ports.isEmpty ? "" : ports[ports.count == 1 ? 0 : index]
            guard port.isEmpty || UInt16(port).map({ $0 > 0 }) == true else {
                throw TargetsError(
                    message: "\(Self.entry(index, of: ports.count, "port")): expected a number from 1 to 65535")
            }
            targets.append(ConnectionTarget(place: place, port: UInt16(port)))
        }
        return targets
    }

    public var namesServer: Bool { Self.targetKeywords.contains { self[$0] != nil } }

    /// This string without what names a server, as pairs of keyword=value.
    public var textWithoutTargets: String { self.text(without: Self.targetKeywords) }

    private func entries(_ keyword: String) -> [String] {
        self[keyword].map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) } ?? []
    }

    private static func entry(_ index: Int, of count: Int, _ keyword: String) -> String {
        count == 1 ? "'\(keyword)'" : "entry \(index + 1) of '\(keyword)'"
    }

    private static func place(
        _ host: String, _ address: String, at index: Int, of count: Int
    ) throws(TargetsError) -> ConnectionTarget.Place {
        if !address.isEmpty {
            guard self.isNumeric(address) else {
                throw TargetsError(
                    message:
                        "\(self.entry(index, of: count, "hostaddr")): expected an address such as 10.0.0.1; a name belongs "
                        + "into 'host'")
            }
            return .address(address, name: host.isEmpty ? nil : host)
        }
        if host.isEmpty { return .usualSocket }
        if host.hasPrefix("/") || host.hasPrefix("@") { return .socket(directory: host) }
        // libpq checks a certificate against what `host` says, also where that is an address.
        if self.isNumeric(host) { return .address(host, name: host) }
        guard self.isName(host) else {
            throw TargetsError(
                message:
                    "\(self.entry(index, of: count, "host")): expected the directory of a socket, an address (in brackets "
                    + "only inside of a URI) or a host's name")
        }
        return .name(host)
    }

    /// Whether libpq, and the C library below it, take it for an address and look nothing up. With an interface behind a `%`, too.
    private static func isNumeric(_ text: String) -> Bool {
        guard let percent = text.utf8.firstIndex(of: UInt8(ascii: "%")) else { return IPAddress(text) != nil }
        return IPAddress(String(text[..<percent]))?.isIPv6 == true
    }

    /// Letters, digits and what stands in names besides, or bytes of a name in other letters; nothing that a program could take for
    /// an option.
    private static func isName(_ text: String) -> Bool {
        text.utf8.count <= 253 && text.utf8.first != UInt8(ascii: "-")
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: byte >= 0x80  // bytes, not cases of ours
                }
            }
    }
}
