// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

/// etcd, on which every leader's key hangs.
extension AuditRule {
    static let etcd: [AuditRule] = [
        etcdFew, etcdDown, etcdEven, etcdSameHost, etcdAlarm, etcdSize, etcdFragmented, etcdSlow, etcdElections,
        etcdOld,
        etcdVersionsDiffer, etcdOpen, etcdV2,
    ]

    private static let etcdFew = AuditRule(
        "etcd-members-few", .etcd, .red, "etcd has at least three members",
        why: "With one or two members the loss of a single one stops etcd, and with it every change of leader.",
        source: Source.etcd
    ) { facts, say throws(Unlooked) in
        let voters = try facts.etcd.get().voters()
        guard voters.count < 3 else { return }
        say.find(
            "etcd has \(voters.count == 1 ? "one member" : "two members"): \(voters.map(\.name).joined(separator: ", "))",
            should: "3, or 5",
            AuditStep("any node", "etcdctl member add NAME --peer-urls=…; one at a time"))
    }

    private static let etcdDown = AuditRule(
        "etcd-member-down", .etcd, .red, "every member of etcd answers from here",
        why: "There is no spare: the loss of another one may stop every change of leader.",
        source: Source.etcd
    ) { facts, say throws(Unlooked) in
        let etcd = try facts.etcd.get()
        let voters = try etcd.voters()
        let silent = voters.filter { !etcd.answers($0) }
        guard !silent.isEmpty else { return }
        let (left, quorum) = (voters.count - silent.count, voters.count / 2 + 1)
        for member in silent {
            let why =
                member.clientURLs.compactMap { etcd.statuses[$0]?.why }.first ?? "no endpoint of its own is known here"
            say.find(
                "etcd's member \(member.name.isEmpty ? "that was added and never started" : member.name) does not answer (\(why)): \(left) of \(voters.count) answer, \(quorum) are needed",
                should: "all of them",
                AuditStep(
                    member.name.isEmpty ? "any node" : member.name, "systemctl status etcd; journalctl -u etcd -n 50"),
                as: left > quorum ? .amber : nil)
        }
    }

    private static let etcdEven = AuditRule(
        "etcd-members-even", .etcd, .amber, "etcd has an odd number of members",
        why: "An even number survives no more failures than the one below it, and has one more member that can fail.",
        source: Source.etcd
    ) { facts, say throws(Unlooked) in
        let voters = try facts.etcd.get().voters()
        guard voters.count.isMultiple(of: 2), voters.count > 2 else { return }
        say.find(
            "etcd has \(voters.count) members", should: "\(voters.count - 1) or \(voters.count + 1)",
            AuditStep("any node", "etcdctl member remove ID, or member add"))
    }

    private static let etcdSameHost = AuditRule(
        "etcd-members-on-one-host", .etcd, .red, "etcd's members are on different hosts",
        why: "One host that fails takes several members along, and may take the quorum.",
        source: Source.etcd
    ) { facts, say throws(Unlooked) in
        let voters = try facts.etcd.get().voters()
        guard voters.count > 1 else { return }
        var hosts: [String: [String]] = [:]
        for member in voters {
            for host in Set(member.clientURLs.map { Self.host(of: $0) })
            where !LoopbackName.contains(host) && !LoopbackName.addresses.contains(host) {
                hosts[host, default: []].append(member.name)
            }
        }
        for (host, names) in hosts.sorted(by: { $0.key < $1.key }) where names.count > 1 {
            say.find(
                "\(names.sorted().joined(separator: " and ")) are on one host, \(host)",
                should: "each member on a host of its own",
                AuditStep("any node", "etcdctl member list"),
                as: voters.count - names.count >= voters.count / 2 + 1 ? .amber : nil)
        }
    }

    private static let etcdAlarm = AuditRule(
        "etcd-alarm", .etcd, .red, "etcd has raised no alarm",
        why:
            "With NOSPACE etcd takes no writes: no leader can renew its key. With CORRUPT its members contradict each other.",
        source: "etcd documentation, Maintenance"
    ) { facts, say throws(Unlooked) in
        for alarm in Set(try Self.statuses(facts, &say).flatMap(\.status.alarms)).sorted() {
            say.find(
                "etcd: alarm \(alarm)", should: "none",
                AuditStep(
                    "any node",
                    "etcdctl compact REVISION; etcdctl defrag --cluster; etcdctl alarm disarm (docs/operations.md, \"etcd's database is full\")"
                ))
        }
    }

