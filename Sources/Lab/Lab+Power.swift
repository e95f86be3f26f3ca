// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// Nodes that are switched off and on, on request. Each leaves a mark in the record.
extension Lab {
    /// Power-off without warning: no process ends in order, no packet leaves the node any more.
    @EventLoop
    public func kill(_ node: String) async throws(LabError) {
        try self.check(node)
        try self.mark("power-off of \(node)")
        // The port first: the sockets of dying processes would still say good-bye.
        try await Network.setPlugged(node, false)
        try await Machine(node: node).kill()
        try await Network.powerOff(node)
        // A group that was frozen would otherwise freeze the next boot.
        try ControlGroup(node).remove()
    }

    /// Switches a node on again, with the disk that it had.
    @EventLoop
    public func start(_ node: String) async throws(LabError) {
        try self.check(node)
        guard try Machine(node: node).leader() == nil else { throw LabError(.state, "\(node) is on") }
        try self.mark("power-on of \(node)")
        try await Network.powerOn(node)
        try await Machine(node: node).boot()
    }

    /// Switches a node off as an administrator does: systemd stops every unit in its order. Answers when the machine is off.
    @EventLoop
    public func shutDown(_ node: String) async throws(LabError) {
        try self.check(node)
        try self.mark("shutdown of \(node)")
        // Its own end may be faster than its answer.
        _ = try await self.exec(node, ["systemctl", "poweroff"])
        try await self.waitFor("\(node) to be off", timeout: .seconds(150)) {
            try Machine(node: node).group.processes().isEmpty
        }
        try await Network.setPlugged(node, false)
        try await Network.powerOff(node)
        try ControlGroup(node).remove()
    }
}
