// SPDX-License-Identifier: Apache-2.0

/// Who may take over, and what that would lose.
extension AuditRule {
    static let candidates: [AuditRule] = [
        noCandidate, singleCandidate, lagLimitSmall, lossPossible, syncSingle, syncCount, syncLag, quorumUnsupported,
        timelineUnchecked,
        standbyCluster, oldTimeline, notStreaming,
    ]

    private static let noCandidate = AuditRule(
        "no-candidate", .candidates, .red, "at least one member could take over from the leader now",
        why: "If the leader fails now, nobody can take its place, and nobody can write.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let candidates = try facts.candidates()
        guard candidates.fit.isEmpty else { return }
        guard candidates.doubtful.isEmpty else {
            return say.unseen("whether somebody could take over: \(Candidates.text(candidates.doubtful))")
        }
        say.find(
            candidates.others == 0
                ? "\(candidates.leader) is the only member"
                : "nobody could take over: \(Candidates.text(candidates.unfit))",
            should: "two members beside the leader that run, stream and may lead",
            AuditStep("any node", "patronictl list --extended \(facts.scope)"))
    }

    private static let singleCandidate = AuditRule(
        "one-candidate", .candidates, .note, "at least two members could take over",
        why: "After one failure there is no other member left; and while one node is in maintenance there is none now.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let candidates = try facts.candidates()
        guard candidates.fit.count == 1, candidates.doubtful.isEmpty else { return }
        let others = candidates.unfit.isEmpty ? "" : "; not: \(Candidates.text(candidates.unfit))"
        say.find(
            "\(candidates.fit[0]) alone could take over from \(candidates.leader)\(others)",
            should: "two, on other hosts, in other places",
            AuditStep("any node", "patronictl list --extended \(facts.scope)"))
    }

    private static let lagLimitSmall = AuditRule(
        "lag-limit-small", .candidates, .amber,
        "`maximum_lag_on_failover` is at least a WAL segment, and what is written in a `loop_wait`",
        why:
            "Patroni compares with a position that is up to a loop_wait old, and a switch of the segment looks like lag: a failover may be refused though nobody has lost anything.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let config = try facts.config.get()
        let (name, server) = try facts.leaderServer()
        guard config.synchronous == .off else { return }
        let segment = try server.bytes("wal_segment_size") ?? 16 << 20
        let rate = server.walRate.value ?? 0
        let needed = max(segment, Int64(min(rate * Double(config.times.used.loopWait), 1e15)))
        if server.walRate.value == nil { say.unseen("the rate of writing on \(name): \(server.walRate.why ?? "")") }
        guard config.lagLimit < needed else { return }
        say.find(
            "maximum_lag_on_failover is \(Quantity.bytes(config.lagLimit)); \(name) writes \(Quantity.bytes(Int64(min(rate, 1e15))))/s, a segment is \(Quantity.bytes(segment))",
            should: "at least \(Quantity.bytes(needed)), if so much may be lost",
            .set("maximum_lag_on_failover=\(needed)"))
    }

    private static let lossPossible = AuditRule(
        "commits-may-be-lost", .candidates, .amber, "replication is synchronous",
        why:
            "With asynchronous replication a failover may lose the last commits: up to maximum_lag_on_failover, and what was written since the leader told its position last.",
        source: Source.replication
    ) { facts, say throws(Unlooked) in
        let config = try facts.config.get()
        guard config.synchronous == .off else { return }
        var worst = "at most \(Quantity.bytes(config.lagLimit)), and what is written in \(config.times.used.ttl) s"
        do throws(Unlooked) {
            let (name, server) = try facts.leaderServer()
            let rate = try server.walRate.get()
            let bytes = Double(config.lagLimit) + rate * Double(config.times.used.ttl)
            worst = "at worst \(Quantity.bytes(Int64(min(bytes, 1e15)))) at the average rate of \(name)"
            if rate > 1 { worst += " (\(Quantity.seconds(bytes / rate)) of writing)" }
        } catch { say.unseen("the rate of writing: \(error.why)") }
        say.find(
            "replication is asynchronous: a failover loses \(worst)",
            should: "synchronous_mode on, where no commit may be lost",
            .set("synchronous_mode=true"))
    }

    private static let syncSingle = AuditRule(
        "one-synchronous-standby", .candidates, .amber,
        "with `synchronous_mode`, a second standby could be the synchronous one",
        why:
            "If the only standby fails, commits wait until Patroni takes it off the list; with synchronous_mode_strict they wait until it is back.",
        source: Source.replication
    ) { facts, say throws(Unlooked) in
        let config = try facts.config.get()
        guard config.synchronous != .off else { return }
        let able = try facts.keys.get().others.filter { $0.maySync && $0.isRunning }.map(\.name)
        guard able.count < 2 else { return }
        let isStrict = config.flag("synchronous_mode_strict")
        say.find(
            "\(able.first ?? "nobody") \(able.isEmpty ? "can" : "alone can") be the synchronous standby\(isStrict ? ", and synchronous_mode_strict is on: writes stop without it" : "")",
            should: "two standbys without the tag nosync",
            AuditStep("any node", "patronictl list --extended \(facts.scope)"),
            as: isStrict ? .red : nil)
    }

