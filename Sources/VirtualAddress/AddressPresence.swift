// SPDX-License-Identifier: Apache-2.0
import EventLoop
import KernelPlaces
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
    enum Answer: Hashable {
        case here, absent
        /// No message has told of it yet, or since some were lost.
        case unknown
    }

    private let open: @EventLoop () throws(RouteSocket.Failure) -> RouteSocket
    private var socket: RouteSocket?
    private var readable: EventSource?
    private var followed: Set<IPAddress> = []
    /// Where each of them stands, of those that are known.
    private var places: [IPAddress: Set<RoutePlace>] = [:]
    /// Messages were lost. What still waits in the queue is from before that, and the kernel drops all else until it is empty.
    private var hasLost = false

    /// In a turn of the loop in which nobody asks.
    private static let datagramsPerTurn = 32
    /// Before an answer. Where more waits, it is not known.
    private static let datagramsPerAnswer = 4096

    /// - Parameter open: a socket of the network namespace that is meant.
    init(open: @escaping @EventLoop () throws(RouteSocket.Failure) -> RouteSocket) { self.open = open }

    /// Follows these addresses, no others, from now on.
    func follow(_ addresses: Set<IPAddress>) {
        self.followed = addresses
        self.places = self.places.filter { addresses.contains($0.key) }
        do throws(RouteSocket.Failure) { try self.listen() } catch {}  // Tried again when it is asked.
    }

    /// Whether the kernel has the address on the interface of this number, with whatever prefix length.
    func answer(for address: IPAddress, on interface: Int32) throws(RouteSocket.Failure) -> Answer {
        try self.listen()
        guard self.read(Self.datagramsPerAnswer), let places = self.places[address] else { return .unknown }
        return places.contains { $0.interface == interface } ? .here : .absent
    }

    private func listen() throws(RouteSocket.Failure) {
        guard self.socket == nil else { return }
        let socket = try self.open()
        self.socket = socket
        self.readable = .descriptor(socket.descriptor, .read) { [weak self] _ in _ = self?.read(Self.datagramsPerTurn) }
    }

    /// Reads at most so many; answers whether nothing more waits.
    private func read(_ limit: Int) -> Bool {
        for _ in 0..<limit {
            guard let socket = self.socket else { return false }
            switch socket.receive() {
            case .datagram(let bytes): for message in RouteMessage.parse(bytes) { self.learn(message) }
            case .truncated, .dropped: self.hasLost = true
            case .foreign: break
            case .nothing:
                if self.hasLost { (self.places, self.hasLost) = ([:], false) }
                return true
            case .failed:
                (self.readable, self.socket, self.places) = (nil, nil, [:])
                return false
            }
        }
        return false
    }

    private func learn(_ message: RouteMessage) {
        switch message {
        case .address(let address):
            let place = address.place
            guard self.followed.contains(place.address.address) else { return }
            self.places[place.address.address, default: []].insert(place)
        case .addressRemoved(let place):
            guard self.followed.contains(place.address.address) else { return }
            self.places[place.address.address, default: []].remove(place)
        case .linkRemoved(let index):
            for address in self.places.keys {
                self.places[address] = self.places[address]?.filter { $0.interface != index }
            }
        case .malformed: self.hasLost = true
        case .link, .answered: break
        }
    }
}
