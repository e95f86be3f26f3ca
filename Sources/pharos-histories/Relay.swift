// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed

/// Stands between one node's daemon and one member of etcd: it passes on what both say, or holds it back, or ends the
/// connections, and knows which request an answer belongs to.
@EventLoop
final class Relay {
    /// What a request asks for, as far as it matters here.
    enum Request: String, CaseIterable, Sendable {
        case read, keepAlive = "keep-alive", acquire, other

        /// The request that begins with these bytes; nil: they do not begin one.
        init?(_ bytes: ArraySlice<UInt8>) {
            guard bytes.starts(with: "POST ".utf8) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self)
            let path = text.dropFirst(5).prefix { $0 != " " }
            if path.hasSuffix("/lease/keepalive") { self = .keepAlive; return }
            guard path.hasSuffix("/kv/txn") else { self = .other; return }
            self = text.contains("equestPut") || text.contains("request_put") ? .acquire : .read
        }
    }

    /// What becomes of what is said.
    struct Faults: Equatable, Sendable {
        /// Nothing reaches the member; it arrives late, when this ends.
        var holdsRequests = false
        /// No answer reaches the daemon; it arrives late.
        var holdsAnswers = false
        /// These requests alone do not reach the member.
        var heldRequests: Request?
        /// Answers to these alone are held.
        var heldKind: Request?
        /// Connections with an answer to these are ended instead.
        var lostKind: Request?
        /// No connections at all.
        var isClosed = false
    }

    /// Where the daemon finds the member.
    let url: String
    var faults = Faults() {
        didSet { if self.faults.isClosed { self.endConnections() } }
    }
    /// No connections, whatever the faults: etcd is being changed.
    var isShut = false {
        didSet { if self.isShut { self.endConnections() } }
    }
    /// Is told of each request before it is passed on.
    var requested: @EventLoop (Request) -> Void = { _ in }

    /// Is told of each answer that is no refusal, once it was passed on.
    var answered: @EventLoop (Request) -> Void = { _ in }

    private var relay: TCPRelay?

    /// Listens on `address` and `port`, passes on to port 2379 of `member`.
    init(_ address: String, _ port: UInt16, to member: String) throws(BedError) {
        self.url = "http://\(address):\(port)"
        self.relay = TCPRelay(listening: try TCPSocket.listen(address, port), to: member, 2379) { [weak self] in
            guard let self, !self.faults.isClosed, !self.isShut else { return .refused }
            return .served(RelayedRequests(self))
        }
    }

    /// Ends every connection; both sides notice.
    func endConnections() { self.relay?.endConnections() }
}

/// One connection through a relay, and what was asked on it last.
@EventLoop
private final class RelayedRequests: RelayPolicy {
    private let relay: Relay
    private var request = Relay.Request.other
    /// The request that was taken and is not passed on yet.
    private var beginning: Relay.Request?

    init(_ relay: Relay) { self.relay = relay }

    func isHeld(_ direction: TCPRelay.Direction) -> Bool {
        let faults = self.relay.faults
        return switch direction {
        case .toClient: faults.holdsAnswers || faults.heldKind == self.request
        case .toServer: faults.holdsRequests || self.beginning != nil && faults.heldRequests == self.beginning
        }
    }

    func fate(of piece: ArraySlice<UInt8>, _ direction: TCPRelay.Direction) -> TCPRelay.Fate {
        switch direction {
        case .toClient: return self.relay.faults.lostKind == self.request ? .cut : .passed
        case .toServer:
            guard let request = Relay.Request(piece) else { return .passed }
            (self.request, self.beginning) = (request, request)
            // What that causes may hold back this very request.
            self.relay.requested(request)
            return .passed
        }
    }

    func passed(_ piece: ArraySlice<UInt8>, _ direction: TCPRelay.Direction) {
        switch direction {
        case .toClient: if self.isGood(piece) { self.relay.answered(self.request) }
        case .toServer: self.beginning = nil
        }
    }

    /// Whether this begins an answer that is no refusal. Where a lease is gone, its keep-alive is answered without a TTL.
    private func isGood(_ answer: ArraySlice<UInt8>) -> Bool {
        guard answer.starts(with: "HTTP/1.1 200".utf8) else { return false }
        return self.request != .keepAlive || String(decoding: answer, as: UTF8.self).contains(#""TTL":"#)
    }
}
