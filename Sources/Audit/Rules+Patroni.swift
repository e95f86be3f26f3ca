// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// Patroni's process, its REST API, and who else starts PostgreSQL.
extension AuditRule {
    static let patroni: [AuditRule] = [
        unitKeepsPostgres, watchdogOff, restOpen, restPlain, restAddress, restSilent, patroniVersionsDiffer, callbacks,
        sharedScope,
        twoManagers, templatePassword,
    ]

    private static let unitKeepsPostgres = AuditRule(
        "patroni-not-restarted", .patroni, .amber, "systemd starts Patroni again when it dies",
        why:
            "Patroni that was killed alone leaves PostgreSQL writable: when its key has ended another member is promoted, and there are two primaries until somebody comes.",
        source: Source.debian
    ) { facts, say throws(Unlooked) in
        let unit = try facts.node.unit("patroni")
        guard unit["LoadState"] ?? "loaded" == "loaded" else {
            throw Unlooked("this node has no unit patroni.service: Patroni's unit has another name")
        }
        guard let restart = unit["Restart"] else { throw Unlooked("systemctl show patroni does not tell Restart=") }
        guard ["no", "on-success"].contains(restart) else { return }
        say.find(
            "\(facts.member): patroni.service has Restart=\(restart), KillMode=\(unit["KillMode"] ?? "?")",
            should: "Restart=on-failure, and a watchdog",
            AuditStep(
                facts.member,
                "systemctl edit patroni: [Service] Restart=on-failure RestartSec=5; then systemctl daemon-reload"))
    }

    private static let watchdogOff = AuditRule(
        "watchdog-off", .patroni, .amber, "Patroni uses a watchdog, and its device is there",
        why:
            "A frozen Patroni leaves PostgreSQL writable while another member is promoted. The watchdog resets the node before that. softdog is better than none.",
        source: Source.watchdog
    ) { facts, say throws(Unlooked) in
        let file = try facts.file.get()
        let isThere = try facts.node.hasWatchdog.get()
        let load = AuditStep(
            facts.member,
            "echo softdog >/etc/modules-load.d/softdog.conf; modprobe softdog; chown postgres \(file.watchdogDevice)")
        switch file.watchdogMode {
        case "off":
            say.find(
                "\(facts.member): watchdog.mode is off", should: "automatic or required",
                AuditStep(
                    facts.member, "in Patroni's file: watchdog: { mode: automatic }; then systemctl restart patroni"))
        case "required" where !isThere:
            say.find(
                "\(facts.member): watchdog.mode is required, and \(file.watchdogDevice) is missing: this node never leads",
                should: "a device", load, as: .red)
        default:  // Text: automatic.
            guard !isThere else { return }
            say.find(
                "\(facts.member): watchdog.mode is \(file.watchdogMode), and \(file.watchdogDevice) is missing",
                should: "a device", load)
        }
    }

    /// Whether an API listens for others than this node.
    private static func isOpen(_ listen: String?) -> Bool {
        guard let listen, let colon = listen.lastIndex(of: ":") else { return true }
        return listen[..<colon].split(separator: ",").contains { part in
            let host = String(part.filter { !["[", "]", " "].contains($0) })
            return !(LoopbackName.contains(host) || LoopbackName.addresses.contains(host))
        }
    }

    private static let restOpen = AuditRule(
        "rest-unauthenticated", .patroni, .red,
        "Patroni's REST API asks for a password, or for a certificate, before it changes anything",
        why:
            "Whoever reaches its port can switch over, restart, reinitialize, and change every setting, archive_command included.",
        source: Source.patroniFile
    ) { facts, say throws(Unlooked) in
        let file = try facts.file.get()
        guard isOpen(file.restListen), !file.hasRestAuthentication, file.restVerifiesClients != "required" else {
            return
        }
        guard !(file.hasRestTLS && file.restVerifiesClients == "optional") else { return }
        say.find(
            "\(facts.member): restapi listens on \(file.restListen ?? "every address") and asks nobody who he is\(file.hasRestAllowlist ? " (allowlist is set)" : "")",
            should: "restapi.authentication, the same on all members",
            AuditStep(
                "each node",
                "in Patroni's file: restapi: { authentication: { username: …, password: … } }; then systemctl reload patroni"
            ),
            as: file.hasRestAllowlist ? .amber : nil)
    }