    private static let etcdSize = AuditRule(
        "etcd-nearly-full", .etcd, .amber, "etcd's database is below half of its quota",
        why: "At the quota etcd raises the alarm NOSPACE and takes no writes: every leader loses its key.",
        source: "etcd documentation, Maintenance"
    ) { facts, say throws(Unlooked) in
        let etcd = try facts.etcd.get()
        for (url, status) in try Self.statuses(facts, &say) {
            let quota = etcd.figures[url]?.value?.quota.map { Int64(min(max($0, 1), 1e15)) }
            let part = Double(status.size) / Double(quota ?? 2 << 30)
            guard part > 0.5 else { continue }
            say.find(
                "etcd at \(url): \(Quantity.bytes(status.size)), \(Quantity.percent(part)) of \(quota == nil ? "the usual quota of 2 GiB (its own is not known)" : "its quota")",
                should: "below half",
                AuditStep(
                    "any node",
                    "etcdctl compact REVISION; etcdctl defrag --cluster; auto-compaction-retention in etcd's configuration"
                ),
                as: part > 0.9 ? .red : nil)
        }
    }

    private static let etcdFragmented = AuditRule(
        "etcd-fragmented", .etcd, .note, "less than half of etcd's database is free room in it",
        why: "Only a defragmentation gives it back, and until then it counts against the quota.",
        source: "etcd documentation, Maintenance"
    ) { facts, say throws(Unlooked) in
        for (url, status) in try Self.statuses(facts, &say) {
            guard let used = status.sizeInUse else { say.unseen("etcd at \(url): it does not tell"); continue }
            guard status.size > 100 << 20, used < status.size / 2 else { continue }
            say.find(
                "etcd at \(url): \(Quantity.bytes(used)) of \(Quantity.bytes(status.size)) are used",
                should: "defragmented, one member after another",
                AuditStep("any node", "etcdctl --endpoints=\(url) defrag"))
        }
    }

    private static let etcdSlow = AuditRule(
        "etcd-slow-disk", .etcd, .amber, "99 of 100 writes of etcd's log take at most 10 ms",
        why:
            "A slow disk delays heartbeats: etcd elects a new leader, and requests of Patroni and Pharos fail meanwhile.",
        source: "etcd documentation, Hardware recommendations"
    ) { facts, say throws(Unlooked) in
        let etcd = try facts.etcd.get()
        guard !etcd.figures.isEmpty else { throw Unlooked("no endpoint of etcd is known") }
        for (url, figures) in etcd.figures.sorted(by: { $0.key < $1.key }) {
            guard let sync = figures.value?.slowestSync else {
                say.unseen("\(url)/metrics: \(figures.why ?? "no figures of the disk")"); continue
            }
            guard sync > 0.01 else { continue }
            say.find(
                "etcd at \(url): 1 of 100 writes takes longer than \(Quantity.short(sync * 1000)) ms",
                should: "10 ms: an SSD, and not PostgreSQL's",
                AuditStep("any node", "etcdctl check perf; iostat -x 1 on that node"))
        }
    }

    private static let etcdElections = AuditRule(
        "etcd-elections", .etcd, .amber, "etcd changes its leader less than once a day",
        why: "Each time requests fail for a moment; often, it means a slow disk, a slow network or an overloaded node.",
        source: "etcd documentation, Tuning"
    ) { facts, say throws(Unlooked) in
        let etcd = try facts.etcd.get()
        guard !etcd.figures.isEmpty else { throw Unlooked("no endpoint of etcd is known") }
        for (url, figures) in etcd.figures.sorted(by: { $0.key < $1.key }) {
            guard let figures = figures.value, let changes = figures.leaderChanges, let uptime = figures.uptime else {
                say.unseen("\(url)/metrics: \(figures.why ?? "no figures of elections")")
                continue
            }
            // The first election, and those of an upgrade, are no sign of anything.
            guard changes > 3, changes / max(uptime, 86_400) * 86_400 > 1 else { continue }
            say.find(
                "etcd at \(url): \(Int64(min(changes, 1e15))) changes of leader in \(Quantity.seconds(uptime))",
                should: "less than one a day",
                AuditStep("any node", "journalctl -u etcd | grep -i 'elected leader\\|took too long'"))
        }
    }

