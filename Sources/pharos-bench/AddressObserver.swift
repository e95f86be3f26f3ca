// SPDX-License-Identifier: Apache-2.0
import CLab
import EventLoop
import Glibc
import Lab

/// Records when addresses appear in, and disappear from, the kernels of all nodes: by rtnetlink, with one clock
/// (CLOCK_BOOTTIME), through one socket, so that the kernel's own order of events is kept across namespaces.
@EventLoop
final class AddressObserver {
    struct Event {
        /// Microseconds since boot.
        let at: Int64
        let node: Int32
        let address: String
        let isPresent: Bool
    }

    private(set) var events: [Event] = []
    private var held: Set<[String]> = []
    private var hasOverrun = false
    private let descriptor: Int32
    private var source: EventSource?
    private var buffer = [UInt8](repeating: 0, count: 65536)

    /// To be called in the namespace in which the nodes' namespaces have their ids.
    init() throws(BenchError) {
        self.descriptor = lab_address_socket(8 << 20)
        guard self.descriptor >= 0 else { throw Files.failure("cannot open a netlink socket") }
        self.source = .descriptor(self.descriptor, .read) { [weak self] _ in self?.receive() }
    }

    isolated deinit { close(self.descriptor) }

    /// Takes over what the kernel has reported; the loop calls it whenever there is something.
    func receive() {
        while true {
            var node: Int32 = -1
            let count = lab_receive(self.descriptor, &self.buffer, self.buffer.count, &node)
            guard count >= 0 else {
                if errno == ENOBUFS { self.hasOverrun = true }
                if errno == EINTR || errno == ENOBUFS { continue }
                return
            }
            let now = BootClock.microseconds
            for message in AddressMessage.parse(self.buffer[..<count]) {
                switch message {
                case .present(let address): self.note(node, address.address, true, now)
                case .removed(let address): self.note(node, address.address, false, now)
                case .answered: break
                }
            }
        }
    }

    private func note(_ node: Int32, _ address: String, _ isPresent: Bool, _ now: Int64) {
        let place = ["\(node)", address]
        // A renewed lifetime is reported like a new address.
        let isNews = isPresent ? self.held.insert(place).inserted : self.held.remove(place) != nil
        if isNews { self.events.append(Event(at: now, node: node, address: address, isPresent: isPresent)) }
    }

    func isHeld(_ address: String, on node: TestBed.Node) -> Bool { self.held.contains(["\(node.id)", address]) }

    /// When `address` appeared on, or disappeared from, `node` after `start`; nil: not yet.
    func instant(of address: String, on node: TestBed.Node, isPresent: Bool, since start: Int64) -> Int64? {
        self.events.first {
            $0.at >= start && $0.node == node.id && $0.address == address && $0.isPresent == isPresent
        }?.at
    }

    /// Milliseconds during which two nodes had `address` at once.
    func overlap(of address: String) throws(BenchError) -> Double {
        guard !self.hasOverrun else {
            throw BenchError("the kernel dropped events: nothing can be said about overlaps")
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
