// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// The nodes' interfaces, from outside: what nobody inside of a node may or can do.
extension Lab {
    /// Sets one of the kernel's numbers for IPv4 on a node's interface and for all of its interfaces: what is read-only inside
    /// of a node.
    @EventLoop
    public func setInterfaceNumber(_ name: String, _ value: Int, on node: String) async throws(LabError) {
        try self.check(node)
        for interface in ["all", Network.nodeInterface] {
            let path = "/proc/sys/net/ipv4/conf/\(interface)/\(name)"
            try await Network.inNamespace(LabLayout.namespace(node), ["sh", "-c", "echo \(value) >\(path)"])
        }
    }

    /// Gives a node's interface back the addresses that the lab has given it, and no others.
    @EventLoop
    public func resetNetwork(of node: String) async throws(LabError) {
        try self.check(node)
        try await Network.resetAddresses(of: node)
    }
}
