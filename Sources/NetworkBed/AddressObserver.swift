// SPDX-License-Identifier: Apache-2.0
import CLab
public import EventLoop
import Glibc
import NetworkAddress
import RouteNetlink

/// Records when addresses appear in, and disappear from, the kernels of all nodes: by rtnetlink, with one clock
/// (CLOCK_BOOTTIME), through one socket, so that the kernel's own order of events is kept across namespaces.
@EventLoop
public final class AddressObserver {
    public struct Event {
        /// Microseconds since boot.
        public let at: Int64
        public let node: Int32
        public let address: String
        public let isPresent: Bool
    }

    public private(set) var events: [Event] = []
    /// Is told of each event as it is noted.
    public var noted: @EventLoop (Event) -> Void = { _ in }
    private struct Holding: Hashable {
        let node: Int32
        let place: RoutePlace
    }
    /// What the kernels have, as far as we know.
    private var held: Set<Holding> = []
    private var hasOverrun = false
    private let descriptor: Int32
    private var source: EventSource?
    private var buffer = [UInt8](repeating: 0, count: 65536)

    /// To be called in the namespace in which the nodes' namespaces have their ids.
    public init() throws(BedError) {
        self.descriptor = lab_address_socket(8 << 20)
        guard self.descriptor >= 0 else { throw Files.failure("cannot open a netlink socket") }
        self.source = .descriptor(self.descriptor, .read) { [weak self] _ in self?.receive() }
    }

    isolated deinit { close(self.descriptor) }

    /// Takes over what the kernel has reported; the loop calls it whenever there is something.
    public func receive() {
        while true {
            var node: Int32 = -1
            let count = lab_receive(self.descriptor, &self.buffer, self.buffer.count, &node)
            guard count >= 0 else {
                if errno == ENOBUFS { self.hasOverrun = true }
                if errno == EINTR || errno == ENOBUFS { continue }
                return
            }
            let now = BootClock.microseconds
            for message in RouteMessage.parse(self.buffer[..<count]) {
                switch message {
                case .address(let address): self.appeared(Holding(node: node, place: address.place), now)
                case .addressRemoved(let place): self.disappeared(Holding(node: node, place: place), now)
                // It may have been about an address.
                case .malformed: self.hasOverrun = true
                case .answered, .link, .linkRemoved: break
                }
            }
        }
    }

    private func appeared(_ holding: Holding, _ now: Int64) {
        let isKnown = self.isHeld(holding.place.address.address, on: holding.node)
        self.held.insert(holding)
        // A renewed lifetime is reported like a new address.
        if !isKnown { self.note(holding, true, now) }
    }

    private func disappeared(_ holding: Holding, _ now: Int64) {
        guard self.held.remove(holding) != nil else { return }
        // One that is moved from one place to another never goes.
        if !self.isHeld(holding.place.address.address, on: holding.node) { self.note(holding, false, now) }
    }

    private func note(_ holding: Holding, _ isPresent: Bool, _ now: Int64) {
        let event = Event(
            at: now, node: holding.node, address: holding.place.address.address.description, isPresent: isPresent)
        self.events.append(event)
        self.noted(event)
    }

    public func isHeld(_ address: String, on node: Int32) -> Bool {
        IPAddress(address).map { self.isHeld($0, on: node) } ?? false
    }

    private func isHeld(_ address: IPAddress, on node: Int32) -> Bool {
        self.held.contains { $0.node == node && $0.place.address.address == address }
    }

    /// When `address` appeared on, or disappeared from, `node` after `start`; nil: not yet.
    public func instant(of address: String, on node: Int32, isPresent: Bool, since start: Int64) -> Int64? {
        self.events.first {
            $0.at >= start && $0.node == node && $0.address == address && $0.isPresent == isPresent
        }?.at
    }

    /// Milliseconds during which two nodes had `address` at once.
    public func overlap(of address: String) throws(BedError) -> Double {
        guard !self.hasOverrun else {
            throw BedError("the kernel dropped events: nothing can be said about overlaps")
        }
        var holders: Set<Int32> = []
        var last: Int64 = 0
        var sum: Int64 = 0
        for event in self.events where event.address == address {
            if holders.count > 1 { sum += event.at - last }
            last = event.at
            if event.isPresent { holders.insert(event.node) } else { holders.remove(event.node) }
        }
        if holders.count > 1 { sum += BootClock.microseconds - last }
        return Double(sum) / 1000
    }
}
