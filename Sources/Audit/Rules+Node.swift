// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// This node's kernel and files, and Pharos itself.
extension AuditRule {
    static let node: [AuditRule] = [
        subnet, arpIgnore, nonlocalBind, postmasterScore, swapFull, clockLoose, clocksApart, certificates, keysReadable,
        leaseLong,
        detectionLong, daemonStopped, daemonMissing, pharosVersions,
    ]

    private static let subnet = AuditRule(
        "interface-outside-subnet", .node, .note,
        "each interface of pharos.yml has an address of its own in the subnet of the address that comes to it",
        why:
            "Without one the node may answer by another way than it was asked (rp_filter), and has no route back to its neighbors.",
        source: Source.kernel
    ) { facts, say throws(Unlooked) in
        guard !facts.pharos.addresses.isEmpty else { return }
        let interfaces = try facts.node.interfaces.get()
        let configured = facts.pharos.addresses.map(\.prefix.address)
        for address in facts.pharos.addresses {
            guard let interface = interfaces.first(where: { $0.name == address.interface }) else {
                say.unseen("\(facts.member): there is no interface \(address.interface) now")
                continue
            }
            let own = interface.addresses.filter { !configured.contains($0.address) }
            guard !own.contains(where: { $0.contains(address.prefix.address) }) else { continue }
            say.find(
                "\(facts.member): \(address.interface) has no address of its own in the subnet of \(address.prefix.address)",
                should: "one, unless routes lead there on purpose",
                AuditStep(facts.member, "ip addr show dev \(address.interface)"))
        }
    }

    private static let arpIgnore = AuditRule(
        "arp-ignored", .node, .red, "the kernel answers ARP for the addresses (`arp_ignore` below 3)",
        why: "Nobody on the network finds the address, though it is there.",
        source: Source.kernel
    ) { facts, say throws(Unlooked) in
        for interface in Set(facts.pharos.addresses.filter { !$0.prefix.address.isIPv6 }.map(\.interface)).sorted() {
            let name = "net.ipv4.conf.\(interface).arp_ignore"
            let (own, all) = (
                Int(try facts.node.sysctl(name)), Int(try facts.node.sysctl("net.ipv4.conf.all.arp_ignore"))
            )
            // The kernel takes the larger one.
            guard let value = [own, all].compactMap(\.self).max(), value >= 3 else { continue }
            say.find(
                "\(facts.member): arp_ignore of \(interface) is \(value)", should: "0, 1 or 2",
                AuditStep(facts.member, "sysctl -w \(name)=1 net.ipv4.conf.all.arp_ignore=0"))
        }
    }

    private static let nonlocalBind = AuditRule(
        "nonlocal-bind", .node, .note,
        "`ip_nonlocal_bind` is on only where `listen_addresses` names an address that moves",
        why:
            "Programs on this node can then listen at, and send from, an address that is elsewhere: mistakes are found late.",
        source: Source.kernel
    ) { facts, say throws(Unlooked) in
        let families = Set(facts.pharos.addresses.map { $0.prefix.address.isIPv6 ? "ipv6" : "ipv4" })
        for family in families.sorted() where try facts.node.sysctl("net.\(family).ip_nonlocal_bind") == "1" {
            guard try facts.ownServer().text("listen_addresses") == "*" else { continue }
            say.find(
                "\(facts.member): net.\(family).ip_nonlocal_bind is 1, and listen_addresses is '*'", should: "0",
                AuditStep(facts.member, "sysctl -w net.\(family).ip_nonlocal_bind=0"))
        }
    }

