// SPDX-License-Identifier: Apache-2.0
import EventLoop

extension Lab {
    /// What any lab has left on this host, one thing a line: namespaces, mounts, processes, control groups, files. Empty
    /// after ``down()``.
    public static func remains() throws(LabError) -> [String] {
        let namespaces = Host.names(in: "/run/netns").filter { $0.hasPrefix("\(LabLayout.prefix)-") }
        let mounts = (Host.readText("/proc/self/mounts") ?? "").split(separator: "\n")
            .compactMap { $0.split(separator: " ").dropFirst().first.map(String.init) }
            .filter { $0.hasPrefix("\(LabLayout.runFolder)/") }
        let machines = Host.names(in: "/run/systemd/nspawn/propagate").filter { $0.hasPrefix("\(LabLayout.prefix)-") }
        let folder = Host.exists(LabLayout.runFolder) ? [LabLayout.runFolder] : []
        return namespaces.map { "network namespace \($0)" } + mounts.map { "mount \($0)" }
            + machines.map { "machine \($0)" } + folder.map { "folder \($0)" } + (try ControlGroup.remains())
    }

    /// Runs a program of the host in the client's network namespace, where neither Pharos nor Patroni runs.
    @EventLoop @discardableResult
    public func runAtClient(_ command: [String]) async throws(LabError) -> String {
        try await Network.inNamespace(LabLayout.clientNamespace, command)
    }
}
