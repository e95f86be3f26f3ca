// SPDX-License-Identifier: Apache-2.0
import Decision
import EventLoop
import Journal
import KernelPlaces
import NetworkAddress
import Settings
import VirtualAddress

/// The core's actions on this node's kernel, each answered by one event; and what the kernel does by itself.
@EventLoop
final class KernelLink {
    private var keeper: AddressKeeper?
    private var monitor: AddressMonitor?
    private var announcer: Announcer?
    private let deliver: @EventLoop (Event) -> Void
    private let report: @EventLoop (LogRecord) -> Void
    /// The configured addresses by their canonical text, retired ones included until they are gone.
    private(set) var addresses: [AddressID: IPAddress] = [:]
    /// The interfaces that the configuration names, which may be alternative names.
    private var interfaces: [AddressID: String] = [:]
    /// How often in a row each was not announced, because it was not known whether it is here.
    private var unannounced: [AddressID: Int] = [:]
    /// All announcements of the first second.
    private static let unannouncedPatience = 4
    /// Why each could not be announced: what lasts, as on an interface that is no Ethernet, is told with growing pauses.
    private var announceFailures: [AddressID: Retelling<AnnouncementError>] = [:]
    /// Interfaces that were seen without their carrier.
    private var severed: Set<String> = []
    /// When it was last told that changes may have been missed, and why, in microseconds since boot.
    private var told: [MonitorEvent.Loss.Kind: Int64] = [:]

    init(
        ipPath: String, deliver: @escaping @EventLoop (Event) -> Void, report: @escaping @EventLoop (LogRecord) -> Void
    ) {
        self.deliver = deliver
        self.report = report
        self.keeper = AddressKeeper(ipPath: ipPath) { [weak self] place in self?.warn(place) }
        self.monitor = AddressMonitor { [weak self] events in self?.receive(events) }
        self.announcer = Announcer { [weak self] report in self?.receive(report) }
    }

    func start() { self.monitor?.start() }

    func stop() {
        self.announcer?.stopAll()
        self.monitor?.stop()
    }

    /// Which addresses are looked for from now on, besides those of before.
    func follow(_ settings: Settings) {
        for address in settings.addresses {
            let id = address.prefix.address.description
            self.addresses[id] = address.prefix.address
            self.interfaces[id] = address.interface
        }
        self.keeper?.follow(Set(self.addresses.values))
        self.announcer?.follow(Set(self.addresses.values))
    }

    /// These addresses were held by an earlier process, or may have been: what is left of them is not the node's own.
    func forget(_ ids: [AddressID]) { self.keeper?.forget(Set(ids.compactMap { IPAddress($0) })) }

    /// Forgets those that the core has dropped.
    func keep(_ ids: some Sequence<AddressID>) {
        let ids = Set(ids)
        self.addresses = self.addresses.filter { ids.contains($0.key) }
        self.interfaces = self.interfaces.filter { ids.contains($0.key) }
        self.announceFailures = self.announceFailures.filter { ids.contains($0.key) }
        self.keeper?.follow(Set(self.addresses.values))
        self.announcer?.follow(Set(self.addresses.values))
    }

    // MARK: - Actions

    func inspect(since: Instant) async -> Event {
        guard let keeper = self.keeper else { return .inspectionFailed(reason: "stopped") }
        do throws(CommandFailure) {
            let kernel = try await keeper.list()
            for interface in kernel.interfaces { self.note(interface.name, hasCarrier: interface.isLowerUp) }
            // A place that is not listed would count as given back.
            if let doubt = kernel.doubt { return .inspectionFailed(reason: doubt) }
            var found: [KernelState.Found] = []
            for (id, address) in self.addresses.sorted(by: { $0.key < $1.key }) {
                found += kernel.places(of: address).map { self.found($0, of: id) }
            }
            let up = kernel.interfaces.filter(\.isUp).flatMap(\.names)
            let down = kernel.interfaces.filter { !$0.isUp }.flatMap(\.names)
            let severed = kernel.interfaces.filter { $0.isUp && !$0.isLowerUp }.flatMap(\.names)
            return .inspected(
                KernelState(
                    found: found, usableInterfaces: Set(up), downInterfaces: Set(down),
                    severedInterfaces: Set(severed)), since: since)
        } catch {
            return .inspectionFailed(reason: error.description)
        }
    }

