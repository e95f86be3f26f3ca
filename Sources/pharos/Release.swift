// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import EventLoop
import Glibc
import NetworkAddress
import Settings
import VirtualAddress

struct Release: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take every configured address off this node, without the daemon.",
        discussion: "The key in etcd is left to end with its lease. A running daemon would put the address back.")
    @OptionGroup var file: ConfigurationOption
    @Flag(
        name: .customLong("after-stop"),
        help: "For the unit's ExecStopPost: do it only where systemd had to kill the daemon in order to stop it.")
    var afterStop = false

    func run() throws {
        // After a crash the restarted daemon takes its lease over, and the kernel's lifetime covers the rest.
        if self.afterStop, getenv("SERVICE_RESULT").map({ String(cString: $0) }) != "timeout" { return }
        let settings: Settings
        do throws(SettingsError) {
            settings = try Settings.load(path: self.file.path)
        } catch {
            complain(error.description)
            throw ExitStatus.configuration
        }
        guard let ip = AddressCommands.findIP() else {
            complain("pharos: no ip program (package iproute2)")
            throw ExitStatus.unavailable
        }
        let code = runOnLoop {
            await self.release(settings.addresses.map(\.prefix.address), AddressCommands(ipPath: ip))
        }
        guard code == .success else { throw code }
    }

    @EventLoop
    private func release(_ addresses: [IPAddress], _ commands: AddressCommands) async -> Int32 {
        let outcome = await commands.clear(addresses)
        for place in outcome.removed { print("removed \(place)") }
        for problem in outcome.problems { complain("pharos: \(problem)") }
        return outcome.problems.isEmpty ? 0 : 1
    }
}
