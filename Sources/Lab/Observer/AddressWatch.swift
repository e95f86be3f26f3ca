// SPDX-License-Identifier: Apache-2.0
import CLab
import EventLoop
import Glibc

/// Records when an address appears in, or disappears from, the kernel of any node.
///
/// One netlink socket hears of all nodes' network namespaces (NETLINK_LISTEN_ALL_NSID), so that the kernel's own order
/// of events is kept across nodes: two sockets could be read in the wrong order, and show an overlap that never was.
/// When the socket overruns, everything is asked anew and the differences are recorded.
@EventLoop
final class AddressWatch {
    private let recorder: EventRecorder
    private let nodes: [Int32: String]
    private let descriptor: Int32
    private var source: EventSource?
    private var buffer = [UInt8](repeating: 0, count: 65536)

    private struct Place: Hashable {
        var node: Int32
        var address: KernelAddress
    }
    /// What the kernels have, as far as we know.
    private var held: Set<Place> = []

    /// The question that is being answered; netlink takes one at a time.
    private struct Question {
        var sequence: UInt32
        var node: Int32
        var seen: Set<Place> = []
    }
    private var question: Question?
    private var toAsk: [Int32] = []
    private var lastSequence: UInt32 = 0
    private var whenKnown: (() -> Void)?

    /// Must be called in the client's network namespace, where the nodes' namespaces have ids.
    /// - Parameter whenKnown: called once, when the state of all nodes has been read for the first time.
    init(_ nodes: [String], _ recorder: EventRecorder, whenKnown: @escaping () -> Void) throws(LabError) {
        self.recorder = recorder
        self.nodes = Dictionary(uniqueKeysWithValues: nodes.map { (LabLayout.namespaceID($0), $0) })
        self.whenKnown = whenKnown
        self.descriptor = lab_address_socket(8 << 20)
        guard self.descriptor >= 0 else { throw Host.failure("cannot open the netlink socket") }
        self.source = .descriptor(self.descriptor, .read) { [weak self] _ in self?.receive() }
        self.askAll()
    }

    isolated deinit { close(self.descriptor) }

    private func receive() {
        while true {
            var namespace: Int32 = -1
            let count = lab_receive(self.descriptor, &self.buffer, self.buffer.count, &namespace)
            guard count >= 0 else {
                if errno == EINTR { continue }
                guard errno == ENOBUFS else { return }
                self.recorder.record(LabEvent(at: BootClock.microseconds, .overrun))
                self.askAll()
                continue
            }
            let now = BootClock.microseconds
            for message in AddressMessage.parse(self.buffer[..<count]) {
                self.handle(message, from: namespace, at: now)
            }
        }
    }

    private func handle(_ message: AddressMessage, from namespace: Int32, at now: Int64) {
        switch message {
        case .present(let address):
            // An answer carries no namespace beside it: it is about the node that was asked for.
            guard let node = self.nodes[namespace] != nil ? namespace : self.question?.node else { return }
            let place = Place(node: node, address: address)
            if self.question?.node == node { self.question?.seen.insert(place) }
            let isKnown = self.holds(place)
            self.held.insert(place)
            if !isKnown { self.record(.addressAppeared, place, now) }
        case .removed(let address):
            let place = Place(node: namespace, address: address)
            self.question?.seen.remove(place)
            if self.held.remove(place) != nil, !self.holds(place) { self.record(.addressDisappeared, place, now) }
        case .answered(let sequence, let isComplete):
            guard let question = self.question, question.sequence == sequence else { return }
            self.question = nil
            if isComplete {
                for place in self.held where place.node == question.node && !question.seen.contains(place) {
                    self.held.remove(place)
                    if !self.holds(place) { self.record(.addressDisappeared, place, now) }
                }
            } else {
                self.toAsk.append(question.node)
            }
            self.askNext()
        }
    }

    /// Whether the node has the address, wherever: one that is moved from one place to another never goes.
    private func holds(_ place: Place) -> Bool {
        self.held.contains { $0.node == place.node && $0.address.address == place.address.address }
    }

    private func record(_ kind: LabEvent.Kind, _ place: Place, _ now: Int64) {
        let address = place.address.address
        guard let node = self.nodes[place.node], !Self.isOwn(address, of: node) else { return }
        self.recorder.record(LabEvent(at: now, kind, node: node, address: address))
    }

    /// A node's own addresses are not what the lab is about.
    private static func isOwn(_ address: String, of node: String) -> Bool {
        address == LabLayout.address(node) || address == LabLayout.address6(node) || address == "::1"
            || address.hasPrefix("127.") || address.hasPrefix("fe80:")
    }

    private func askAll() {
        self.toAsk = self.nodes.keys.sorted()
        if self.question == nil { self.askNext() }
    }

    private func askNext() {
        guard let node = self.toAsk.first else {
            self.whenKnown.take()?()
            return
        }
        self.toAsk.removeFirst()
        self.lastSequence += 1
        self.question = Question(sequence: self.lastSequence, node: node)
        if lab_request_addresses(self.descriptor, node, self.lastSequence) != 0 {
            log("cannot ask for the addresses of \(self.nodes[node] ?? "?"): \(String(cString: strerror(errno)))")
        }
    }
}
