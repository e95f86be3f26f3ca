// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// Debian packages on the nodes, from a repository that lies on each node's own disk.
extension Lab {
    /// Where the repository lies on a node.
    private static let repository = "/srv/packages"

    /// Copies the repository in `folder` (packages, and the index `Packages` of them) onto a node, as its only one, and has
    /// APT read it. The nodes have no way to any other.
    @EventLoop
    public func offerPackages(from folder: String, to node: String) async throws(LabError) {
        try self.check(node)
        let root = LabLayout.root(node)
        try await Host.run(["rm", "-rf", "\(root)/etc/apt/sources.list.d", "\(root)\(Self.repository)"])
        try await Host.run(["cp", "-R", folder, "\(root)\(Self.repository)"], timeout: .seconds(60))
        // Without a signature: what is on the node's own disk needs none.
        try Host.write("\(root)/etc/apt/sources.list", "deb [trusted=yes] file:\(Self.repository) ./\n")
        try await self.run(node, ["apt-get", "-q", "update"])
    }

    /// What the node may install of a package, the newest version first.
    @EventLoop
    public func versions(of package: String, on node: String) async throws(LabError) -> [String] {
        // pharos | 0.1.0-1 | file:/srv/packages ./ Packages
        try await self.run(node, ["apt-cache", "madison", package]).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: "|")
            return fields.count > 1 ? String(fields[1].filter { $0 != " " }) : nil
        }
    }

    /// Runs apt-get on a node, which asks nobody; answers what it printed.
    @EventLoop @discardableResult
    public func apt(_ node: String, _ arguments: String...) async throws(LabError) -> String {
        let command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "--no-install-recommends"]
        return try await self.run(node, command + arguments, timeout: .seconds(120))
    }
}
