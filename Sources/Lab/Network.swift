// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// The lab's network: one bridge in a namespace of its own, a port for every node and one for the client. The host's
/// namespace sees none of it.
///
/// A node's namespace outlives its machine: power-off is played by taking its port off the bridge and flushing its
/// addresses, so that the observer sees one unbroken series of events.
enum Network {
    static let nodeInterface = "eth0"

    @EventLoop
    static func make(_ options: LabOptions) async throws(LabError) {
        try await Host.run(["ip", "netns", "add", LabLayout.switchNamespace])
        // Multicast snooping would delay neighbor discovery until the bridge has learned who listens.
        try await self.ip(
            LabLayout.switchNamespace,
            "link",
            "add",
            LabLayout.bridge,
            "type",
            "bridge",
            "mcast_snooping",
            "0"
        )
        try await self.ip(LabLayout.switchNamespace, "link", "set", LabLayout.bridge, "up")
        try await self.attach("client", LabLayout.clientNumber)
        for node in options.nodes { try await self.attach(node, LabLayout.number(of: node)) }
        for node in options.nodes {
            // The observer lives in the client's namespace and hears of those that have an id there.
            try await self.inNamespace(
                LabLayout.clientNamespace,
                ["ip", "netns", "set", LabLayout.namespace(node), String(LabLayout.namespaceID(node))]
            )
        }
    }

    @EventLoop
    private static func attach(_ name: String, _ number: Int) async throws(LabError) {
        let namespace = LabLayout.namespace(name)
        try await Host.run(["ip", "netns", "add", namespace])
        try await self.ip(
            LabLayout.switchNamespace,
            "link",
            "add",
            LabLayout.port(name),
            "type",
            "veth",
            "peer",
            "name",
            self.nodeInterface,
            "address",
            LabLayout.linkAddress(number),
            "netns",
            namespace
        )
        try await self.ip(
            LabLayout.switchNamespace,
            "link",
            "set",
            LabLayout.port(name),
            "master",
            LabLayout.bridge,
            "up"
        )
        try await self.ip(namespace, "link", "set", "lo", "up")
        try await self.ip(namespace, "link", "set", self.nodeInterface, "up")
        try await self.addAddresses(namespace, number)
    }

    @EventLoop
    private static func addAddresses(_ namespace: String, _ number: Int) async throws(LabError) {
        try await self.ip(namespace, "addr", "replace", "10.77.0.\(number)/24", "dev", self.nodeInterface)
        // Without `nodad` the address could not be bound to for a second or two.
        try await self.ip(namespace, "addr", "replace", "fd77::\(number)/64", "dev", self.nodeInterface, "nodad")
    }

    /// Puts a node's interface back as ``make(_:)`` has made it; a virtual address that stands there alone stays.
    @EventLoop
    static func resetAddresses(of node: String) async throws(LabError) {
        let namespace = LabLayout.namespace(node)
        try await self.ip(namespace, "link", "set", self.nodeInterface, "up")
        // Not the virtual one, whose scope is `host`.
        try await self.ip(namespace, "-4", "addr", "flush", "dev", self.nodeInterface, "scope", "global")
        try await self.addAddresses(namespace, LabLayout.number(of: node))
    }

    /// What power-off does to a node's network: no more packets, no addresses, no packet filter.
    @EventLoop
    static func powerOff(_ node: String) async throws(LabError) {
        try await self.ip(LabLayout.namespace(node), "addr", "flush", "dev", self.nodeInterface)
        try await self.ip(LabLayout.namespace(node), "link", "set", self.nodeInterface, "down")
        try await self.inNamespace(LabLayout.namespace(node), ["nft", "flush", "ruleset"])
    }

    @EventLoop
    static func powerOn(_ node: String) async throws(LabError) {
        try await self.ip(LabLayout.namespace(node), "link", "set", self.nodeInterface, "up")
        try await self.addAddresses(LabLayout.namespace(node), LabLayout.number(of: node))
        try await self.setPlugged(node, true)
    }

    /// Takes a node's port off the bridge, or puts it back. The carrier stays up, as behind a real switch that fails.
    @EventLoop
    static func setPlugged(_ node: String, _ plugged: Bool) async throws(LabError) {
        let how = plugged ? ["master", LabLayout.bridge] : ["nomaster"]
        try await self.ip(LabLayout.switchNamespace, ["link", "set", LabLayout.port(node)] + how)
    }

    /// Removes every namespace that any lab left; the links and addresses go with them.
    @EventLoop
    static func removeAll() async throws(LabError) {
        for name in Host.names(in: "/run/netns") where name.hasPrefix("\(LabLayout.prefix)-") {
            try await Host.run(["ip", "netns", "delete", name])
        }
    }

    /// Runs a program of the host in one of the lab's network namespaces.
    @EventLoop @discardableResult
    static func inNamespace(_ namespace: String, _ command: [String]) async throws(LabError) -> String {
        try await Host.run(["nsenter", "--net=/run/netns/\(namespace)"] + command)
    }

    @EventLoop
    private static func ip(_ namespace: String, _ arguments: String...) async throws(LabError) {
        try await self.ip(namespace, arguments)
    }

    @EventLoop
    private static func ip(_ namespace: String, _ arguments: [String]) async throws(LabError) {
        try await Host.run(["ip", "-n", namespace] + arguments)
    }
}
