// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import NetworkAddress

extension KernelAddresses {
    /// Reads the output of `ip -json address show`; nil when it is no JSON array. An entry that cannot be understood is
    /// counted and left out.
    init?(json: [UInt8]) {
        // Interface names are bytes; what is no UTF-8 must not make the rest unreadable.
        let text = Data(String(decoding: json, as: UTF8.self).utf8)
        let links: [Lenient<Link>]
        do {
            links = try JSONDecoder().decode([Lenient<Link>].self, from: text)
        } catch {
            return nil
        }
        var interfaces: [NetworkInterface] = []
        var addresses: [KernelAddress] = []
        var unreadable = 0
        for link in links {
            guard let link = link.value else {
                unreadable += 1
                continue
            }
            interfaces.append(link.interface)
            for entry in link.addr_info ?? [] {
                guard let entry = entry.value else {
                    unreadable += 1
                    continue
                }
                guard entry.family == "inet" || entry.family == "inet6" else { continue }
                guard let address = entry.address(on: link.ifname) else {
                    unreadable += 1
                    continue
                }
                addresses.append(address)
            }
        }
        self.init(interfaces: interfaces, addresses: addresses, unreadable: unreadable)
    }
}

/// A value, or nil where the JSON is another thing.
private struct Lenient<Value: Decodable>: Decodable {
    let value: Value?
    init(from decoder: any Decoder) {
        do { self.value = try Value(from: decoder) } catch { self.value = nil }
    }
}

/// One interface, with the names that `ip` uses.
private struct Link: Decodable {
    let ifindex: Int
    let ifname: String
    let flags: [String]?
    let operstate: String?
    let link_type: String?
    let address: String?
    let addr_info: [Lenient<Entry>]?

    var interface: NetworkInterface {
        NetworkInterface(
            name: self.ifname,
            index: self.ifindex,
            isUp: self.flags?.contains("UP") ?? false,
            isLowerUp: self.flags?.contains("LOWER_UP") ?? false,
            operationalState: self.operstate ?? "UNKNOWN",
            linkAddress: self.link_type == "ether" ? self.address.flatMap { LinkAddress($0) } : nil
        )
    }
}

/// One address of an interface; flags are present only where they are true.
private struct Entry: Decodable {
    let family: String
    let local: String?
    let prefixlen: Int?
    let valid_life_time: Int?
    let tentative: Bool?
    let dadfailed: Bool?

    func address(on interface: String) -> KernelAddress? {
        guard let local = self.local.flatMap({ IPAddress($0) }), local.isIPv6 == (self.family == "inet6"),
            let length = self.prefixlen, let prefix = AddressPrefix(address: local, prefixLength: length),
            let seconds = self.valid_life_time, seconds >= 0
        else { return nil }
        return KernelAddress(
            place: VirtualAddress(address: prefix, interface: interface),
            lifetime: seconds == UInt32.max ? .forever : .seconds(seconds),
            isTentative: self.tentative ?? false,
            isDuplicate: self.dadfailed ?? false
        )
    }
}