    private static let restPlain = AuditRule(
        "rest-without-tls", .patroni, .amber, "Patroni's REST API uses TLS beyond loopback",
        why: "Its password crosses the network readably, and whoever stands in between can answer in a member's name.",
        source: Source.patroniFile
    ) { facts, say throws(Unlooked) in
        let file = try facts.file.get()
        guard isOpen(file.restListen), !file.hasRestTLS else { return }
        say.find(
            "\(facts.member): restapi listens on \(file.restListen ?? "every address") without TLS",
            should: "restapi.certfile and keyfile, and cafile in ctl",
            AuditStep(
                "each node", "in Patroni's file: restapi: { certfile: …, keyfile: … }; then systemctl reload patroni"))
    }

    private static let restAddress = AuditRule(
        "rest-address-wrong", .patroni, .red, "each member announces a REST API that the others can reach",
        why:
            "In an election members ask each other there, and failsafe mode depends on it: one that announces loopback asks itself.",
        source: Source.patroniFile
    ) { facts, say throws(Unlooked) in
        let members = try facts.keys.get().members
        guard members.count > 1 else { return }
        for member in members {
            guard let url = member.apiURL else { say.unseen("\(member.name) does not tell its api_url"); continue }
            let host = Self.host(of: url)
            guard LoopbackName.contains(host) || LoopbackName.addresses.contains(host) else { continue }
            say.find(
                "\(member.name) announces \(url)", should: "an address that the other members reach",
                AuditStep(
                    member.name,
                    "in Patroni's file: restapi: { connect_address: ADDRESS:8008 }; then systemctl reload patroni"))
        }
    }

    /// The host of a URL, without brackets.
    static func host(of url: String) -> String {
        var rest = url[...]
        if let scheme = rest.firstRange(of: "://") { rest = rest[scheme.upperBound...] }
        if let at = rest.lastIndex(of: "@") { rest = rest[rest.index(after: at)...] }
        if rest.hasPrefix("[") { return String(rest.dropFirst().prefix { $0 != "]" }) }
        return String(rest.prefix { $0 != ":" && $0 != "/" && $0 != "?" })
    }

    private static let restSilent = AuditRule(
        "rest-unreachable", .patroni, .amber, "each member's REST API answers from here",
        why:
            "In an election each member asks the others how far they are: one that is silent costs 2 s, and may win with less.",
        source: Source.rest
    ) { facts, say throws(Unlooked) in
        let members = try facts.keys.get().members
        for member in members {
            switch facts.rest[member.name] {
            case nil: say.unseen("Patroni of \(member.name): \(AuditFacts.notAsked)")
            case .known?: continue
            case .unlooked(let why)?:
                say.find(
                    "Patroni of \(member.name) does not answer \(facts.member) at \(member.apiURL ?? "?"): \(why)",
                    should: "an answer",
                    AuditStep(member.name, "systemctl status patroni; ss -ltn"))
            }
        }
    }

    private static let patroniVersionsDiffer = AuditRule(
        "patroni-versions-differ", .patroni, .note, "all members run the same Patroni",
        why: "Versions follow different rules in an election; more than two minor releases apart nobody has tried.",
        source: "Patroni documentation, Release notes"
    ) { facts, say throws(Unlooked) in
        guard !facts.rest.isEmpty else {
            throw Unlooked("no member's Patroni is known: \(facts.keys.why ?? AuditFacts.notAsked)")
        }
        var versions: [(name: String, text: String)] = []
        for (name, answer) in facts.rest.sorted(by: { $0.key < $1.key }) {
            if let why = answer.why { say.unseen("Patroni of \(name): \(why)") }
            if let version = answer.value?.version { versions.append((name, version)) }
        }
        guard Set(versions.map(\.text)).count > 1 else { return }
        let parsed = versions.compactMap { PatroniVersion($0.text) }
        let isFar =
            Set(parsed.map(\.major)).count > 1
            || (parsed.map(\.minor).max() ?? 0) - (parsed.map(\.minor).min() ?? 0) > 2
        say.find(
            "versions differ: \(versions.map { "\($0.name) \($0.text)" }.joined(separator: ", "))",
            should: "the same, but for an upgrade",
            AuditStep("each node", "apt list --upgradable patroni"), as: isFar ? .amber : nil)
    }

