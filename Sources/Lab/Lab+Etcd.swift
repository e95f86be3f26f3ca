// SPDX-License-Identifier: Apache-2.0
import EventLoop
import LenientJSON

/// etcd's own leadership.
extension Lab {
    /// Gives etcd's leadership to the member on `node`, if it has not got it.
    ///
    /// For faults that stop or isolate a member for longer than leases run: Debian's etcd 3.4.23, where it led before,
    /// comes back in the belief that it still does and revokes leases that others have kept alive meanwhile (etcd-io/etcd
    /// issue 15247, mended in 3.4.31 and 3.5.13). Patroni's leader key is then lost at any moment after the fault.
    @EventLoop
    public func giveEtcdLeadership(to node: String) async throws(LabError) {
        try self.check(node)
        guard let target = try await self.etcdStatus(node)?["header"]?["member_id"]?.uint64 else {
            throw LabError(.state, "etcd on \(node) does not answer")
        }
        try await self.waitFor("etcd's leadership on \(node)", timeout: .seconds(10)) {
            guard let leader = try await self.etcdStatus(node)?["leader"]?.uint64 else { return false }
            if leader == target { return true }
            for other in self.options.nodes
            where try await self.etcdStatus(other)?["header"]?["member_id"]?.uint64 == leader {
                let url = "http://\(LabLayout.address(other)):2379/v3/maintenance/transfer-leadership"
                _ = try await self.curl(["-d", "{\"targetID\":\"\(target)\"}", url])
            }
            return false
        }
    }

    @EventLoop
    private func etcdStatus(_ node: String) async throws(LabError) -> LenientJSON.JSON? {
        let url = "http://\(LabLayout.address(node)):2379/v3/maintenance/status"
        return try await self.curl(["-d", "{}", url]).flatMap { LenientJSON.JSON.parse($0.utf8) }
    }
}
