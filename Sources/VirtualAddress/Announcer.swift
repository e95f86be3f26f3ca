// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc
public import KernelPlaces
public import NetworkAddress

/// Why an announcement or a probe could not be sent.
public struct AnnouncementError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// There is no such interface.
        case noDevice
        /// The interface has no Ethernet address; on such links nothing is announced.
        case notEthernet
        /// The interface is down.
        case down
        /// The process lacks CAP_NET_RAW.
        case notPermitted
        /// Anything else: an errno.
        case failed(Int32)
    }

    public let kind: Kind
    /// The call that failed, such as `sendto`.
    public let call: String

    public var description: String {
        switch self.kind {
        case .noDevice: "no such interface"
        case .notEthernet: "not an Ethernet interface, so there is nobody to tell; others must have a route to it"
        case .down: "the interface is down"
        case .notPermitted: "not permitted (CAP_NET_RAW is needed)"
        case .failed(let number): "\(self.call): \(String(cString: strerror(number)))"
        }
    }

    init(_ kind: Kind, call: String) {
        self.kind = kind
        self.call = call
    }

    init(_ failure: PacketSocket.Failure) {
        let kind: Kind =
            switch failure.number {
            case ENODEV, ENXIO: .noDevice
            case ENETDOWN: .down
            case EPERM, EACCES: .notPermitted
            default: .failed(failure.number)  // errno is the kernel's enumeration
            }
        self.init(kind, call: failure.call)
    }
}

/// Tells the network where our addresses are, and finds out whether somebody else has one of them.
///
/// An announcement is an act: it takes the address away from whoever else has it. So none leaves without the right (see
/// ``allow(_:until:)``) and the address in this kernel at that moment, whatever a timer says: a process that was frozen
/// continues in the middle of its schedule, when the kernel and etcd may long have given the address to another.
///
/// Each address is announced at 0, 50, 200, 1000 ms, 5 s and then every 60 s while it is held: by gratuitous ARP in
/// both forms, or by an unsolicited neighbor advertisement. With the first and each of the last, another holder is
/// looked for during one second. The link address is read each time. Leaves out: reacting; what goes wrong or is found
/// is reported.
@EventLoop
public final class Announcer {
    public enum Report: Hashable, Sendable {
        /// The address was announced as being at this link address; the number counts from 1.
        case announced(VirtualAddress, LinkAddress, number: Int)
        /// An announcement or probe was not sent; the next one is tried at its time all the same.
        case failed(VirtualAddress, AnnouncementError)
        /// An announcement was due and is not ours to make; the next one is tried at its time all the same.
        case withheld(VirtualAddress, Withholding)
        /// Another station says that it has the address. At most four reports per probe.
        case duplicate(VirtualAddress, LinkAddress)
    }

    /// Why an announcement that was due was not made.
    public enum Withholding: Hashable, Sendable {
        /// The right has ended, or was never given.
        case rightEnded
        /// The kernel does not have the address on its interface.
        case absent
        /// Whether it has, cannot be told at the moment.
        case unknown
    }

    /// An address that is being announced.
    private final class AnnouncementRun {
        let begin: Int64
        var step = AnnouncementSchedule.first
        var number = 0
        var timer: EventSource?
        var probe: DuplicateProbe?
        /// Whether its last announcement was withheld.
        var isWithheld = false
        init(begin: Int64) { self.begin = begin }
    }

    private let report: @EventLoop (Report) -> Void
    private let enter: @EventLoop (() -> Void) -> Void
    private var runs: [VirtualAddress: AnnouncementRun] = [:]
    /// Until when each address may be announced, in microseconds since boot.
    private var rights: [VirtualAddress: Int64] = [:]
    private let presence: AddressPresence
    /// What announcements are sent through; kept, because closing one takes long (see ``ClosingQueue``).
    private var sender: PacketSocket?

    public convenience init(report: @escaping @EventLoop (Report) -> Void) {
        self.init(enter: { $0() }, report: report)
    }

    /// - Parameter enter: surrounds whatever depends on the network namespace.
    init(enter: @escaping @EventLoop (() -> Void) -> Void, report: @escaping @EventLoop (Report) -> Void) {
        self.enter = enter
        self.report = report
        self.presence = AddressPresence { () throws(RouteSocket.Failure) in
            try Self.inside(enter) { () throws(RouteSocket.Failure) in
                try RouteSocket(receiveBuffer: AddressMonitor.queueLimit)
            }
        }
    }

    private static func inside<Value, Failure: Error>(
        _ enter: @escaping @EventLoop (() -> Void) -> Void, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        var result: Result<Value, Failure>?
        enter {
            do throws(Failure) { result = .success(try body()) } catch { result = .failure(error) }
        }
        guard let result else { preconditionFailure("enter has not called what it surrounds") }
        return try result.get()
    }

    /// The addresses that will be announced: to be called before the kernel is given one of them.
    public func follow(_ addresses: Set<IPAddress>) { self.presence.follow(addresses) }

    /// The address may be announced until `end` (microseconds since boot) and no longer: to be called with each lifetime
    /// that the kernel was given. One whose last announcement had to be withheld is announced anew, from the beginning.
    public func allow(_ address: VirtualAddress, until end: Int64) {
        if self.rights.count >= Self.rightsLimit {
            let now = BootClock.microseconds
            self.rights = self.rights.filter { $0.value > now }
        }
        self.rights[address] = end
        if self.runs[address]?.isWithheld == true { self.start(address) }
    }

