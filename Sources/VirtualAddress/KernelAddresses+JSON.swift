// SPDX-License-Identifier: Apache-2.0
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
        var unreadable = 0
        for link in links {
            do throws(UnreadableEntry) {
                let interface = try NetworkInterface(link)
                interfaces.append(interface)
                for entry in try link.member("addr_info", \.array) ?? [] {
                    do throws(UnreadableEntry) {
                        if let address = try KernelAddress(entry, on: interface.name) { addresses.append(address) }
                    } catch {
                        unreadable += 1
                    }
                }
            } catch {
                unreadable += 1
            }
        }
        self.init(interfaces: interfaces, addresses: addresses, unreadable: unreadable)
    }
}

/// An entry that is not what `ip` documents.
private struct UnreadableEntry: Error {}

extension JSON {
    /// The member `name` as `type` reads it; nil where it is absent, an error where it is of another type.
    fileprivate func member<Value>(_ name: String, _ type: (JSON) -> Value?) throws(UnreadableEntry) -> Value? {
        guard case .object = self else { throw UnreadableEntry() }
        guard let member = self[name] else { return nil }
        guard let value = type(member) else { throw UnreadableEntry() }
        return value
    }

    fileprivate func required<Value>(_ name: String, _ type: (JSON) -> Value?) throws(UnreadableEntry) -> Value {
        guard let value = try self.member(name, type) else { throw UnreadableEntry() }
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
        let isEthernet = try link.member("link_type", \.string) == "ether"
        let address = try link.member("address", \.string)
        self.init(
            name: try link.required("ifname", \.string),
            index: try link.required("ifindex", \.number),
            isUp: flags.contains("UP"),
            isLowerUp: flags.contains("LOWER_UP"),
            operationalState: try link.member("operstate", \.string) ?? "UNKNOWN",
            linkAddress: isEthernet ? address.flatMap { LinkAddress($0) } : nil
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
        guard let local = IPAddress(try entry.required("local", \.string)), local.isIPv6 == (family == "inet6"),
            let prefix = AddressPrefix(address: local, prefixLength: length), seconds >= 0
        else { throw UnreadableEntry() }
        self.init(
            place: VirtualAddress(address: prefix, interface: interface),
            lifetime: seconds == UInt32.max ? .forever : .seconds(seconds),
            isTentative: try entry.member("tentative", \.bool) ?? false,
            isDuplicate: try entry.member("dadfailed", \.bool) ?? false
        )
    }
}
