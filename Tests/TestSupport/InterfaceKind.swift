// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// A kind of interface that a node may have its addresses on, and how to make one of it out of `eth0`.
public enum InterfaceKind: String, CaseIterable, Sendable {
    /// One end of a pair, whose other end is elsewhere.
    case veth
    case bridge
    /// `ip` prints it as NAME@PARENT.
    case macvlan
    /// So are the ends of a pair in one namespace.
    case pair
    case withoutCarrier
    /// Longer than a name may be.
    case alternativeName
    // What follows not every kernel has.
    /// NAME@PARENT too, with a dot in its name.
    case vlan
    /// Two interfaces, of which one works at a time.
    case bond
    case vlanOnBond
    /// An interface whose routes are in a table of their own.
    case vrf
    /// It has its parent's link address.
    case ipvlan

    /// Kinds that every kernel has on which tests run.
    public static let usual: [InterfaceKind] = [.veth, .bridge, .macvlan, .pair, .withoutCarrier, .alternativeName]

    /// What the configuration says.
    public var interface: String {
        switch self {
        case .veth, .vrf: "eth0"
        case .withoutCarrier: "eth1"
        case .bridge: "br0"
        case .macvlan: "mac0"
        case .pair: "left0"
        case .alternativeName: "enp19s0f0np0v123clients"
        case .vlan: "eth0.100"
        case .bond: "bond0"
        case .vlanOnBond: "bond0.100"
        case .ipvlan: "ipvl0"
        }
    }

    /// The kernel's own name of it.
    public var device: String { self == .alternativeName ? "eth0" : self.interface }

    /// What `ip route` has to be told to look where the interface's routes are.
    public var table: [String] { self == .vrf ? ["vrf", Self.vrfName] : [] }
    /// The name of its VRF.
    public static let vrfName = "blue"

    /// Makes the interface; a bond of which `eth1` works first.
    @EventLoop public func make(in node: TestNamespace) async throws {
        switch self {
        case .veth: break
        case .bridge:
            try await node.ip("link", "add", "br0", "type", "bridge")
            try await node.ip("link", "set", "eth0", "master", "br0")
            try await node.ip("link", "set", "br0", "up")
        case .macvlan:
            try await node.ip("link", "add", "link", "eth0", "name", "mac0", "type", "macvlan", "mode", "bridge")
            try await node.ip("link", "set", "mac0", "up")
        case .pair:
            try await node.ip("link", "add", "left0", "type", "veth", "peer", "name", "right0")
            for name in ["left0", "right0"] { try await node.ip("link", "set", name, "up") }
        case .withoutCarrier:
            let port = try await TestNetwork.attach(node, as: "eth1")
            try await node.hub.ip("link", "set", port, "down")
            try await waitUntil {
                try await node.ip("-o", "link", "show", "dev", "eth1").contains("NO-CARRIER")
            }
        case .alternativeName:
            try await node.ip("link", "property", "add", "dev", "eth0", "altname", self.interface)
        case .vlan: try await Self.makeVLAN(on: "eth0", in: node)
        case .bond: _ = try await Self.makeBond(in: node)
        case .vlanOnBond:
            _ = try await Self.makeBond(in: node)
            try await Self.makeVLAN(on: "bond0", in: node)
        case .vrf:
            try await node.ip("link", "add", Self.vrfName, "type", "vrf", "table", "10")
            try await node.ip("link", "set", Self.vrfName, "up")
            try await node.ip("link", "set", "eth0", "master", Self.vrfName)
        case .ipvlan:
            try await node.ip("link", "add", "link", "eth0", "name", "ipvl0", "type", "ipvlan", "mode", "l2")
            try await node.ip("link", "set", "ipvl0", "up")
        }
    }

    /// The interface of VLAN 100 on another; answers its name.
    @EventLoop @discardableResult
    public static func makeVLAN(on parent: String, in node: TestNamespace) async throws -> String {
        let name = "\(parent).100"
        try await node.ip("link", "add", "link", parent, "name", name, "type", "vlan", "id", "100")
        try await node.ip("link", "set", name, "up")
        return name
    }

    /// `bond0`, active-backup, of `eth0` and a new `eth1`, which works first. Answers the hub's port that leads to `eth1`.
    /// - Parameter options: of the bond, behind its type.
    @EventLoop
    public static func makeBond(_ options: [String] = [], in node: TestNamespace) async throws -> String {
        let mode = ["mode", "active-backup", "miimon", "50"]
        try await node.ip(["link", "add", "bond0", "type", "bond"] + mode + options)
        let port = try await TestNetwork.attach(node, as: "eth1")
        for name in ["eth1", "eth0"] {
            try await node.ip("link", "set", name, "down")
            try await node.ip("link", "set", name, "master", "bond0")
        }
        try await node.ip("link", "set", "bond0", "up")
        try await waitUntil { try await self.working(in: node) == "eth1" }
        return port
    }

    /// The interface of `bond0` that works.
    @EventLoop
    public static func working(in node: TestNamespace) async throws -> String? {
        let words = try await node.ip("-d", "-o", "link", "show", "dev", "bond0").split(separator: " ")
        return words.firstIndex(of: "active_slave").map { String(words[$0 + 1]) }
    }

    // MARK: - Whether it can be made

    /// Whether this kernel has it: one is made, to see.
    @EventLoop public var isHere: Bool {
        get async throws {
            var isHere = true
            try await TestNetwork.with(nodes: 1) { nodes in
                do {
                    try await self.make(in: nodes[0])
                } catch let error as TestSupportError where Self.isUnknown(error) {
                    isHere = false
                }
            }
            return isHere
        }
    }

    /// Whether `ip` says that the kernel does not know what it was asked for. Any other failure is a test's to tell.
    private static func isUnknown(_ error: TestSupportError) -> Bool {
        ["Unknown device type", "Operation not supported"].contains { "\(error)".contains($0) }
    }
}
