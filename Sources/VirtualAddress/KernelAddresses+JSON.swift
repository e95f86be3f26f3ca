// SPDX-License-Identifier: Apache-2.0
import KernelPlaces
import LenientJSON
import NetworkAddress

extension KernelAddresses {
    /// Reads the output of `ip -json address show`; nil when it is no JSON array. An entry that cannot be understood is
    /// counted and left out.
    init?(json: [UInt8]) {
        // Interface names are bytes; what is no UTF-8 must not make the rest unreadable.
        guard let links = JSON.parse(String(decoding: json, as: UTF8.self).utf8)?.array else { return nil }
        var interfaces: [NetworkInterface] = []
        var addresses: [KernelAddress] = []
        var unreadable: [String] = []
        for (number, link) in links.enumerated() {
            var name = "interface \(number + 1)"
            do throws(UnreadableEntry) {
                if let own = link["ifname"]?.string { name = own }
                let interface = try NetworkInterface(link)
                interfaces.append(interface)
                for entry in try link.member("addr_info", \.array) ?? [] {
                    do throws(UnreadableEntry) {
                        if let address = try KernelAddress(entry, on: interface.name) { addresses.append(address) }
                    } catch {
                        let local = entry["local"]?.string.map { " \($0)" } ?? ""
                        unreadable.append(name + local + ": " + error.what)
                    }
                }
            } catch {
                unreadable.append(name + ": " + error.what)
            }
        }
        self.init(
            interfaces: interfaces, addresses: addresses, unreadable: unreadable.count,
            firstUnreadable: unreadable.first.map(UnreadableEntry.printable))
    }
}

/// An entry that is not what `ip` documents.
private struct UnreadableEntry: Error {
    /// Which member is missing or odd, and what stands there: never what changes from one listing to the next, such as a
    /// lifetime that is in order, so that the same fault is told once.
    let what: String

    init(_ name: String, _ value: JSON?) {
        guard let value else {
            self.what = "no '\(name)'"
            return
        }
        let text =
            switch value {
            case .null: "null"
            case .bool(let bool): "\(bool)"
            case .integer(let number): "\(number)"
            case .unsigned(let number): "\(number)"
            case .fraction(let number): "\(number)"
            case .string(let text): "\"\(text.prefix(60))\""
            case .array: "a list"
            case .object: "an object"
            }
        self.what = "'\(name)' is \(text)"
    }

    /// Without control characters, which an interface's name may contain, and bounded.
    static func printable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.prefix(200).map { $0.value < 32 ? " " : $0 }))
    }
}

extension JSON {
    /// The member `name` as `type` reads it; nil where it is absent, an error where it is of another type.
    fileprivate func member<Value>(_ name: String, _ type: (JSON) -> Value?) throws(UnreadableEntry) -> Value? {
        guard case .object = self else { throw UnreadableEntry("entry", self) }
        guard let member = self[name] else { return nil }
        guard let value = type(member) else { throw UnreadableEntry(name, member) }
        return value
    }

    fileprivate func required<Value>(_ name: String, _ type: (JSON) -> Value?) throws(UnreadableEntry) -> Value {
        guard let value = try self.member(name, type) else { throw UnreadableEntry(name, nil) }
        return value
    }

    /// A whole number, not one in quotes.
    fileprivate var number: Int? {
        guard case .integer(let value) = self else { return nil }
        return Int(value)
    }

    fileprivate var strings: [String]? {
        guard let array = self.array else { return nil }
        let strings = array.compactMap(\.string)
        return strings.count == array.count ? strings : nil
    }
}

extension NetworkInterface {
    fileprivate init(_ link: JSON) throws(UnreadableEntry) {
        let flags = try link.member("flags", \.strings) ?? []
        self.init(
            name: try link.required("ifname", \.string),
            alternativeNames: try link.member("altnames", \.strings) ?? [],
            index: try link.required("ifindex", \.number),
            isUp: flags.contains("UP"),
            isLowerUp: flags.contains("LOWER_UP"),
            master: try link.member("master", \.string),
            // Of all masters it alone does without ARP: its kind is said in the detailed listing only, which is long.
            isVRF: flags.contains("MASTER") && flags.contains("NOARP")
        )
    }
}

extension KernelAddress {
    /// nil for a family that is neither IPv4 nor IPv6. Flags are present only where they are true.
    fileprivate init?(_ entry: JSON, on interface: String) throws(UnreadableEntry) {
        let family = try entry.required("family", \.string)
        guard family == "inet" || family == "inet6" else { return nil }
        let length = try entry.required("prefixlen", \.number)
        let seconds = try entry.required("valid_life_time", \.number)
        guard let local = IPAddress(try entry.required("local", \.string)), local.isIPv6 == (family == "inet6") else {
            throw UnreadableEntry("local", entry["local"])
        }
        guard let prefix = AddressPrefix(address: local, prefixLength: length) else {
            throw UnreadableEntry("prefixlen", entry["prefixlen"])
        }
        guard seconds >= 0 else { throw UnreadableEntry("valid_life_time", entry["valid_life_time"]) }
        self.init(
            place: VirtualAddress(address: prefix, interface: interface),
            lifetime: seconds == UInt32.max ? .forever : .seconds(seconds),
            isTentative: try entry.member("tentative", \.bool) ?? false,
            isDuplicate: try entry.member("dadfailed", \.bool) ?? false,
            isSecondary: try entry.member("secondary", \.bool) ?? false
        )
    }
}
