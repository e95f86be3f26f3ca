// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// One line of `ip -o monitor address link`, understood.
///
/// Checked against iproute2 6.1 on Linux 6.18. Two traps: a port that leaves a bridge prints a `Deleted` line of its
/// interface, which stays (such lines of the bridge lack `group`); and after a renaming, address lines still begin
/// with the old name, which is why the index is kept.
enum MonitorLine: Hashable {
    case appeared(KernelAddress, index: Int)
    case disappeared(VirtualAddress, index: Int)
    case linkChanged(NetworkInterface)
    case linkRemoved(name: String, index: Int)
    /// Understood, and without news: what a bridge says about its ports.
    case nothing

    /// Nil when the line is not understood in full.
    init?(_ line: String) {
        guard line.utf8.count <= 4096 else { return nil }
        var words = line.split(separator: " ")[...]
        let isDeleted = words.first == "Deleted"
        if isDeleted { words.removeFirst() }
        guard words.count >= 3, let number = words.popFirst(), number.last == ":", let name = words.popFirst(),
            let index = Int(number.dropLast()), index > 0
        else { return nil }
        // No interface name contains a colon.
        if name.last == ":" {
            self.init(link: name.dropLast(), index: index, isDeleted: isDeleted, words)
        } else {
            self.init(address: words, on: String(name), index: index, isDeleted: isDeleted)
        }
    }

    /// `eth0@if5: <BROADCAST,UP> mtu … state UP group default \    link/ether 02:… brd ff:…`.
    private init?(link name: Substring, index: Int, isDeleted: Bool, _ words: ArraySlice<Substring>) {
        guard let own = name.split(separator: "@").first, let flags = words.first, flags.first == "<", flags.last == ">"
        else { return nil }
        let properties = words.prefix { $0 != "\\" }
        guard properties.contains("group") else {
            self = .nothing
            return
        }
        guard !isDeleted else {
            self = .linkRemoved(name: String(own), index: index)
            return
        }
        guard let state = Self.word(after: "state", in: properties) else { return nil }
        let flagNames = flags.dropFirst().dropLast().split(separator: ",")
        let mac = Self.word(after: "link/ether", in: words.dropFirst(properties.count))
        self = .linkChanged(
            NetworkInterface(
                name: String(own),
                index: index,
                isUp: flagNames.contains("UP"),
                isLowerUp: flagNames.contains("LOWER_UP"),
                operationalState: String(state),
                linkAddress: mac.flatMap { LinkAddress(String($0)) }
            )
        )
    }

    /// `inet 10.0.0.1/24 brd … scope global dynamic eth0\       valid_lft 3sec preferred_lft 3sec`.
    private init?(address words: ArraySlice<Substring>, on interface: String, index: Int, isDeleted: Bool) {
        guard words.count >= 2, let family = words.first, family == "inet" || family == "inet6" else { return nil }
        let isIPv6 = family == "inet6"
        let local = words[words.startIndex + 1].split(separator: "/", omittingEmptySubsequences: false)
        // With a peer, the length stands after the peer's address.
        let peer = Self.word(after: "peer", in: words.dropFirst(2).prefix(1) + words.dropFirst(3).prefix(1))
        let length = peer.map { $0.split(separator: "/", omittingEmptySubsequences: false) } ?? local
        guard local.count == (peer == nil ? 2 : 1), length.count == 2,
            let address = IPAddress(String(local[0])), address.isIPv6 == isIPv6,
            let prefix = AddressPrefix("\(address)/\(length[1])"),
            let valid = Self.word(after: "valid_lft", in: words), let lifetime = Self.lifetime(valid)
        else { return nil }
        let place = VirtualAddress(address: prefix, interface: interface)
        guard !isDeleted else {
            self = .disappeared(place, index: index)
            return
        }
        self = .appeared(
            KernelAddress(
                place: place,
                lifetime: lifetime,
                isTentative: isIPv6 && words.contains("tentative"),
                isDuplicate: isIPv6 && words.contains("dadfailed"),
                isSecondary: !isIPv6 && words.contains("secondary")
            ),
            index: index
        )
    }

    private static func lifetime(_ text: Substring) -> AddressLifetime? {
        if text == "forever" { return .forever }
        guard text.hasSuffix("sec"), let seconds = UInt32(text.dropLast(3)) else { return nil }
        return .seconds(Int(seconds))
    }

    private static func word(after label: Substring, in words: ArraySlice<Substring>) -> Substring? {
        guard let place = words.firstIndex(of: label), place + 1 < words.endIndex else { return nil }
        return words[place + 1]
    }
}
