// SPDX-License-Identifier: Apache-2.0
public import EventLoop
import Glibc
public import KernelPlaces
import NetworkAddress

/// What the kernel was told, once `ip` has confirmed it.
public struct AssignOutcome: Hashable, Sendable {
    /// The lifetime that the kernel was given, in seconds.
    public let seconds: Int64
    /// When that lifetime ends at the latest, in microseconds since boot; the kernel itself removes up to 1.0 s later.
    public let endsBy: Int64
}

/// What a removal found.
public enum RemovalOutcome: Hashable, Sendable {
    case removed
    /// There was nothing to remove: it had gone before, or the interface has.
    case wasAbsent
}

/// Puts addresses on interfaces for a limited time, takes them off, and lists them: by `ip`, without a shell.
///
/// Every change is guarded (`ChildProcess.Guard`): a child that is frozen at any instruction, with or without this
/// process, either acts within its ``Pace`` of the reckoning of its lifetime or never. Leaves out: deciding, retrying.
@EventLoop
public struct AddressCommands {
    let command: [String]
    /// How much time a change has, from the reckoning of its lifetime until its child has acted or is dead.
    public enum Pace: Sendable {
        /// 0.5 s: what the margin allows for.
        case usual
        /// 2 s, for a node that cannot start a program in less, short of memory or of processor time. A lifetime is
        /// shorter by the difference.
        case patient

        /// In microseconds.
        package var actsWithin: Int64 {
            switch self {
            case .usual: 500_000
            case .patient: 2_000_000
            }
        }
    }
    public var pace = Pace.usual
    /// How long a change may take until its outcome is called unknown; nil: as its pace says.
    var changeTimeout: Duration?
    /// How long a listing may take.
    public var listTimeout: Duration = AddressCommands.usualListTimeout
    package nonisolated static let usualListTimeout: Duration = .seconds(2)
    /// Bytes that a change and a listing may print.
    package nonisolated static let changeOutputLimit = 1 << 16
    package nonisolated static let listOutputLimit = 8 << 20

    /// - Parameter ipPath: the absolute path of iproute2's `ip`; see ``findIP()``.
    public init(ipPath: String) { self.command = [ipPath] }

    /// With options before the first argument, such as a network namespace.
    init(command: [String]) { self.command = command }

    /// Where `ip` is, or nil where iproute2 is not installed.
    public nonisolated static func findIP() -> String? {
        ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"].first { access($0, X_OK) == 0 }
    }

    /// Makes the address present with a lifetime that ends by `until` (microseconds since boot), whether it was there
    /// or not: adds it, or sets the lifetime of the one that is there.
    ///
    /// The lifetime is the whole seconds from now to `until` (1.5 s before, at the patient pace); less than one is refused as
    /// ``CommandFailure/Kind/tooLate``. Since the child acts within its pace, the lifetime ends at most 0.5 s after
    /// `until`, and the kernel removes up to 1.0 s later still: the caller's margin covers both. (The kernel looks at the
    /// lifetimes of all addresses together, and after each look, for whichever address's sake, not again for one second.)
    /// It is at most one day, so that no arithmetic of the kernel can wrap.
    ///
    /// After ``CommandFailure/Kind/timedOut`` the address may or may not be there, and where the kernel itself kept the
    /// child waiting (its lock on the network configuration, which no signal interrupts) its lifetime may end later:
    /// call again, or remove it.
    ///
    /// The node's own connections never come from it, or they would break when it moves. IPv6 addresses are usable at once
    /// (`nodad`) and have a preferred lifetime of 0 (RFC 6724, rule 3). An IPv4 address that stands alone (/32) has the
    /// scope `host`: for a route without a source of its own the kernel takes the first address whose scope is wide
    /// enough. (One that stands with a subnet is the only address that the node has there.)
    public func assign(_ virtual: VirtualAddress, until: Int64) async -> Result<AssignOutcome, CommandFailure> {
        let now = BootClock.microseconds
        let until = until - (self.pace.actsWithin - Pace.usual.actsWithin)
        guard let seconds = Self.lifetime(until: until, now: now) else { return .failure(CommandFailure(.tooLate)) }
        // One idempotent command: `replace` adds what is absent and changes what is present, with no error in between.
        let replace = ["addr", "replace", "\(virtual.address)", "dev", virtual.interface]
        let isIPv6 = virtual.address.address.isIPv6
        let lifetime = ["valid_lft", "\(seconds)", "preferred_lft", isIPv6 ? "0" : "\(seconds)"]
        let isAlone = !isIPv6 && virtual.address.prefixLength == 32
        let properties = isIPv6 ? ["nodad"] : isAlone ? ["scope", "host"] : []
        let outcome = await self.change(replace + lifetime + properties, at: now)
        if case .failure(let failure) = outcome { return .failure(failure) }
        let finished = BootClock.microseconds
        // Later than the guard allows: the kernel may have held the child in a wait that no signal ends.
        guard finished - now <= self.pace.actsWithin else { return .failure(CommandFailure(.timedOut)) }
        return .success(AssignOutcome(seconds: seconds, endsBy: finished + seconds * 1_000_000))
    }

    /// All interfaces and addresses of the kernel, as they are now.
    public func list() async throws(CommandFailure) -> KernelAddresses {
        let command = self.command + ["-json", "address", "show"]
        let outcome: ChildProcess.Outcome
        do throws(ChildProcessError) {
            outcome = try await ChildProcess(
                command, kind: .address, timeout: self.listTimeout, outputLimit: Self.listOutputLimit
            ).run()
        } catch {
            throw CommandFailure(error)
        }
        if let failure = CommandFailure(outcome, command: command) { throw failure }
        guard let addresses = KernelAddresses(json: outcome.output) else {
            throw CommandFailure(.unreadable, command: command, output: outcome.output)
        }
        return addresses
    }

    /// The whole seconds from `now` to `until`, both in microseconds; nil when there is not one.
    nonisolated static func lifetime(until: Int64, now: Int64) -> Int64? {
        guard until > now else { return nil }
        let seconds = until.subtractingReportingOverflow(now).partialValue / 1_000_000
        return seconds < 1 ? nil : min(seconds, 86_400)
    }

    /// Half of the time to begin in, half to act in.
    nonisolated static func timeGuard(from start: Int64, _ pace: Pace = .usual) -> ChildProcess.Guard {
        ChildProcess.Guard(beginBy: start + pace.actsWithin / 2, aliveFor: .microseconds(pace.actsWithin / 2))
    }

    /// Runs a change that was reckoned at `start`; answers what it printed.
    func change(_ arguments: [String], at start: Int64) async -> Result<[UInt8], CommandFailure> {
        let command = self.command + arguments
        let child = ChildProcess(
            command,
            kind: .address,
            timeout: self.changeTimeout ?? .microseconds(self.pace.actsWithin),
            outputLimit: Self.changeOutputLimit,
            notAfter: Self.timeGuard(from: start, self.pace)
        )
        do throws(ChildProcessError) {
            let outcome = try await child.run()
            if let failure = CommandFailure(outcome, command: command) { return .failure(failure) }
            return .success(outcome.output)
        } catch {
            return .failure(CommandFailure(error))
        }
    }
}