    private static let postmasterScore = AuditRule(
        "postmaster-not-protected", .node, .amber,
        "the kernel spares the postmaster when memory runs out (`oom_score_adj` below 0, or `vm.overcommit_memory` 2)",
        why: "Else it may end the server instead of the session that took the memory: a failover for one query.",
        source: "PostgreSQL documentation, Linux Memory Overcommit"
    ) { facts, say throws(Unlooked) in
        let score = try facts.node.postmasterScore.get()
        let overcommit = try facts.node.sysctl("vm.overcommit_memory")
        guard score >= 0, overcommit != "2" else { return }
        say.find(
            "\(facts.member): the postmaster's oom_score_adj is \(score), vm.overcommit_memory \(overcommit)",
            should: "-900 or less, with PG_OOM_ADJUST_FILE for the sessions",
            AuditStep(
                facts.member,
                "systemctl edit patroni: [Service] OOMScoreAdjust=-900 Environment=PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj"
            ))
    }

    private static let swapFull = AuditRule(
        "swap-full", .node, .amber, "swap is less than nine tenths full",
        why: "What is used next is taken from memory that programs need: they stand still, and leases end.",
        source: "Linux kernel documentation, /proc/meminfo"
    ) { facts, say throws(Unlooked) in
        let swap = try facts.node.swap.get()
        guard swap.total > 0, Double(swap.free) < 0.1 * Double(swap.total) else { return }
        say.find(
            "\(facts.member): \(Quantity.bytes(swap.free)) of \(Quantity.bytes(swap.total)) swap are free",
            should: "at least a tenth",
            AuditStep(facts.member, "ps -eo pid,rss,comm --sort=-rss | head"))
    }

    private static let clockLoose = AuditRule(
        "clock-not-synchronized", .node, .amber, "a time service keeps the clock",
        why: "Logs of several nodes cannot be compared; Kerberos, certificates and TSIG fail when clocks part.",
        source: "adjtimex(2)"
    ) { facts, say throws(Unlooked) in
        guard try !facts.node.isClockSynchronized.get() else { return }
        say.find(
            "\(facts.member): the kernel's clock is not synchronized", should: "chrony, or systemd-timesyncd",
            AuditStep(facts.member, "timedatectl; apt install chrony"))
    }

    private static let clocksApart = AuditRule(
        "clocks-apart", .node, .amber, "the members' clocks differ by at most 1 s",
        why: "Times in records of a failover contradict each other; TSIG fails at 300 s.",
        source: "adjtimex(2)"
    ) { facts, say throws(Unlooked) in
        try say.eachServer(of: facts, except: facts.member) { name, server, say throws(Unlooked) in
            let offset = try server.clockOffset.get()
            guard abs(offset) > 1 else { return }
            say.find(
                "\(name)'s clock is \(Quantity.seconds(abs(offset))) \(offset > 0 ? "ahead of" : "behind") \(facts.member)'s",
                should: "the same time",
                AuditStep(name, "timedatectl; chronyc tracking"))
        }
    }

    private static let certificates = AuditRule(
        "certificate-ends", .node, .amber, "certificates of etcd, Patroni and PostgreSQL are valid for 30 days more",
        why: "With the certificate the connections end: to etcd that means no leader, and no address.",
        source: "openssl-x509(1)"
    ) { facts, say throws(Unlooked) in
        for certificate in try facts.node.certificates.get() where certificate.left < 30 * 86_400 {
            say.find(
                certificate.left <= 0
                    ? "\(facts.member): \(certificate.path) has not been valid for \(Quantity.seconds(Double(-certificate.left)))"
                    : "\(facts.member): \(certificate.path) is valid for \(Quantity.seconds(Double(certificate.left))) more",
                should: "more than 30 days",
                AuditStep(facts.member, "openssl x509 -noout -enddate -subject -in \(certificate.path)"),
                as: certificate.left < 7 * 86_400 ? .red : nil)
        }
    }

    private static let keysReadable = AuditRule(
        "key-readable", .node, .red, "no private key can be read by everybody",
        why: "Whoever reads it is this node to etcd, to Patroni and to PostgreSQL.",
        source: Source.pharos
    ) { facts, say throws(Unlooked) in
        for file in try facts.node.keyFiles.get() where file.mode & 0o004 != 0 {
            say.find(
                "\(facts.member): everybody can read \(file.path) (mode \(String(file.mode, radix: 8)))",
                should: "640 or 600",
                AuditStep(facts.member, "chmod o-rwx \(file.path)"))
        }
    }

