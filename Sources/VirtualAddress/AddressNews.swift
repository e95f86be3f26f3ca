// SPDX-License-Identifier: Apache-2.0
import KernelPlaces
import RouteNetlink

/// What the kernel's messages mean, one after another: a value, which asks for a name where no message told it.
///
/// Messages about addresses have the interface's number only. Its name comes from the last message about the interface,
/// so that each is told as it was when it was sent, through renamings and where an interface of that name was made anew.
package struct AddressNews {
    /// Names by number. When there are more, they are asked for again.
    package nonisolated static let limit = 1024
    private var names: [Int32: String] = [:]

    /// Messages were lost, and perhaps one about a name.
    mutating func lost(_ kind: MonitorEvent.Loss.Kind, _ detail: String = "") -> MonitorEvent {
        self.names = [:]
        return .missed(MonitorEvent.Loss(kind, detail))
    }

    /// What the message tells; nil: nothing.
    /// - Parameter ask: the kernel's present name of an interface, nil where there is none.
    mutating func learn(_ message: RouteMessage, ask: (Int32) -> String?) -> MonitorEvent? {
        switch message {
        case .link(let link):
            self.keep(link.name, of: link.index)
            return .linkChanged(name: link.name, hasCarrier: link.hasCarrier)
        case .linkRemoved(let index):
            self.names[index] = nil
            return .unclear
        case .address(let address):
            guard let place = self.place(address.place, ask) else { return .unclear }
            return .appeared(
                KernelAddress(
                    place: place, lifetime: address.seconds.map { .seconds(Int($0)) } ?? .forever,
                    isTentative: address.isTentative, isDuplicate: address.isDuplicate,
                    isSecondary: address.isSecondary))
        case .addressRemoved(let place): return self.place(place, ask).map { .disappeared($0) } ?? .unclear
        case .malformed(let what): return self.lost(.unreadable, what)
        case .answered: return nil
        }
    }

    private mutating func place(_ place: RoutePlace, _ ask: (Int32) -> String?) -> VirtualAddress? {
        guard let name = self.names[place.interface] ?? ask(place.interface) else { return nil }
        self.keep(name, of: place.interface)
        return VirtualAddress(address: place.address, interface: name)
    }

    private mutating func keep(_ name: String, of index: Int32) {
        if self.names.count >= Self.limit, self.names[index] == nil { self.names = [:] }
        self.names[index] = name
    }
}
