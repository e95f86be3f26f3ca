// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkAddress
import RouteNetlink

/// Which of the followed addresses the kernel has at this moment, and on which interfaces, as far as it is certain.
///
/// It follows from the kernel's own messages, read up to the last one whenever it is asked: to ask the kernel instead would wait
/// for its lock on the network configuration, which somebody may hold for long, and the loop with it. An address is known from
/// the first message about it, and each lifetime that it is given is one. When messages were lost nothing is known any more, until
/// then again.
@EventLoop
final class AddressPresence {
    private let open: @EventLoop () throws(RouteSocket.Failure) -> RouteSocket
    private var socket: RouteSocket?
    private var readable: EventSource?
    private var followed: Set<IPAddress> = []
    /// The numbers of the interfaces on which each of them stands.
    private var places: [IPAddress: Set<Int32>] = [:]

    /// Of one look. Whoever sends more at once is waited for no longer.
    private static let datagramLimit = 65_536

    /// - Parameter open: a socket of the network namespace that is meant.
    init(open: @escaping @EventLoop () throws(RouteSocket.Failure) -> RouteSocket) { self.open = open }

    /// Follows these addresses, no others, from now on.
    func follow(_ addresses: Set<IPAddress>) {
        self.followed = addresses
        self.places = self.places.filter { addresses.contains($0.key) }
        do throws(RouteSocket.Failure) { try self.listen() } catch {}  // Tried again when it is asked.
    }

    /// Whether the kernel is known to have the address on the interface of this number.
    func holds(_ address: IPAddress, on interface: Int32) throws(RouteSocket.Failure) -> Bool {
        try self.listen()
        self.read()
        return self.places[address]?.contains(interface) ?? false
    }

    private func listen() throws(RouteSocket.Failure) {
        guard self.socket == nil else { return }
        let socket = try self.open()
        self.socket = socket
        self.readable = .descriptor(socket.descriptor, .read) { [weak self] _ in self?.read() }
    }

    private func read() {
        for _ in 0..<Self.datagramLimit {
            guard let socket = self.socket else { return }
            switch socket.receive() {
            case .datagram(let bytes): for message in RouteMessage.parse(bytes) { self.take(message) }
            case .truncated, .dropped: self.places = [:]
            case .foreign: break
            case .nothing: return
            case .failed:
                (self.readable, self.socket, self.places) = (nil, nil, [:])
                return
            }
        }
        self.places = [:]
    }

    private func take(_ message: RouteMessage) {
        switch message {
        case .address(let address):
            let place = address.place
            guard self.followed.contains(place.address.address) else { return }
            self.places[place.address.address, default: []].insert(place.interface)
        case .addressRemoved(let place): self.places[place.address.address]?.remove(place.interface)
        case .linkRemoved(let index): for address in self.places.keys { self.places[address]?.remove(index) }
        case .malformed: self.places = [:]
        case .link, .answered: break
        }
    }
}