    private static let leaseLong = AuditRule(
        "lease-longer-than-ttl", .node, .amber, "`lease.ttl` is at most Patroni's `ttl`",
        why:
            "After the leader's node is lost, a new leader accepts writes, and the address still waits for the old lease.",
        source: "docs/protocol.md"
    ) { facts, say throws(Unlooked) in
        let ttl = try facts.config.get().times.used.ttl
        guard let own = facts.pharos.leaseTTL, own > ttl else { return }
        say.find(
            "\(facts.member): lease.ttl is \(own) s, Patroni's ttl \(ttl) s",
            should: "no lease.ttl (it follows Patroni), or \(ttl) s at most",
            AuditStep("each node", "in pharos.yml: lease: { ttl: patroni }; then systemctl reload \(facts.pharos.unit)")
        )
    }

    private static let detectionLong = AuditRule(
        "detection-long", .node, .amber, "the failure detector comes to a verdict within 150 s",
        why: "The whole is promised within 240 s: 150 s for the verdict, 90 s for the failover.",
        source: "docs/detector.md"
    ) { facts, say throws(Unlooked) in
        guard facts.pharos.detection > 150 else { return }
        say.find(
            "\(facts.member): the profile takes \(facts.pharos.detection) s", should: "150 s or less",
            AuditStep("each node", "in pharos.yml: detector: { profile: hyperscale }"))
    }

    private static let daemonStopped = AuditRule(
        "daemon-stopped", .node, .red, "Pharos runs on this node, and is started at a boot",
        why: "No address can come to this node; if it leads, its addresses are nowhere.",
        source: Source.pharos
    ) { facts, say throws(Unlooked) in
        let unit = try facts.node.unit(facts.pharos.unit)
        guard let active = unit["ActiveState"] else {
            throw Unlooked("systemctl does not tell the state of \(facts.pharos.unit)")
        }
        if !["active", "reloading", "activating"].contains(active) {
            say.find(
                "\(facts.member): \(facts.pharos.unit) is \(active)", should: "active",
                AuditStep(facts.member, "systemctl enable --now \(facts.pharos.unit)"))
        } else if ["disabled", "masked"].contains(unit["UnitFileState"] ?? "") {
            say.find(
                "\(facts.member): \(facts.pharos.unit) is \(unit["UnitFileState"] ?? ""): it does not come back after a boot",
                should: "enabled",
                AuditStep(facts.member, "systemctl enable \(facts.pharos.unit)"), as: .amber)
        }
    }

    private static let daemonMissing = AuditRule(
        "daemon-missing", .node, .red, "Pharos publishes on every member",
        why: "If such a member becomes the leader, no address comes to it.",
        source: Source.pharos
    ) { facts, say throws(Unlooked) in
        for group in try facts.daemon.get().groups {
            for member in group.members where !member.hasDaemon {
                say.find(
                    "\(member.name) (group \(group.number)): no Pharos publishes there", should: "one on every member",
                    AuditStep(
                        member.name,
                        "systemctl enable --now \(facts.pharos.unit); journalctl -u \(facts.pharos.unit) -n 50"),
                    as: member.mayLead ? nil : .amber)
            }
        }
    }

    private static let pharosVersions = AuditRule(
        "pharos-versions-differ", .node, .note, "all daemons are of one version",
        why: "Two versions together are meant for an upgrade, not to stay.",
        source: Source.pharos
    ) { facts, say throws(Unlooked) in
        let members = try facts.daemon.get().groups.flatMap(\.members).filter(\.hasDaemon)
        guard Set(members.map { $0.version ?? "?" }).count > 1 else { return }
        say.find(
            "versions differ: \(members.map { "\($0.name) \($0.version ?? "?")" }.joined(separator: ", "))",
            should: "the same",
            AuditStep("each node", "apt list --upgradable pharos"))
    }
}
