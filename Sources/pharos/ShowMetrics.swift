// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import HTTPClient
import LenientJSON
import Metrics
import Settings

struct ShowMetrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Print the figures of this node and of the cluster, for Prometheus.",
        discussion: """
            For the textfile collector of node_exporter, written aside and moved into its place. Where the daemon does not answer \
            it prints pharos_up 0, and nothing else. Exit status: 0.
            """)
    @Flag(name: .customLong("openmetrics"), help: "OpenMetrics 1.0 instead of Prometheus's text format 0.0.4.")
    var isOpenMetrics = false
    @OptionGroup var daemon: SocketOption

    func run() throws {
        let (socket, instance) = (self.daemon.path, self.daemon.instance)
        let format = self.isOpenMetrics ? Exposition.openMetrics : .prometheus
        let code = runOnLoop {
            let status = await Self.ask(socket, "/status")
            let cluster = status == nil ? nil : await Self.ask(socket, "/cluster")
            let families = PharosMetrics.families(status: status, cluster: cluster, instance: instance.name)
            print(format.text(families), terminator: "")
            return 0
        }
        guard code == .success else { throw code }
    }

    @EventLoop
    private static func ask(_ socket: String, _ path: String) async -> JSON? {
        let answer = try? await ShowStatus.ask(socket, path: path)  // pharos_up says that there is none.
        return answer.flatMap { $0.status == 200 ? JSON.parse($0.body) : nil }
    }
}
