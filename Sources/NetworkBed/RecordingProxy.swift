// SPDX-License-Identifier: Apache-2.0
public import EventLoop

/// Stands between the daemon and a real etcd: passes on what both say, and notes when each request came and was answered.
/// Where they speak TLS it sees connections only.
@EventLoop
public final class RecordingProxy {
    public struct Request: Sendable {
        /// Of the URL, as the request line has it.
        public let path: String
        public let begunAt: ContinuousClock.Instant
        /// When the answer began; nil: not yet.
        public internal(set) var answeredAt: ContinuousClock.Instant?
    }

    public private(set) var requests: [Request] = []
    public private(set) var connectionCount = 0
    private var relay: TCPRelay?

    /// Accepts on a listening socket, which it closes at its end; passes on to an IPv4 address and port, as this process's
    /// namespace reaches them.
    public init(listening descriptor: Int32, to address: String, _ port: UInt16) {
        self.relay = TCPRelay(listening: descriptor, to: address, port) { [weak self] in
            guard let self else { return .refused }
            self.connectionCount += 1
            return .served(RecordedConnection(self))
        }
    }

    /// A socket that listens on `address` and `port` in the namespace of the calling thread.
    public nonisolated static func listen(_ address: String, _ port: UInt16) throws(BedError) -> Int32 {
        try TCPSocket.listen(address, port)
    }

    /// As when etcd is stopped: every connection ends, and no other is accepted.
    public func stop() { self.relay?.stop() }

    public func endConnections() { self.relay?.endConnections() }

    /// Watches that are open and have been answered.
    public var watchCount: Int {
        let last = (self.relay?.policies ?? []).compactMap { ($0 as? RecordedConnection)?.request }
        return last.count { self.requests[$0].path == "/v3/watch" && self.requests[$0].answeredAt != nil }
    }

    /// Begins a record of a request; answers its place.
    fileprivate func note(_ path: String) -> Int {
        self.requests.append(Request(path: path, begunAt: .now))
        return self.requests.count - 1
    }

    fileprivate func noteAnswer(_ index: Int) {
        if self.requests[index].answeredAt == nil { self.requests[index].answeredAt = .now }
    }
}

@EventLoop
private final class RecordedConnection: RelayPolicy {
    private weak var proxy: RecordingProxy?
    /// The place of the last request in the proxy's record.
    private(set) var request: Int?

    init(_ proxy: RecordingProxy) { self.proxy = proxy }

    func fate(of piece: ArraySlice<UInt8>, _ direction: TCPRelay.Direction) -> TCPRelay.Fate {
        switch direction {
        case .toClient: if let request = self.request { self.proxy?.noteAnswer(request) }
        case .toServer:
            guard piece.starts(with: "POST ".utf8) || piece.starts(with: "GET ".utf8) else { break }
            let line = String(decoding: piece.prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
            self.request = self.proxy?.note(String(line.split(separator: " ")[1]))
        }
        return .passed
    }
}
