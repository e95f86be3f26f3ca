// SPDX-License-Identifier: Apache-2.0
import NetworkAddress
import Settings

/// Reads a keepalived.conf that moves an address beside Patroni: instances of VRRP whose script asks Patroni's REST API.
struct KeepalivedFile {
    private var former: Former
    private var scripts: [String: String] = [:]
    private var problems: [String] = []

    static func read(_ text: String, file: String) throws(MigrationError) -> Former {
        let statements = try KeepalivedSyntax.parse(text, file: file)
        var reader = KeepalivedFile(former: Former(.keepalived, dialect: "keepalived.conf", file: file))
        // A script may stand behind the instance that names it.
        for statement in statements where statement.name == "vrrp_script" { reader.readScript(statement) }
        for statement in statements { reader.read(statement) }
        if reader.former.addresses.isEmpty, reader.problems.isEmpty {
            reader.problems.append(
                "\(file): no vrrp_instance here has an address for the leader; expected 'virtual_ipaddress { ADDRESS/LENGTH }' in one"
            )
        }
        guard reader.problems.isEmpty else { throw MigrationError(reader.problems) }
        return reader.former
    }

    private func place(_ statement: KeepalivedSyntax.Statement) -> String { "\(self.former.file):\(statement.line)" }

    private mutating func lose(_ statement: KeepalivedSyntax.Statement, _ reason: String, in owner: String = "") {
        let name = quoted(statement.name) + owner
        guard !self.former.lost.contains(where: { $0.name == name && $0.text == reason }) else { return }
        self.former.lost.append(.init(name, reason, at: self.place(statement)))
    }

    private mutating func reject(_ statement: KeepalivedSyntax.Statement, _ reason: String) {
        self.former.unknown.append(.init(quoted(statement.name), reason, at: self.place(statement)))
    }

    private mutating func read(_ statement: KeepalivedSyntax.Statement) {
        switch statement.name {
        case "vrrp_script": break
        case "vrrp_instance": self.readInstance(statement)
        case "global_defs": self.lose(statement, KeepalivedName.globalLoss)
        case "vrrp_sync_group": self.lose(statement, KeepalivedName.syncLoss)
        case "virtual_server", "virtual_server_group", "real_server", "static_ipaddress", "static_routes",
            "static_rules":
            self.former.others.append(
                .init(
                    quoted(statement.name), "keepalived goes on with it; Pharos does nothing of the kind",
                    at: self.place(statement)))
        case "include", "include_check":
            self.reject(statement, "not followed: name that file with another --from, if an address is in it")
        default:  // text, not cases of ours
            self.reject(statement, "not known here")
        }
    }

    private mutating func readScript(_ statement: KeepalivedSyntax.Statement) {
        let name = statement.words.dropFirst().first ?? ""
        for line in statement.block ?? [] {
            if line.name == "script" {
                self.scripts[name, default: ""] += line.words.dropFirst().joined(separator: " ") + " "
            } else if !KeepalivedName.isScript(line.name) {
                self.reject(line, "not known here, in vrrp_script \(quoted(name))")
            }
        }
        self.lose(statement, KeepalivedName.scriptLoss)
    }