    private static let syncCount = AuditRule(
        "synchronous-count-high", .candidates, .amber,
        "`synchronous_node_count` is smaller than the number of standbys that may be synchronous",
        why: "Each of them has to confirm every commit: where all are needed, the loss of any one holds up commits.",
        source: Source.replication
    ) { facts, say throws(Unlooked) in
        let config = try facts.config.get()
        let able = try facts.keys.get().others.filter { $0.maySync && $0.isRunning }.count
        let count = config.number("synchronous_node_count") ?? 1
        guard config.synchronous != .off, count > 1, count >= able else { return }
        say.find(
            "synchronous_node_count is \(count), and \(able) standbys may be synchronous",
            should: "\(max(1, able - 1)) at most",
            .set("synchronous_node_count=\(max(1, able - 1))"), as: config.flag("synchronous_mode_strict") ? .red : nil)
    }

    private static let syncLag = AuditRule(
        "synchronous-lag-unlimited", .candidates, .note, "with `synchronous_mode`, `maximum_lag_on_syncnode` is set",
        why:
            "Without a limit a standby that falls far behind stays the synchronous one, and every commit waits for it.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let config = try facts.config.get()
        guard config.synchronous == .on, (config.number("maximum_lag_on_syncnode") ?? -1) < 0 else { return }
        say.find(
            "maximum_lag_on_syncnode is -1: no limit", should: "such as 64 MiB",
            .set("maximum_lag_on_syncnode=67108864"))
    }

    private static let quorumUnsupported = AuditRule(
        "quorum-unsupported", .candidates, .red, "`synchronous_mode: quorum` only where every Patroni is 4.0 or later",
        why: "An earlier Patroni takes the word for \"on\", and the members follow different rules.",
        source: Source.replication
    ) { facts, say throws(Unlooked) in
        guard try facts.config.get().synchronous == .quorum else { return }
        for (name, answer) in facts.rest.sorted(by: { $0.key < $1.key }) {
            switch answer {
            case .unlooked(let why): say.unseen("Patroni of \(name): \(why)")
            case .known(let answer, _):
                guard let version = answer.version.flatMap({ PatroniVersion($0) }), version.major < 4 else { continue }
                say.find(
                    "synchronous_mode is quorum, and \(name) runs Patroni \(answer.version ?? "")",
                    should: "Patroni 4.0 or later on every member",
                    .set("synchronous_mode=true"))
            }
        }
    }

    private static let timelineUnchecked = AuditRule(
        "timeline-unchecked", .candidates, .amber, "`check_timeline` is on",
        why:
            "Without it a standby that stayed on an old timeline may win the election, and what was written since is lost.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        guard try !facts.config.get().flag("check_timeline") else { return }
        say.find("check_timeline is off", should: "on", .set("check_timeline=true"))
    }

    private static let standbyCluster = AuditRule(
        "standby-cluster", .candidates, .note, "the cluster follows no other one (`standby_cluster`)",
        why:
            "Its leader accepts no writes. Patroni fails over within each of the two clusters, never from one to the other.",
        source: "Patroni documentation, Standby cluster"
    ) { facts, say throws(Unlooked) in
        guard try facts.config.get().has("standby_cluster") else { return }
        say.find(
            "this cluster follows another one", should: "known; the other side must not follow this one",
            AuditStep("any node", "patronictl show-config \(facts.scope)"))
    }

    private static let oldTimeline = AuditRule(
        "standby-on-old-timeline", .candidates, .red, "every member is on the leader's timeline",
        why:
            "It does not receive what is written, and can never take over; the list of members looks well nevertheless.",
        source: Source.rewind
    ) { facts, say throws(Unlooked) in
        let keys = try facts.keys.get()
        guard let timeline = keys.member(try facts.leader())?.timeline else {
            throw Unlooked("the leader does not tell its timeline")
        }
        for member in keys.others {
            guard let its = member.timeline else { say.unseen("\(member.name) does not tell its timeline"); continue }
            guard its < timeline else { continue }
            say.find(
                "\(member.name) is on timeline \(its), the leader on \(timeline)", should: "the same",
                AuditStep("any node", "patronictl reinit \(facts.scope) \(member.name)"))
        }
    }

    private static let notStreaming = AuditRule(
        "standby-not-streaming", .candidates, .amber, "every standby streams",
        why: "It falls behind, and is no candidate soon.",
        source: Source.rest
    ) { facts, say throws(Unlooked) in
        let leader = try facts.leader()
        let senders = facts.servers[leader]?.value?.senders
        for member in try facts.keys.get().others {
            // Earlier versions of Patroni do not tell it: then the leader's own list must.
            let state = member.replicationState ?? member.state ?? "unknown"
            if state == "streaming" { continue }
            if let known = senders?.value {
                if known.contains(where: { $0.name == member.name && $0.state == "streaming" }) { continue }
            } else if member.isRunning, member.replicationState == nil {
                say.unseen("whether \(member.name) streams: \(senders?.why ?? "PostgreSQL of \(leader) was not asked")")
                continue
            }
            say.find(
                "\(member.name) is in the state \"\(state)\", and does not stream from \(leader)", should: "streaming",
                AuditStep(member.name, "journalctl -u patroni -n 50"))
        }
    }
}

/// A release of Patroni.
struct PatroniVersion: Comparable {
    let major: Int
    let minor: Int

    /// Nil for what is none.
    init?(_ text: String) {
        let parts = text.split(separator: ".").map { Int($0) }
        guard parts.count >= 2, let major = parts[0], let minor = parts[1] else { return nil }
        (self.major, self.minor) = (major, minor)
    }

    static func < (a: PatroniVersion, b: PatroniVersion) -> Bool { (a.major, a.minor) < (b.major, b.minor) }
}