    /// As many as there can be addresses, and as many again that a reload took away; then the old ones are dropped.
    private static let rightsLimit = 128

    /// Announces the address now, before this returns, and then after the schedule; begins anew where it was announced
    /// already, as after the interface came back. Without a right nothing is sent; see ``allow(_:until:)``.
    public func start(_ address: VirtualAddress) {
        let run = AnnouncementRun(begin: BootClock.microseconds)
        self.runs[address] = run
        self.advance(run, of: address)
    }

    /// Falls silent about the address at once. Does nothing where it was not announced.
    public func stop(_ address: VirtualAddress) { self.runs[address] = nil }

    /// Falls silent about all addresses.
    public func stopAll() {
        self.runs = [:]
        self.rights = [:]
    }

    /// Takes the step that is due and sets the timer for the next.
    private func advance(_ run: AnnouncementRun, of address: VirtualAddress) {
        let isProbing = run.step.isProbing
        let elapsed = max(0, BootClock.microseconds - run.begin)
        run.step = AnnouncementSchedule.next(after: max(elapsed, run.step.offset))
        let delay = Duration.microseconds(run.begin + run.step.offset - BootClock.microseconds)
        if let timer = run.timer {
            timer.rearm(after: delay)
        } else {
            run.timer = .timer(after: delay) { [weak self, weak run] in
                if let self, let run { self.advance(run, of: address) }
            }
        }
        let reports = self.announce(address, run, isProbing: isProbing)
        run.isWithheld = reports.contains { if case .withheld = $0 { true } else { false } }
        // Reports come last: they may stop or start addresses.
        for report in reports { self.report(report) }
    }

    private func announce(_ address: VirtualAddress, _ run: AnnouncementRun, isProbing: Bool) -> [Report] {
        do throws(AnnouncementError) {
            let sockets = try self.sockets(for: address.interface, isProbing: isProbing)
            guard let link = sockets.link else {
                throw AnnouncementError(.noDevice, call: "ioctl")
            }
            guard let mac = link.address else { throw AnnouncementError(.notEthernet, call: "ioctl") }
            switch try self.presence(of: address, on: link.index) {
            case .here: break
            case .absent: return [.withheld(address, .absent)]
            case .unknown: return [.withheld(address, .unknown)]
            }
            // Last of all: what is between it and the sending, is all that a freeze can still fall into.
            guard let end = self.rights[address], BootClock.microseconds < end else {
                return [.withheld(address, .rightEnded)]
            }
            do throws(PacketSocket.Failure) {
                try Self.send(address.address.address, at: mac, on: link.index, sockets.sender)
                if let listener = sockets.listener {
                    try self.probe(address, run, from: mac, on: link.index, listener, own: sockets.own)
                }
            } catch {
                throw AnnouncementError(error)
            }
            run.number += 1
            return [.announced(address, mac, number: run.number)]
        } catch {
            return [.failed(address, error)]
        }
    }

    private static func send(
        _ address: IPAddress,
        at mac: LinkAddress,
        on index: Int32,
        _ socket: PacketSocket
    ) throws(PacketSocket.Failure) {
        if address.isIPv6 {
            let packet = NeighborPacket.announcement(of: address, at: mac)
            try socket.send(packet.bytes, .ipv6, to: packet.destination, on: index)
        } else {
            for packet in [ARPPacket.announcement(of: address, at: mac), .replyAnnouncement(of: address, at: mac)] {
                try socket.send(packet.bytes, .arp, to: .broadcast, on: index)
            }
        }
    }

    private func probe(
        _ address: VirtualAddress,
        _ run: AnnouncementRun,
        from mac: LinkAddress,
        on index: Int32,
        _ socket: PacketSocket,
        own: Set<LinkAddress>
    ) throws(PacketSocket.Failure) {
        run.probe = try DuplicateProbe(
            for: address.address.address,
            from: mac,
            on: index,
            socket: socket,
            own: own
        ) { [weak self, weak run] other in
            guard let self, let run, self.runs[address] === run else { return }
            self.report(.duplicate(address, other))
        }
    }

    private struct Sockets {
        let sender: PacketSocket
        /// One of its own for a probe, if there is to be one.
        let listener: PacketSocket?
        let link: LocalLinks.Link?
        /// For a probe: the link addresses of this host.
        let own: Set<LinkAddress>
    }

    private func sockets(for interface: String, isProbing: Bool) throws(AnnouncementError) -> Sockets {
        do throws(PacketSocket.Failure) {
            return try Self.inside(self.enter) { () throws(PacketSocket.Failure) in
                let sender: PacketSocket
                if let kept = self.sender { sender = kept } else { sender = try PacketSocket() }
                self.sender = sender
                return Sockets(
                    sender: sender, listener: isProbing ? try PacketSocket() : nil,
                    link: LocalLinks.link(interface, by: sender.descriptor),
                    own: isProbing ? LocalLinks.ownAddresses(by: sender.descriptor) : [])
            }
        } catch {
            throw AnnouncementError(error)
        }
    }

    private func presence(
        of address: VirtualAddress, on index: Int32
    ) throws(AnnouncementError) -> AddressPresence.Answer {
        do throws(RouteSocket.Failure) {
            return try self.presence.answer(for: address.address.address, on: index)
        } catch {
            throw AnnouncementError(.failed(error.number), call: error.call)
        }
    }
}