    func assign(_ spec: AddressSpec, until: Instant) async -> Event {
        guard let address = self.virtualAddress(spec.id, spec.place), let keeper = self.keeper else {
            return .assignFailed(spec.id, reason: "not an address: \(spec.id)")
        }
        switch await keeper.assign(address, until: until.microseconds) {
        case .success:
            // Never beyond the right, whatever the core has been told by then.
            self.announcer?.allow(self.announced(address), until: until.microseconds)
            return .assigned(spec.id)
        case .failure(let failure): return .assignFailed(spec.id, reason: failure.description)
        }
    }

    func remove(_ id: AddressID, _ place: KernelPlace) async -> Event {
        await self.remove(id, place) { await $0.remove($1) }
    }

    func removeStray(_ id: AddressID, _ place: KernelPlace) async -> Event {
        await self.remove(id, place) { await $0.removeStray($1) }
    }

    private func remove(
        _ id: AddressID, _ place: KernelPlace,
        by command: @EventLoop (AddressKeeper, VirtualAddress) async -> Result<RemovalOutcome, CommandFailure>
    ) async -> Event {
        guard let address = self.virtualAddress(id, place), let keeper = self.keeper else {
            return .removeFailed(id, place, reason: "not an address: \(id)")
        }
        switch await command(keeper, address) {
        case .success(let outcome): return .removed(id, place, wasPresent: outcome == .removed)
        case .failure(let failure): return .removeFailed(id, place, reason: failure.description)
        }
    }

    func startAnnouncing(_ spec: AddressSpec) {
        if let address = self.virtualAddress(spec.id, spec.place) { self.announcer?.start(self.announced(address)) }
    }

    func stopAnnouncing(_ spec: AddressSpec) {
        if let address = self.virtualAddress(spec.id, spec.place) { self.announcer?.stop(self.announced(address)) }
    }

    /// The kernel's own name of an interface that may be configured by another one.
    func ownName(of interface: String) -> String { self.keeper?.interface(interface) ?? interface }

    /// The VRF that an interface is in.
    func vrf(of interface: String) -> String? { self.keeper?.vrf(of: interface) }

    /// As the announcer knows it: sockets know interfaces by the kernel's own names only.
    private func announced(_ address: VirtualAddress) -> VirtualAddress {
        VirtualAddress(address: address.address, interface: self.ownName(of: address.interface))
    }

    private func virtualAddress(_ id: AddressID, _ place: KernelPlace) -> VirtualAddress? {
        guard let address = self.addresses[id],
            let prefix = AddressPrefix(address: address, prefixLength: place.prefixLength)
        else { return nil }
        return VirtualAddress(address: prefix, interface: place.interface)
    }

    /// As the core knows it: an interface that the configuration calls by an alternative name has that one.
    private func place(_ address: VirtualAddress, of id: AddressID) -> KernelPlace {
        var interface = address.interface
        if let configured = self.interfaces[id], self.keeper?.interface(configured) == interface {
            interface = configured
        }
        return KernelPlace(interface: interface, prefixLength: address.address.prefixLength)
    }

    // MARK: - What the kernel does by itself

    /// However many changes ask for a listing, the core hears of it once.
    func receive(_ events: [MonitorEvent]) {
        var mustLook = false
        for event in events {
            switch event {
            case .appeared(let address):
                if let id = self.ours(address.place) {
                    self.deliver(.kernelSaw(self.found(address, of: id)))
                } else if self.keeper?.saw(address.place) == true {
                    mustLook = true
                }
            case .disappeared(let place):
                self.keeper?.lost(place)
                if let id = self.ours(place) {
                    self.deliver(.kernelLost(id, self.place(place, of: id)))
                } else if self.keeper?.saw(place) == true {
                    mustLook = true
                }
            case .linkChanged(let name, let hasCarrier):
                self.note(name, hasCarrier: hasCarrier)
                mustLook = true
            case .unclear: mustLook = true
            case .missed(let loss):
                self.tell(loss)
                mustLook = true
            }
        }
        if mustLook { self.deliver(.kernelChanged) }
    }

