// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import NetworkBed

/// A TCP relay on loopback that does with connections what networks and hosts do: it refuses them, accepts and never serves them,
/// delays and swallows what they carry, and cuts them in the middle. By chance, the same in each run with the same seed and timing.
@EventLoop
public final class FaultyTransport {
    /// How often, of 1000: connections that are refused, or accepted and never served; pieces that are late, swallowed with
    /// everything after them, or the last before the connection is cut.
    public struct Faults: Sendable {
        public var refused = 0, silent = 0, late = 0, swallowed = 0, cut = 0
        public init() {}
        public static var none: Faults { Faults() }
        public static var many: Faults {
            var faults = Faults()
            (faults.refused, faults.silent, faults.late, faults.swallowed, faults.cut) = (200, 200, 150, 80, 80)
            return faults
        }
    }

    public var faults: Faults
    public let port: Int
    public var url: String { "http://127.0.0.1:\(self.port)" }
    /// How often each fault was injected.
    public private(set) var injected: [String: Int] = [:]
    private var generator: SeededGenerator
    private var relay: TCPRelay?
    private static let longestDelay = 60

    public init(to upstream: Int, seed: UInt64, _ faults: Faults) throws {
        self.faults = faults
        self.generator = SeededGenerator(seed)
        let listener = try listenOnLoopback()
        self.port = listener.port
        self.relay = TCPRelay(listening: listener.descriptor, to: "127.0.0.1", UInt16(upstream)) { [weak self] in
            guard let self, !self.happens(self.faults.refused, "refused") else { return .refused }
            return self.happens(self.faults.silent, "silent") ? .unserved : .served(FaultyConnection(self))
        }
    }

    fileprivate func happens(_ thousandths: Int, _ name: String) -> Bool {
        guard Int.random(in: 0..<1000, using: &self.generator) < thousandths else { return false }
        self.injected[name, default: 0] += 1
        return true
    }

    fileprivate func some(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self.generator) }

    @EventLoop
    private final class FaultyConnection: RelayPolicy {
        private let transport: FaultyTransport
        private var swallows: Set<TCPRelay.Direction> = []

        init(_ transport: FaultyTransport) { self.transport = transport }

        /// Of any length, so that they are cut anywhere.
        func pieceLimit(_ direction: TCPRelay.Direction) -> Int { self.transport.some(1...2048) }

        func fate(
            of piece: ArraySlice<UInt8>, _ direction: TCPRelay.Direction
        ) async throws(WaitError) -> TCPRelay.Fate {
            let (transport, faults) = (self.transport, self.transport.faults)
            if self.swallows.contains(direction) { return .swallowed }
            if transport.happens(faults.cut, "cut") { return .cut }
            if transport.happens(faults.swallowed, "swallowed") {
                self.swallows.insert(direction)
                return .swallowed
            }
            if transport.happens(faults.late, "late") {
                try await EventLoop.sleep(for: .milliseconds(transport.some(1...FaultyTransport.longestDelay)))
            }
            return .passed
        }
    }
}
