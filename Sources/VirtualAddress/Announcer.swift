// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc
import NetworkAddress

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
        case .notEthernet: "not an Ethernet interface"
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
        /// Another station says that it has the address. At most four reports per probe.
        case duplicate(VirtualAddress, LinkAddress)
    }

    /// An address that is being announced.
    private final class Course {
        let begin: Int64
        var step = AnnouncementSchedule.first
        var number = 0
        var timer: EventSource?
        var probe: DuplicateProbe?
        init(begin: Int64) { self.begin = begin }
    }

    private let report: @EventLoop (Report) -> Void
    private let enter: @EventLoop (() -> Void) -> Void
    private var courses: [VirtualAddress: Course] = [:]
    /// What announcements are sent through; kept, because closing one takes long (see ``ClosingQueue``).
    private var sender: PacketSocket?

    public convenience init(report: @escaping @EventLoop (Report) -> Void) {
        self.init(enter: { $0() }, report: report)
    }

    /// - Parameter enter: surrounds whatever depends on the network namespace.
    init(enter: @escaping @EventLoop (() -> Void) -> Void, report: @escaping @EventLoop (Report) -> Void) {
        self.enter = enter
        self.report = report
    }

    /// Announces the address now, before this returns, and then after the schedule; begins anew where it was announced
    /// already, as after the interface came back.
    public func start(_ address: VirtualAddress) {
        let course = Course(begin: BootClock.microseconds)
        self.courses[address] = course
        self.advance(course, of: address)
    }

    /// Falls silent about the address at once. Does nothing where it was not announced.
    public func stop(_ address: VirtualAddress) { self.courses[address] = nil }

    /// Falls silent about all addresses.
    public func stopAll() { self.courses = [:] }

    /// Takes the step that is due and sets the timer for the next.
    private func advance(_ course: Course, of address: VirtualAddress) {
        let isProbing = course.step.isProbing
        let elapsed = max(0, BootClock.microseconds - course.begin)
        course.step = AnnouncementSchedule.next(after: max(elapsed, course.step.offset))
        let delay = Duration.microseconds(course.begin + course.step.offset - BootClock.microseconds)
        if let timer = course.timer {
            timer.rearm(after: delay)
        } else {
            course.timer = .timer(after: delay) { [weak self, weak course] in
                if let self, let course { self.advance(course, of: address) }
            }
        }
        // Reports come last: they may stop or start addresses.
        for report in self.announce(address, course, isProbing: isProbing) { self.report(report) }
    }

    private func announce(_ address: VirtualAddress, _ course: Course, isProbing: Bool) -> [Report] {
        do throws(AnnouncementError) {
            let (sockets, links) = try self.surroundings(isProbing: isProbing)
            guard let link = links.links[address.interface] else {
                throw AnnouncementError(.noDevice, call: "getifaddrs")
            }
            guard let mac = link.address else { throw AnnouncementError(.notEthernet, call: "getifaddrs") }
            do throws(PacketSocket.Failure) {
                try Self.send(address.address.address, at: mac, on: link.index, sockets.sender)
                if let listener = sockets.listener {
                    try self.probe(address, course, from: mac, on: link.index, listener, own: links.own)
                }
            } catch {
                throw AnnouncementError(error)
            }
            course.number += 1
            return [.announced(address, mac, number: course.number)]
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
        _ course: Course,
        from mac: LinkAddress,
        on index: Int32,
        _ socket: PacketSocket,
        own: Set<LinkAddress>
    ) throws(PacketSocket.Failure) {
        course.probe = try DuplicateProbe(
            for: address.address.address,
            from: mac,
            on: index,
            socket: socket,
            own: own
        ) { [weak self, weak course] other in
            guard let self, let course, self.courses[address] === course else { return }
            self.report(.duplicate(address, other))
        }
    }

    private struct Sockets {
        let sender: PacketSocket
        /// One of its own for a probe, if there is to be one.
        let listener: PacketSocket?
    }

    /// The sockets for this announcement, and the interfaces as they are now.
    private func surroundings(isProbing: Bool) throws(AnnouncementError) -> (Sockets, LocalLinks) {
        var result: Result<(Sockets, LocalLinks), PacketSocket.Failure>?
        self.enter {
            do throws(PacketSocket.Failure) {
                if self.sender == nil { self.sender = try PacketSocket() }
                guard let sender = self.sender else { return }
                let sockets = Sockets(sender: sender, listener: isProbing ? try PacketSocket() : nil)
                result = .success((sockets, try LocalLinks()))
            } catch {
                result = .failure(error)
            }
        }
        switch result {
        case .success(let found): return found
        case .failure(let failure): throw AnnouncementError(failure)
        case nil: throw AnnouncementError(.failed(EINVAL), call: "setns")
        }
    }
}