    /// Each kind when it begins, and once an hour while it lasts.
    private func tell(_ loss: MonitorEvent.Loss) {
        let now = BootClock.microseconds
        if let last = self.told[loss.kind], now - last < 3_600_000_000 { return }
        self.told[loss.kind] = now
        self.report(
            LogRecord(
                .monitorInterrupted, "changes of this node's addresses may have been missed: \(loss)",
                ["REASON": loss.description]))
    }

    /// Which address of ours it is.
    private func ours(_ place: VirtualAddress) -> AddressID? {
        let id = place.address.address.description
        return self.addresses[id] == nil ? nil : id
    }

    private func found(_ address: KernelAddress, of id: AddressID) -> KernelState.Found {
        KernelState.Found(
            address: id, place: self.place(address.place, of: id), lifetime: address.lifetime.duration,
            isDuplicate: address.isDuplicate)
    }

    /// An interface's carrier, whoever told of it.
    private func note(_ interface: String, hasCarrier: Bool) {
        if !hasCarrier {
            // Only those on which an address of ours can stand, so that their number is bounded.
            if !self.configuredNames(of: interface).isEmpty { self.severed.insert(interface) }
        } else if self.severed.remove(interface) != nil {
            // Whatever was in the way there may have gone.
            self.announceFailures = [:]
            for name in self.configuredNames(of: interface) { self.deliver(.linkReturned(interface: name)) }
        }
    }

    private func configuredNames(of interface: String) -> Set<String> {
        Set(self.interfaces.values.filter { (self.keeper?.interface($0) ?? $0) == interface })
    }

    private func warn(_ place: VirtualAddress) {
        let id = place.address.address.description
        self.report(
            LogRecord(
                .ownAddressAtRisk,
                "\(place.address) came first of its subnet on \(place.interface): when it is taken off, the kernel takes the node's own addresses of that subnet and their route along, unless you type: sysctl -w net.ipv4.conf.all.promote_secondaries=1",
                ["ADDRESS": id, "INTERFACE": place.interface]))
    }

    /// Told where it lasts: a first message may come a moment after the address.
    private func noteUnannounced(_ address: VirtualAddress) {
        let id = address.address.address.description
        let count = (self.unannounced[id] ?? 0) + 1
        self.unannounced[id] = count
        guard count == Self.unannouncedPatience else { return }
        let reason =
            "too many changes of the kernel's, some of which were lost: whether the address is here is not known"
        self.report(
            LogRecord(
                .announceFailed,
                "\(id) could not be announced on \(address.interface): \(reason). It will be when its lifetime is renewed",
                ["ADDRESS": id, "INTERFACE": address.interface, "REASON": reason]))
    }

    private func receive(_ report: Announcer.Report) {
        switch report {
        case .failed(let address, let error):
            let id = address.address.address.description
            guard self.announceFailures[id, default: Retelling()].tells(error, at: .now) else { return }
            self.report(
                LogRecord(
                    .announceFailed, "\(id) could not be announced on \(address.interface): \(error)",
                    ["ADDRESS": id, "INTERFACE": address.interface, "REASON": error.description]))
        case .duplicate(let address, let linkAddress):
            self.deliver(.duplicateSeen(address.address.address.description, linkAddress: linkAddress.description))
        case .withheld(let address, .unknown): self.noteUnannounced(address)
        case .announced(let address, _, _):
            self.unannounced[address.address.address.description] = nil
            self.announceFailures[address.address.address.description] = nil
        // Where the address has gone, and why, is the core's to say.
        case .withheld(_, .absent), .withheld(_, .rightEnded): break
        }
    }
}

extension AddressLifetime {
    /// Nil: it never ends.
    fileprivate var duration: Duration? {
        switch self {
        case .forever: nil
        case .seconds(let seconds): .seconds(seconds)
        }
    }
}

extension NetworkInterface {
    /// Every name that a configuration may use for it.
    fileprivate var names: [String] { [self.name] + self.alternativeNames }
}
