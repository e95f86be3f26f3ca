// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Decision
import EventLoop
import Journal
import KernelPlaces
import NetworkAddress
import Settings
import Shell
import VirtualAddress

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config", abstract: "Check the configuration; show every setting in effect and its source.")
    @OptionGroup var file: ConfigurationOption

    func run() throws {
        let eyes = DaemonEyes(of: self.file.path)
        let (result, notes) = eyes.load(self.file.path)
        switch result {
        case .success(let settings):
            for setting in settings.provenance { print(setting.description) }
            for warning in settings.warnings + settings.unseenEnvironment() { complain(warning.description) }
            for warning in eyes.warnings(settings) + notes { complain(warning) }
            try Self.compare(settings, self.file)
            let code = runOnLoop {
                await Self.lookAtEtcd(settings)
                let status = await Self.warnOfInterfaces(settings)
                await Self.forecastRows(settings)
                return status
            }
            guard code == .success else { throw code }
        case .failure(let error):
            complain(error.description)
            for note in notes { complain(note) }
            throw ExitStatus.configuration
        }
    }

    /// Other daemons of this host must not share what each has for itself.
    private static func compare(_ settings: Settings, _ file: ConfigurationOption) throws {
        let path = file.path
        let conflicts = ClusterConflicts(settings, path: path, isTrial: file.config != nil)
        for warning in conflicts.warnings { complain("warning: \(warning)") }
        for error in conflicts.errors { complain("\(path): \(error)") }
        guard conflicts.errors.isEmpty else { throw ExitStatus.configuration }
    }

    /// What would change in `pg_dist_node`, before it does. That it cannot be looked at is no fault of the configuration's.
    @EventLoop
    private static func forecastRows(_ settings: Settings) async {
        guard settings.citus != nil else { return }
        if let problem = DaemonUser.become() { return complain("warning: pg_dist_node was not looked at: \(problem)") }
        guard let verifier = ClusterVerifier(settings) else { return }
        for facts in await verifier.gather(isDeep: false, isAfterRestore: false) {
            for line in RowForecastText(facts).lines { print(LogRecord.escaped(line)) }
        }
    }

    /// Which endpoints the daemon would learn, and what keeps it from that.
    @EventLoop
    private static func lookAtEtcd(_ settings: Settings) async {
        let review = await EtcdReview(settings)
        if !review.discovered.isEmpty {
            print("etcd.discovered = \(review.discovered.joined(separator: ", "))  (DNS, asked now)")
        }
        if !review.learned.isEmpty {
            print("etcd.learned = \(review.learned.joined(separator: ", "))  (etcd, asked now)")
        }
        for warning in review.warnings { complain("warning: \(warning)") }
    }

    /// The daemon waits for an interface that does not exist yet; whoever checks the file wants to know.
    @EventLoop
    private static func warnOfInterfaces(_ settings: Settings) async -> Int32 {
        guard let ip = AddressCommands.findIP() else {
            complain("warning: there is no ip program: install iproute2")
            return 0
        }
        do throws(CommandFailure) {
            let kernel = try await AddressCommands(ipPath: ip).list()
            for address in settings.addresses {
                guard let doubt = Self.doubt(address.interface, in: kernel.interfaces) else { continue }
                complain("warning: \(address.prefix): \(doubt)")
            }
        } catch {
            complain("warning: the interfaces could not be listed: \(error)")
        }
        return 0
    }

    /// Nil where the node has an interface that is called so, and nothing against it.
    static func doubt(_ name: String, in interfaces: [NetworkInterface]) -> String? {
        func has(_ name: String) -> Bool { interfaces.contains { ([$0.name] + $0.alternativeNames).contains(name) } }
        if let interface = interfaces.first(where: { ([$0.name] + $0.alternativeNames).contains(name) }) {
            if !interface.isUp { return "interface \(name) is down: no address is acquired on it" }
            return interface.isLowerUp ? nil : "interface \(name) has no carrier: nobody would find an address there"
        }
        let names = interfaces.map(\.name).joined(separator: ", ")
        let own = name.split(separator: "@", maxSplits: 1).first.map(String.init) ?? ""
        let advice = own != name && has(own) ? ". Its name is \(own): ip prints its parent behind an @" : ""
        return "this node has no interface \(name); it has \(names)\(advice)"
    }
}
