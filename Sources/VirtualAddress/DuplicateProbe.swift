// SPDX-License-Identifier: Apache-2.0
package import EventLoop
import KernelPlaces
import NetworkAddress

/// One question whether another station has our address, and the second in which answers are awaited.
///
/// ARP: a packet whose sender has the address and another link address (RFC 5227, section 2.4). IPv6: an advertisement
/// of the address with another link address (RFC 4862, section 5.4). Anything else is ignored. Reports each other
/// station once, at most four; stops listening after a second or 256 packets.
@EventLoop
package final class DuplicateProbe {
    /// How long, for how many packets, and for how many other stations it listens.
    package nonisolated static let patience: Duration = .seconds(1)
    package nonisolated static let packetLimit = 256
    package nonisolated static let stationLimit = 4

    private let address: IPAddress
    private let own: Set<LinkAddress>
    private var socket: PacketSocket?
    private let report: @EventLoop (LinkAddress) -> Void
    private var found: Set<LinkAddress> = []
    private var packets = 0
    private var sources: [EventSource] = []

    /// Listens, then asks. The listening ends by itself, and with the last reference.
    /// - Parameters:
    ///   - socket: a socket of its own.
    ///   - own: the link addresses of this host.
    init(
        for address: IPAddress,
        from link: LinkAddress,
        on index: Int32,
        socket: PacketSocket,
        own: Set<LinkAddress>,
        report: @escaping @EventLoop (LinkAddress) -> Void
    ) throws(PacketSocket.Failure) {
        self.address = address
        self.own = own
        self.socket = socket
        self.report = report
        try socket.listen(
            to: address.isIPv6 ? .ipv6 : .arp,
            on: index,
            filter: PacketFilter.claims(to: address)
        )
        if let probe = ARPPacket.probe(for: address, from: link) {
            try socket.send(probe.bytes, .arp, to: .broadcast, on: index)
        } else {
            let probe = NeighborPacket.probe(for: address)
            try socket.send(probe.bytes, .ipv6, to: probe.destination, on: index)
        }
        self.sources = [
            .descriptor(socket.descriptor, .read) { [weak self] _ in self?.receive() },
            .timer(after: Self.patience, accuracy: .milliseconds(100)) { [weak self] in self?.finish() },
        ]
    }

    isolated deinit { self.finish() }

    /// Stops listening: the watch first, then what it watches.
    private func finish() {
        self.sources = []
        self.socket = nil
    }

    private func receive() {
        while let packet = self.socket?.receive() {
            self.packets += 1
            if let other = Self.claimant(of: self.address, in: packet.bytes, from: packet.source),
                !self.own.contains(other), self.found.count < Self.stationLimit, self.found.insert(other).inserted
            {
                self.report(other)
            }
            if self.packets >= Self.packetLimit { self.finish() }
            if self.packets % 32 == 0 { return }
        }
    }

    /// The station that says to have the address; nil for every other packet, whatever it is.
    nonisolated static func claimant(
        of address: IPAddress,
        in packet: some RandomAccessCollection<UInt8>,
        from source: LinkAddress?
    ) -> LinkAddress? {
        let claimant: LinkAddress?
        if address.isIPv6 {
            guard let said = NeighborPacket.readAdvertisement(packet), said.target == address else { return nil }
            claimant = said.targetLink ?? source
        } else {
            guard let said = ARPPacket(packet), said.sender == address else { return nil }
            claimant = said.senderLink
        }
        return claimant.flatMap { $0.isStation ? $0 : nil }
    }
}
