// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import HTTPClient
import LenientJSON
import Settings

struct Cluster: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the whole cluster in one table, from any node: problems first, and what to do under each.",
        discussion: """
            Exit status: 0 in order, 1 a warning, 2 something critical, 3 not known: the daemon does not answer, or has not read \
            the groups. With --check it prints one line, as monitoring plugins do.
            """)
    @Flag(help: "Print the daemon's answer as JSON.") var json = false
    @Flag(help: "Print one line with figures, for Nagios, Icinga and their like.") var check = false
    @OptionGroup var daemon: SocketOption

    func validate() throws {
        guard !(self.json && self.check) else { throw ValidationError("either --json or --check") }
    }

    func run() throws {
        let (socket, instance) = (self.daemon.path, self.daemon.instance)
        let (isJSON, isCheck) = (self.json, self.check)
        let code = runOnLoop {
            guard let (body, cluster) = await ShowStatus.answer(socket, instance.unit, path: "/cluster") else {
                if isCheck { print("PHAROS UNKNOWN - the daemon does not answer") }
                return ClusterText.unknown
            }
            let text = ClusterText(cluster)
            print(isJSON ? body : isCheck ? text.check + "\n" : instance.addressed(text.text), terminator: "")
            return text.exitStatus
        }
        guard code == .success else { throw code }
    }
}

struct Crosscheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show who reaches whom: what each daemon holds of each member.",
        discussion: """
            Made of what the daemons publish in etcd. Exit status: 0 everybody is reached by everybody who asks, 1 somebody is \
            not, 3 not known: the daemon does not answer, or has not read the groups.
            """)
    @OptionGroup var daemon: SocketOption

    func run() throws {
        let (socket, instance) = (self.daemon.path, self.daemon.instance)
        let code = runOnLoop {
            guard let (_, cluster) = await ShowStatus.answer(socket, instance.unit, path: "/cluster") else {
                return ClusterText.unknown
            }
            let text = CrosscheckText(cluster)
            print(instance.addressed(text.text), terminator: "")
            return text.exitStatus
        }
        guard code == .success else { throw code }
    }
}