    private static let etcdOld = AuditRule(
        "etcd-version-old", .etcd, .amber, "etcd is 3.5 or later",
        why:
            "Before 3.5 a member that comes back disturbs the leader unless pre-vote is set, and a deposed leader may answer for leases.",
        source: "etcd documentation, Upgrading etcd clusters"
    ) { facts, say throws(Unlooked) in
        for (url, status) in try Self.statuses(facts, &say) {
            let parts = status.version.split(separator: ".").map { Int($0) }
            guard parts.count >= 2, let major = parts[0], let minor = parts[1] else {
                say.unseen("etcd at \(url) tells no version"); continue
            }
            guard (major, minor) < (3, 5) else { continue }
            say.find(
                "etcd at \(url) is \(status.version)", should: "3.5 or later; until then pre-vote: true",
                AuditStep(
                    "each node", "etcd's configuration: pre-vote: true; then systemctl restart etcd, one after another")
            )
        }
    }

    private static let etcdVersionsDiffer = AuditRule(
        "etcd-versions-differ", .etcd, .note, "all members run the same etcd",
        why: "Two versions together are meant for an upgrade, not to stay.",
        source: "etcd documentation, Upgrading etcd clusters"
    ) { facts, say throws(Unlooked) in
        let versions = try Self.statuses(facts, &say).map { "\($0.status.version) (\($0.url))" }
        guard Set(versions.map { $0.prefix { $0 != " " } }).count > 1 else { return }
        say.find(
            "etcd's versions differ: \(versions.joined(separator: ", "))", should: "the same",
            AuditStep("each node", "apt list --upgradable 'etcd*'"))
    }

    /// Of the endpoints that answer; the others are unseen.
    private static func statuses(
        _ facts: AuditFacts, _ say: inout Judgement
    ) throws(Unlooked) -> [(url: String, status: AuditFacts.Etcd.Status)] {
        var known: [(url: String, status: AuditFacts.Etcd.Status)] = []
        let etcd = try facts.etcd.get()
        guard !etcd.statuses.isEmpty else { throw Unlooked("no endpoint of etcd is known") }
        for (url, status) in etcd.statuses.sorted(by: { $0.key < $1.key }) {
            switch status {
            case .known(let status, _): known.append((url, status))
            case .unlooked(let why): say.unseen("etcd at \(url): \(why)")
            }
        }
        return known
    }

    private static let etcdOpen = AuditRule(
        "etcd-open", .etcd, .red, "etcd asks for a user or a certificate, and is reached by TLS, beyond loopback",
        why: "Whoever can write the leader's key moves the leader and the addresses, and can stop them all.",
        source: "etcd documentation, Security"
    ) { facts, say throws(Unlooked) in
        let configured = facts.pharos
        let endpoints = configured.endpoints.filter {
            let host = Self.host(of: $0)
            return !LoopbackName.contains(host) && !LoopbackName.addresses.contains(host)
        }
        guard !configured.endpoints.isEmpty else { throw Unlooked("no endpoint of etcd is configured") }
        guard let first = endpoints.first else { return }
        let step = AuditStep(
            "each node",
            "etcd's configuration: client-cert-auth, or etcdctl user add and auth enable; then etcd3: in Patroni's file"
        )
        if !configured.hasEtcdUser, !configured.hasEtcdClientCertificate {
            say.find(
                "etcd at \(first) is used without a user and without a client's certificate",
                should: "one of them, and TLS", step)
        } else if endpoints.contains(where: { $0.hasPrefix("http://") }) {
            say.find(
                "etcd at \(first) is used without TLS: its password crosses the network readably", should: "https",
                step, as: .amber)
        }
    }

    private static let etcdV2 = AuditRule(
        "etcd-v2-api", .etcd, .red, "Patroni uses etcd's v3 API (section `etcd3`)",
        why: "etcd 3.6 has no v2 API any more: Patroni with a section etcd loses its store with the upgrade.",
        source: Source.patroniFile
    ) { facts, say throws(Unlooked) in
        guard try facts.file.get().usesEtcdV2 else { return }
        say.find(
            "\(facts.member): Patroni's file has a section etcd, and no etcd3", should: "etcd3",
            AuditStep(
                "each node",
                "in Patroni's file: rename etcd to etcd3, on all members together; then systemctl restart patroni"))
    }
}
