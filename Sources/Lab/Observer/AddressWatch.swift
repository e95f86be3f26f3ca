// SPDX-License-Identifier: Apache-2.0
import CLab
import EventLoop
import Glibc
import NetworkAddress
import RouteNetlink

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

    private struct Holding: Hashable {
        var node: Int32
        var place: RoutePlace
    }
    /// What the kernels have, as far as we know.
    private var held: Set<Holding> = []

    /// The question that is being answered; netlink takes one at a time.
    private struct Question {
        var sequence: UInt32
        var node: Int32
        var seen: Set<Holding> = []
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
                self.overrun(at: BootClock.microseconds)
                continue
            }
            let now = BootClock.microseconds
            for message in RouteMessage.parse(self.buffer[..<count]) {
                self.handle(message, from: namespace, at: now)
            }
        }
    }

    private func overrun(at now: Int64) {
        self.recorder.record(LabEvent(at: now, .overrun))
        self.askAll()
    }

    private func handle(_ message: RouteMessage, from namespace: Int32, at now: Int64) {
        switch message {
        case .address(let address):
            // An answer carries no namespace beside it: it is about the node that was asked for.
            guard let node = self.nodes[namespace] != nil ? namespace : self.question?.node else { return }
            let holding = Holding(node: node, place: address.place)
            if self.question?.node == node { self.question?.seen.insert(holding) }
            let isKnown = self.holds(holding)
            self.held.insert(holding)
            if !isKnown { self.record(.addressAppeared, holding, now) }
        case .addressRemoved(let place):
            let holding = Holding(node: namespace, place: place)
            self.question?.seen.remove(holding)
            if self.held.remove(holding) != nil, !self.holds(holding) { self.record(.addressDisappeared, holding, now) }
        // It may have been about an address. An answer that is not understood would be the same if it were asked for again.
        case .malformed: if self.question == nil { self.overrun(at: now) }
        // The socket does not listen to them.
        case .link, .linkRemoved: break
        case .answered(let sequence, let isComplete):
            guard let question = self.question, question.sequence == sequence else { return }
            self.question = nil
            if isComplete {
                for holding in self.held where holding.node == question.node && !question.seen.contains(holding) {
                    self.held.remove(holding)
                    if !self.holds(holding) { self.record(.addressDisappeared, holding, now) }
                }
            } else {
                self.toAsk.append(question.node)
            }
            self.askNext()
        }
    }

    /// Whether the node has the address, wherever: one that is moved from one place to another never goes.
    private func holds(_ holding: Holding) -> Bool {
        self.held.contains { $0.node == holding.node && $0.place.address.address == holding.place.address.address }
    }

    private func record(_ kind: LabEvent.Kind, _ holding: Holding, _ now: Int64) {
        let address = holding.place.address.address.description
        guard let node = self.nodes[holding.node], !Self.isOwn(address, of: node) else { return }
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
