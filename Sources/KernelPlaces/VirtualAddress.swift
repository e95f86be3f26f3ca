// SPDX-License-Identifier: Apache-2.0
public import NetworkAddress

/// An address that belongs on one interface of whichever node leads.
///
/// Two values are equal when address, prefix length and interface are: texts are never compared.
public struct VirtualAddress: Hashable, Sendable, CustomStringConvertible {
    public let address: AddressPrefix
    /// The kernel's name of the interface, such as `eth1`.
    public let interface: String

    public init(address: AddressPrefix, interface: String) {
        self.address = address
        self.interface = interface
    }

    public var description: String { "\(self.address) on \(self.interface)" }
}
