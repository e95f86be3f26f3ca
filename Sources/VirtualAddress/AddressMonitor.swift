// SPDX-License-Identifier: Apache-2.0
public import EventLoop
public import KernelPlaces
import RouteNetlink

/// What the kernel did to its addresses and interfaces, whoever asked for it.
public enum MonitorEvent: Hashable, Sendable {
    /// An address was added, or its lifetime or flags were changed.
    case appeared(KernelAddress)
    case disappeared(VirtualAddress)
    /// An interface is new or was changed. The name is the kernel's own.
    case linkChanged(name: String, hasCarrier: Bool)
    /// Something changed, and only a listing shows what.
    case unclear
    /// Changes were missed, or may have been. List.
    case missed(Loss)

    /// Why changes are missed.
    public struct Loss: Hashable, Sendable, CustomStringConvertible {
        public enum Kind: Hashable, Sendable {
            /// The kernel dropped messages: there were too many for the socket's queue.
            case dropped
            /// The kernel sent something that is not understood.
            case unreadable
            /// There is no socket. It is tried again each second, and ``MonitorEvent/unclear`` follows when there is one.
            case deaf
        }
        public let kind: Kind
        let detail: String

        init(_ kind: Kind, _ detail: String = "") {
            self.kind = kind
            self.detail = detail
        }

        public var description: String {
            switch self.kind {
            case .dropped: "the kernel had too many at once, and dropped some"
            case .unreadable: "a message of the kernel cannot be understood (\(self.detail))"
            case .deaf: "no netlink socket (\(self.detail))"
            }
        }
    }
}

/// Hears of changes of addresses and interfaces by a route netlink socket.
///
/// Whoever lists after ``start()`` misses nothing, or is told so. Leaves out: knowing what there is; see
/// ``AddressCommands/list()``. Bounded: 32 messages are read in one turn of the loop, and reported together; what more
/// waits, waits for the next, in the kernel's queue (8 MiB, or what `net.core.rmem_max` allows). What the kernel drops
/// beyond that is one ``MonitorEvent/missed(_:)``.
@EventLoop
public final class AddressMonitor {
    typealias Open = @EventLoop () throws(RouteSocket.Failure) -> RouteSocket
    package nonisolated static let messagesPerTurn = 32
    /// Bytes of what waits in the kernel, and of one message.
    package nonisolated static let queueLimit: Int32 = 8 << 20
    package nonisolated static let messageLimit = 32 << 10
    private let openSocket: Open
    private let report: @EventLoop ([MonitorEvent]) -> Void
    private var news = AddressNews()
    private(set) var socket: RouteSocket?
    private var readable: EventSource?
    /// The kernel has dropped something, and what waits has not been read to its end since.
    private var isCongested = false
    private var retry: EventSource?

    /// - Parameter report: what happened since the last time, in order; never empty.
    public convenience init(report: @escaping @EventLoop ([MonitorEvent]) -> Void) {
        self.init(
            open: { () throws(RouteSocket.Failure) in try RouteSocket(receiveBuffer: Self.queueLimit) }, report: report)
    }

    init(open: @escaping Open, report: @escaping @EventLoop ([MonitorEvent]) -> Void) {
        self.openSocket = open
        self.report = report
    }

    /// Listens from now on, to the network namespace of this thread, until ``stop()``.
    public func start() {
        do throws(RouteSocket.Failure) { try self.listen() } catch { self.fail(error) }
    }

    /// Nothing is reported from now on.
    public func stop() {
        self.retry = nil
        self.readable = nil
        self.socket = nil
    }

    private func listen() throws(RouteSocket.Failure) {
        let socket = try self.openSocket()
        self.socket = socket
        self.readable = .descriptor(socket.descriptor, .read) { [weak self] _ in self?.read(socket) }
    }

    private func fail(_ failure: RouteSocket.Failure) {
        self.stop()
        self.retry = .timer(after: .seconds(1)) { [weak self] in self?.reopen() }
        self.report([self.news.lost(.deaf, failure.description)])
    }

    /// Told once, tried each second.
    private func reopen() {
        do throws(RouteSocket.Failure) { try self.listen() } catch {
            self.retry?.rearm(after: .seconds(1))
            return
        }
        self.retry = nil
        self.report([.unclear])
    }

    private func read(_ socket: RouteSocket) {
        var events: [MonitorEvent] = []
        var failure: RouteSocket.Failure?
        reading: for _ in 0..<Self.messagesPerTurn {
            switch socket.receive() {
            case .datagram(let bytes):
                for message in RouteMessage.parse(bytes) {
                    if let event = self.news.learn(message, ask: { socket.interfaceName($0) }) { events.append(event) }
                }
            case .truncated(let count): events.append(self.news.lost(.unreadable, "\(count) bytes"))
            case .dropped:
                events.append(self.news.lost(.dropped))
                self.isCongested = true
            case .foreign: break
            case .nothing:
                // Until its queue was empty the kernel has dropped everything, without another word.
                if self.isCongested { events.append(.unclear) }
                self.isCongested = false
                break reading
            case .failed(let error):
                failure = error
                break reading
            }
        }
        if !events.isEmpty { self.report(events) }
        // Unless it was stopped by whoever was told.
        if let failure, self.socket === socket { self.fail(failure) }
    }
}
