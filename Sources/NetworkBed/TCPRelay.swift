// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc

/// What becomes of one connection through a ``TCPRelay``, and of each piece of bytes on it. One that says nothing passes all on.
@EventLoop
public protocol RelayPolicy: AnyObject {
    /// How long the next piece may be, in bytes, up to 64 KiB.
    func pieceLimit(_ direction: TCPRelay.Direction) -> Int
    /// Whether nothing is taken, and nothing that was taken passed on, for now. What is not taken stays in the kernel's buffers, which
    /// are its limit.
    func isHeld(_ direction: TCPRelay.Direction) -> Bool
    /// A piece was taken. Whoever waits in here delays it, and what comes after it in this direction.
    func fate(of piece: ArraySlice<UInt8>, _ direction: TCPRelay.Direction) async throws(WaitError) -> TCPRelay.Fate
    /// It was passed on.
    func passed(_ piece: ArraySlice<UInt8>, _ direction: TCPRelay.Direction)
}

extension RelayPolicy {
    public func pieceLimit(_ direction: TCPRelay.Direction) -> Int { TCPRelay.longestPiece }
    public func isHeld(_ direction: TCPRelay.Direction) -> Bool { false }
    public func fate(
        of piece: ArraySlice<UInt8>, _ direction: TCPRelay.Direction
    ) async throws(WaitError) -> TCPRelay.Fate { .passed }
    public func passed(_ piece: ArraySlice<UInt8>, _ direction: TCPRelay.Direction) {}
}

/// Stands between clients and one server, over IPv4: passes on what both say, or does with it what networks and hosts do, as a
/// policy for each connection has it.
@EventLoop
public final class TCPRelay {
    public enum Direction: Hashable, Sendable { case toServer, toClient }

    /// What becomes of a connection that a client makes.
    public enum Admission {
        case refused
        /// Accepted, and then nothing, until the relay ends.
        case unserved
        case served(any RelayPolicy)
    }

    /// What becomes of a piece.
    public enum Fate: Sendable {
        case passed
        case swallowed
        /// It is lost, and the connection ends on both sides.
        case cut
    }

    nonisolated static let longestPiece = 1 << 16

    private let descriptor: Int32
    private let server: (address: String, port: UInt16)
    private let admit: @EventLoop () -> Admission
    private var source: EventSource?
    private var connections: [ObjectIdentifier: RelayedConnection] = [:]
    private var unserved: [Int32] = []

    /// Accepts on a listening socket, which it closes at its end; connects to the server from this thread's network namespace.
    public init(
        listening descriptor: Int32, to address: String, _ port: UInt16, admit: @escaping @EventLoop () -> Admission
    ) {
        self.descriptor = descriptor
        self.server = (address, port)
        self.admit = admit
        self.source = .descriptor(descriptor, .read) { [weak self] _ in self?.accept() }
    }

    isolated deinit { self.stop() }

    /// As when the server is stopped: every connection ends, and no other is accepted.
    public func stop() {
        guard self.source != nil else { return }
        self.source = nil
        for descriptor in [self.descriptor] + self.unserved { close(descriptor) }
        self.unserved = []
        self.endConnections()
    }

    /// Ends every connection that is served; both sides notice.
    public func endConnections() { for connection in self.connections.values { connection.end() } }

    /// Of the connections that are served and have not ended.
    public var policies: [any RelayPolicy] { self.connections.values.filter { !$0.hasEnded }.map(\.policy) }

    private func accept() {
        while let client = TCPSocket.accept(on: self.descriptor) {
            switch self.admit() {
            case .refused: close(client)
            case .unserved: self.unserved.append(client)
            case .served(let policy): self.serve(client, policy)
            }
        }
    }

    private func serve(_ client: Int32, _ policy: any RelayPolicy) {
        guard let server = TCPSocket.connect(self.server.address, self.server.port) else { return _ = close(client) }
        let connection = RelayedConnection(client, server, policy)
        self.connections[ObjectIdentifier(connection)] = connection
        EventLoop.spawn { [weak self] in
            await connection.pass()
            self?.connections[ObjectIdentifier(connection)] = nil
        }
    }
}

@EventLoop
private final class RelayedConnection {
    private let client: Int32
    private let server: Int32
    let policy: any RelayPolicy
    private(set) var hasEnded = false
    /// How often a direction that is held looks whether it may go on.
    private static let pace: Duration = .milliseconds(10)
    /// No connection lives longer without a byte in one direction, or with a peer that takes none.
    private static let patience: Duration = .seconds(3600)

    init(_ client: Int32, _ server: Int32, _ policy: any RelayPolicy) {
        (self.client, self.server, self.policy) = (client, server, policy)
    }

    func end() {
        self.hasEnded = true
        shutdown(self.client, Int32(SHUT_RDWR))
        shutdown(self.server, Int32(SHUT_RDWR))
    }

    /// Passes on until either side ends.
    func pass() async {
        let answers = EventLoop.spawn { await self.pump(.toClient) }
        await self.pump(.toServer)
        await answers.value
        close(self.client)
        close(self.server)
    }

    private func pump(_ direction: TCPRelay.Direction) async {
        let (source, target) =
            direction == .toServer ? (self.client, self.server) : (self.server, self.client)
        do throws(WaitError) {
            try await self.pump(direction, from: source, to: target)
        } catch {
            // Silent for all that time.
        }
        self.end()
    }

    private func pump(
        _ direction: TCPRelay.Direction, from source: Int32, to target: Int32
    ) async throws(WaitError) {
        var buffer = [UInt8](repeating: 0, count: TCPRelay.longestPiece)
        while !self.hasEnded {
            try await self.hold(direction)
            let count = recv(source, &buffer, min(self.policy.pieceLimit(direction), buffer.count), 0)
            // It may still be connecting.
            if count < 0, [EAGAIN, EINTR, ENOTCONN].contains(errno) {
                _ = try await EventLoop.readiness(of: source, .read, timeout: Self.patience)
                continue
            }
            guard count > 0 else { return }
            let piece = buffer[..<count]
            switch try await self.policy.fate(of: piece, direction) {
            case .cut: return
            case .swallowed: continue
            case .passed: break
            }
            try await self.hold(direction)
            guard try await self.send(piece, to: target) else { return }
            self.policy.passed(piece, direction)
        }
    }

    private func hold(_ direction: TCPRelay.Direction) async throws(WaitError) {
        while !self.hasEnded, self.policy.isHeld(direction) { try await EventLoop.sleep(for: Self.pace) }
    }

    /// Answers whether the peer has taken it.
    private func send(_ piece: ArraySlice<UInt8>, to target: Int32) async throws(WaitError) -> Bool {
        var rest = piece
        while !rest.isEmpty, !self.hasEnded {
            let count = rest.withUnsafeBytes { Glibc.send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if [EAGAIN, EINTR, ENOTCONN, EINPROGRESS].contains(errno) {
                _ = try await EventLoop.readiness(of: target, .write, timeout: Self.patience)
            } else {
                return false
            }
        }
        return rest.isEmpty
    }
}
