// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import NetworkAddress
import VirtualAddress

/// The core's actions on this node's kernel, each answered by one event; and what the kernel does by itself.
@EventLoop
final class KernelLink {
    private let commands: AddressCommands
    private var monitor: AddressMonitor?
    private var announcer: Announcer?
    private let deliver: @EventLoop (Event) -> Void
    private let report: @EventLoop (LogRecord) -> Void
    /// The configured addresses by their canonical text, retired ones included until they are gone.
    private(set) var addresses: [AddressID: IPAddress] = [:]

    init(
        ipPath: String, deliver: @escaping @EventLoop (Event) -> Void, report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.commands = AddressCommands(ipPath: ipPath)
        self.deliver = deliver
        self.report = report
        self.monitor = AddressMonitor(ipPath: ipPath) { [weak self] event in self?.receive(event) }
        self.announcer = Announcer { [weak self] report in self?.receive(report) }
    }

    func start() { self.monitor?.start() }

    func stop() async {
        self.announcer?.stopAll()
        await self.monitor?.stop()
    }

    /// Which addresses are looked for from now on, besides those of before.
    func follow(_ settings: SupervisorSettings) {
        for address in settings.addresses {
            self.addresses[address.prefix.address.description] = address.prefix.address
        }
    }

    /// Forgets those that the core has dropped.
    func keep(_ ids: some Sequence<AddressID>) {
        let ids = Set(ids)
        self.addresses = self.addresses.filter { ids.contains($0.key) }
    }

    // MARK: - Actions

    func inspect(since: Instant) async -> Event {
        do throws(CommandFailure) {
            let kernel = try await self.commands.list()
            // A place that is not listed would count as given back.
            if let doubt = kernel.doubt { return .inspectionFailed(reason: doubt) }
            var found: [KernelState.Found] = []
            for (id, address) in self.addresses.sorted(by: { $0.key < $1.key }) {
                found += kernel.places(of: address).map {
                    KernelState.Found(address: id, place: Self.place($0.place))
                }
            }
            let up = kernel.interfaces.filter(\.isUp).map(\.name)
            let down = kernel.interfaces.filter { !$0.isUp }.map(\.name)
            return .inspected(
                KernelState(found: found, usableInterfaces: Set(up), downInterfaces: Set(down)), since: since)
        } catch {
            return .inspectionFailed(reason: error.description)
        }
    }

    func assign(_ spec: AddressSpec, until: Instant) async -> Event {
        guard let address = self.virtualAddress(spec.id, spec.place) else {
            return .assignFailed(spec.id, reason: "not an address: \(spec.id)")
        }
        switch await self.commands.assign(address, until: until.microseconds) {
        case .success:
            // Never beyond the right, whatever the core has been told by then.
            self.announcer?.allow(address, until: until.microseconds)
            return .assigned(spec.id)
        case .failure(let failure): return .assignFailed(spec.id, reason: failure.description)
        }
    }

    func remove(_ id: AddressID, _ place: KernelPlace) async -> Event {
        guard let address = self.virtualAddress(id, place) else {
            return .removeFailed(id, place, reason: "not an address: \(id)")
        }
        switch await self.commands.remove(address) {
        case .success(let outcome): return .removed(id, place, wasPresent: outcome == .removed)
        case .failure(let failure): return .removeFailed(id, place, reason: failure.description)
        }
    }

    func startAnnouncing(_ spec: AddressSpec) {
        if let address = self.virtualAddress(spec.id, spec.place) { self.announcer?.start(address) }
    }

    func stopAnnouncing(_ spec: AddressSpec) {
        if let address = self.virtualAddress(spec.id, spec.place) { self.announcer?.stop(address) }
    }

    private func virtualAddress(_ id: AddressID, _ place: KernelPlace) -> VirtualAddress? {
        guard let address = self.addresses[id],
            let prefix = AddressPrefix(address: address, prefixLength: place.prefixLength)
        else { return nil }
        return VirtualAddress(address: prefix, interface: place.interface)
    }

    private static func place(_ address: VirtualAddress) -> KernelPlace {
        KernelPlace(interface: address.interface, prefixLength: address.address.prefixLength)
    }

    // MARK: - What the kernel does by itself

    private func receive(_ event: MonitorEvent) {
        switch event {
        case .appeared(let address): self.saw(address.place, isPresent: true)
        case .disappeared(let address): self.saw(address, isPresent: false)
        case .linkChanged, .linkRemoved, .restarted, .unclear: self.deliver(.kernelChanged)
        case .interrupted(let reason):
            self.report(LogRecord(.monitorInterrupted, "ip monitor was interrupted: \(reason)", ["REASON": reason]))
        }
    }

    private func saw(_ address: VirtualAddress, isPresent: Bool) {
        let id = address.address.address.description
        guard self.addresses[id] != nil else { return }
        self.deliver(.kernelSaw(id, Self.place(address), isPresent: isPresent))
    }

    private func receive(_ report: Announcer.Report) {
        switch report {
        case .failed(let address, let error):
            let id = address.address.address.description
            self.report(
                LogRecord(
                    .announceFailed, "\(id) could not be announced on \(address.interface): \(error)",
                    ["ADDRESS": id, "INTERFACE": address.interface, "REASON": error.description]))
        case .duplicate(let address, let linkAddress):
            self.deliver(.duplicateSeen(address.address.address.description, linkAddress: linkAddress.description))
        // Where the address has gone, and why, is the core's to say.
        case .announced, .withheld: break
        }
    }
}