    private static let callbacks = AuditRule(
        "callbacks-set", .patroni, .note, "no callback of Patroni's touches addresses",
        why:
            "Patroni calls them late, and kills one by the next: an address that a script moves can be on two nodes, or on none.",
        source: Source.patroniFile
    ) { facts, say throws(Unlooked) in
        let callbacks = try facts.file.get().callbacks
        guard !callbacks.isEmpty else { return }
        let suspicious = callbacks.filter { entry in
            ["vip", "ip addr", "/ip ", "arping", "keepalived", "address"].contains {
                entry.value.lowercased().contains($0)
            }
        }
        let list = (suspicious.isEmpty ? callbacks : suspicious).sorted { $0.key < $1.key }.map {
            "\($0.key): \($0.value)"
        }
        say.find(
            "\(facts.member): \(suspicious.isEmpty ? "callbacks are set" : "a callback seems to move an address"): \(list.joined(separator: "; "))",
            should: suspicious.isEmpty
                ? "short, and nothing that depends on when they run" : "no such callback: Pharos moves the address",
            AuditStep("each node", "in Patroni's file: postgresql.callbacks; then systemctl reload patroni"),
            as: suspicious.isEmpty ? nil : .amber)
    }

    private static let sharedScope = AuditRule(
        "scope-shared", .patroni, .red, "every member's database system is the one that the key `initialize` names",
        why: "Two clusters use the same keys in etcd: each takes the other's leader for its own.",
        source: Source.patroniFile
    ) { facts, say throws(Unlooked) in
        guard let system = try facts.keys.get().systemIdentifier else { throw Unlooked("etcd has no key initialize") }
        for (name, answer) in facts.rest.sorted(by: { $0.key < $1.key }) {
            if let why = answer.why { say.unseen("Patroni of \(name): \(why)") }
            guard let its = answer.value?.systemIdentifier, its != system else { continue }
            say.find(
                "\(name) runs the database system \(its), the key initialize says \(system)",
                should: "another scope for the other cluster",
                AuditStep(name, "systemctl stop patroni; then scope in its file"))
        }
    }

    private static let twoManagers = AuditRule(
        "two-managers", .patroni, .red, "nobody but Patroni starts PostgreSQL",
        why: "After a boot the old primary is started as a primary, before Patroni asks whether it may be one.",
        source: Source.debian
    ) { facts, say throws(Unlooked) in
        do throws(Unlooked) {
            for unit in try facts.node.postgresUnits.get() {
                say.find(
                    "\(facts.member): systemd starts \(unit)", should: "disabled",
                    AuditStep(facts.member, "systemctl disable --now \(unit)"))
            }
        } catch { say.unseen("units of PostgreSQL: \(error.why)") }
        for cluster in try facts.node.automaticClusters.get() {
            say.find(
                "\(facts.member): start.conf of the cluster \(cluster) says auto", should: "manual or disabled",
                AuditStep(facts.member, "echo disabled >/etc/postgresql/\(cluster)/start.conf; systemctl daemon-reload")
            )
        }
    }

    private static let templatePassword = AuditRule(
        "template-password", .patroni, .red, "no login has the password of a template",
        why: "Everybody knows it.",
        source: Source.debian
    ) { facts, say throws(Unlooked) in
        let logins = try facts.file.get().templatePasswords
        guard !logins.isEmpty else { return }
        say.find(
            "\(facts.member): the password of \(logins.joined(separator: ", ")) is the one of a template",
            should: "one of your own",
            AuditStep(
                "each node",
                "in Patroni's file: postgresql.authentication; alter role … password …; systemctl reload patroni"))
    }
}
