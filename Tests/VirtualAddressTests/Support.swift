// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import KernelPlaces
import NetworkAddress
import TestSupport
import Testing

@testable import VirtualAddress

extension TestNamespace {
    /// The daemon's own commands acting here; a slow machine may take its time for a listing.
    var commands: AddressCommands {
        var commands = AddressCommands(command: self.command)
        commands.listTimeout = .seconds(60)
        return commands
    }
}

/// A change has 250 ms to begin and 250 ms to act, which a machine that is busy with other tests' namespaces may not give.
/// Then its outcome is unknown, and it is tried again, as the daemon does. Lifetimes in microseconds.
extension AddressCommands {
    func insist(on place: VirtualAddress, for lifetime: Int64) async -> Result<AssignOutcome, CommandFailure> {
        await self.insist { await self.assign(place, until: BootClock.microseconds + lifetime) }
    }

    func insistOnRemoving(_ place: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        await self.insist { await self.remove(place) }
    }

    func insistOnRemovingExactly(_ place: VirtualAddress) async -> Result<RemovalOutcome, CommandFailure> {
        await self.insist { await self.removeExactly(place) }
    }

    private func insist<Value>(
        _ change: @EventLoop () async -> Result<Value, CommandFailure>
    ) async -> Result<Value, CommandFailure> {
        for _ in 0..<20 {
            let outcome = await change()
            guard case .failure(let failure) = outcome, failure.kind == .timedOut else { return outcome }
        }
        return await change()
    }
}

/// The same, for at most half a minute: who enters a namespace waits in the kernel, on a busy machine for seconds.
@EventLoop
func eventually(_ condition: @EventLoop () async throws -> Bool) async throws -> Bool {
    try await eventually(within: .seconds(30), condition)
}

/// What callbacks reported, to be awaited.
@EventLoop
final class Recorder<Value: Sendable & Equatable> {
    private(set) var values: [Value] = []
    func record(_ value: Value) { self.values.append(value) }
    func record(_ values: [Value]) { self.values += values }

    /// Waits until a recorded value fulfils `condition`; answers it.
    func first(within limit: Duration = .seconds(30), where condition: (Value) -> Bool) async throws -> Value? {
        _ = try await eventually(within: limit) { self.values.contains(where: condition) }
        return self.values.first(where: condition)
    }
    func contains(_ value: Value, within limit: Duration = .seconds(30)) async throws -> Bool {
        try await self.first(within: limit) { $0 == value } != nil
    }
    func removeAll() { self.values = [] }
}

func virtual(_ text: String, on interface: String = "eth0") throws -> VirtualAddress {
    VirtualAddress(address: try #require(AddressPrefix(text)), interface: interface)
}

extension LinkAddress {
    /// From pairs of hexadecimal digits with colons between, as `ip` prints them.
    init?(_ text: String) { self.init(bytes: text.split(separator: ":").compactMap { UInt8($0, radix: 16) }) }
}

/// What stands on each interface of this thread's network namespace, as the kernel says when it is asked. (It is asked under its
/// lock on the network configuration, which the daemon's loop must not wait for.)
func presentAddresses() -> [String: Set<IPAddress>] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [:] }
    defer { freeifaddrs(list) }
    var found: [String: Set<IPAddress>] = [:]
    var next = list
    while let entry = next?.pointee {
        next = entry.ifa_next
        guard let name = entry.ifa_name, let raw = entry.ifa_addr else { continue }
        let bytes: [UInt8]
        switch Int32(raw.pointee.sa_family) {
        case AF_INET:
            let value = raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr }
            bytes = withUnsafeBytes(of: value) { Array($0) }
        case AF_INET6:
            let value = raw.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { $0.pointee.sin6_addr }
            bytes = withUnsafeBytes(of: value) { Array($0) }
        default: continue
        }
        // An IPv4 address is listed under its label: the interface's name, if need be with a colon and more.
        let interface = String(cString: name).prefix { $0 != ":" }
        if let address = IPAddress(bytes: bytes) { found[String(interface), default: []].insert(address) }
    }
    return found
}