    private mutating func readInstance(_ statement: KeepalivedSyntax.Statement) {
        let name = quoted(statement.words.dropFirst().first ?? "")
        let lines = statement.block ?? []
        let tracked = lines.filter { $0.name == "track_script" }.flatMap { $0.block ?? [] }
        switch Self.follows(tracked.map { (script: self.scripts[$0.name] ?? "", name: $0.name) }) {
        case .leader: break
        case .unknown:
            self.former.doubts.append(
                .init(
                    "vrrp_instance \(name)",
                    "no script in this file asks Patroni (its track_script names none with /leader, /primary, /master, /read-write or patronictl): "
                        + "is this the address of Patroni's leader? With Pharos it will be", at: self.place(statement)))
        case .standby, .proxy:
            let follows = Self.follows(tracked.map { (script: self.scripts[$0.name] ?? "", name: $0.name) })
            let reason =
                follows == .standby
                ? "it follows a standby (its script asks for /replica); Pharos keeps addresses on the leader's node only"
                : "it follows a proxy or pooler on this node, not Patroni's leader; with Pharos it would change its meaning. If clients shall come to "
                    + "the leader by it, say so: pharos init --address ADDRESS/LENGTH --interface NAME"
            return self.former.others.append(.init("vrrp_instance \(name)", reason, at: self.place(statement)))
        }
        let interface = lines.last { $0.name == "interface" }
        for line in lines {
            switch line.name {
            case "virtual_ipaddress", "virtual_ipaddress_excluded":
                for entry in line.block ?? [] { self.readAddress(entry, interface, of: name) }
            case "interface": break
            case "track_script": self.lose(line, KeepalivedName.scriptLoss)
            default:  // text, not cases of ours
                if let reason = KeepalivedName.loss(ofInstance: line.name) {
                    self.lose(line, reason)
                } else {
                    self.reject(line, "not known here, in vrrp_instance \(name)")
                }
            }
        }
    }

    private enum Follows { case leader, standby, proxy, unknown }

    /// By the scripts that it is tracked with, and what they are called.
    private static func follows(_ scripts: [(script: String, name: String)]) -> Follows {
        func have(_ words: [String]) -> Bool {
            scripts.contains { script in words.contains { script.script.lowercased().contains($0) } }
        }
        if have(["/replica", "/standby", "/read-only", "/sync", "/async"]) { return .standby }
        if have(["/leader", "/primary", "/master", "/read-write", "patronictl", ":8008", "pg_is_in_recovery"]) {
            return .leader
        }
        // A script of the site's own says nothing by itself but its name.
        let names = scripts.map { ($0.script + " " + $0.name).lowercased() }
        if names.contains(where: { $0.contains("patroni") || $0.contains("postgres") || $0.contains("pg_") }) {
            return .leader
        }
        if names.contains(where: { $0.contains("haproxy") || $0.contains("pgbouncer") || $0.contains("odyssey") }) {
            return .proxy
        }
        return .unknown
    }

    /// `ADDRESS[/LENGTH] [brd …] [dev NAME] [scope …] [label …]`
    private mutating func readAddress(
        _ entry: KeepalivedSyntax.Statement, _ instance: KeepalivedSyntax.Statement?, of name: String
    ) {
        let place = self.place(entry)
        let parts = entry.name.split(separator: "/", maxSplits: 1).map(String.init)
        guard let address = parts.first.flatMap({ IPAddress($0) }),
            let length = parts.count == 1 ? address.bitWidth : Int(parts[1]),
            let prefix = AddressPrefix(address: address, prefixLength: length), length > 0
        else {
            return self.problems.append(
                "\(place): vrrp_instance \(name): expected an address such as 10.10.10.3/24, not \(quoted(entry.name))"
                    + (entry.name.hasPrefix("$") ? "; variables are not followed, write the address itself" : ""))
        }
        func said(_ word: String) -> String? {
            entry.words.firstIndex(of: word).flatMap { $0 + 1 < entry.words.count ? entry.words[$0 + 1] : nil }
        }
        if said("label") != nil {
            self.former.lost.append(.init("'label'", KeepalivedName.labelLoss, at: place))
        }
        guard let interface = said("dev") ?? instance?.words.dropFirst().first else {
            return self.problems.append(
                "\(place): vrrp_instance \(name): \(address) has no interface; expected 'interface NAME' in the instance, or 'dev NAME' here"
            )
        }
        if parts.count == 1 {
            self.former.doubts.append(
                .init("virtual_ipaddress", "no length behind \(address): \(prefix), as keepalived takes it", at: place))
        }
        let interfacePlace = said("dev") != nil ? place : instance.map { self.place($0) } ?? place
        self.former.addresses.append(
            Former.Address(
                prefix: .init(prefix, "virtual_ipaddress", at: place),
                interface: .init(interface, said("dev") != nil ? "dev" : "interface", at: interfacePlace)))
    }
}
