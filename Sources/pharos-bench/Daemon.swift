// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed

/// The daemon under test, as a service manager would start it, on one node.
@EventLoop
struct Daemon {
    let node: TestBed.Node
    let program: Program
    /// Of its status.
    let socket: String

    /// The address that all daemons of a scope share.
    nonisolated static let address = "10.97.0.100"

    nonisolated static func leaderKey(_ scope: String) -> String { "/service/\(scope)/leader" }

    /// - Parameter notify: the socket for readiness messages.
    static func start(
        _ bed: TestBed,
        _ node: TestBed.Node,
        scope: String,
        ttl: Int,
        notify: String? = nil
    ) throws(BedError) -> Daemon {
        let file = "\(bed.folder)/\(scope)-\(node.name).yml"
        let folder = "\(bed.folder)/\(scope)-\(node.name)"
        let socket = folder + "/pharos.sock"
        try Files.makeFolder(folder)
        try Files.write(
            file,
            """
            scope: \(scope)
            member: \(node.member)
            etcd: { endpoints: ["\(try bed.parts().etcd.url)"] }
            addresses:
              - { address: \(Self.address)/24, interface: \(TestBed.interface), acquire: leader_key }
            lease: { ttl: \(ttl)s }
            status: { socket: \(socket) }

            """
        )
        let program = try bed.start(
            "pharos \(node.member)",
            [bed.options.daemon, "--config", file],
            on: node == .bench ? nil : node,
            environment: ["RUNTIME_DIRECTORY=\(folder)"] + (notify.map { ["NOTIFY_SOCKET=\($0)"] } ?? [])
        )
        return Daemon(node: node, program: program, socket: socket)
    }

    /// Waits until it holds the address.
    func waitUntilHolding(_ observer: AddressObserver, timeout: Duration = .seconds(60)) async throws(BedError) {
        try await wait(for: "address on \(self.node.member)", timeout: timeout) { () async throws(BedError) in
            try self.program.check()
            return observer.isHeld(Self.address, on: self.node.id)
        }
    }
}
