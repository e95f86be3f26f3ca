// SPDX-License-Identifier: Apache-2.0

/// Time settings, and what keeps Patroni from acting at all.
extension AuditRule {
    static let time: [AuditRule] = [
        timesAdjusted, bootstrapDiffers, ttlShort, ttlLong, failsafeOff, failsafeUnreachable, startTimeout, stopTimeout,
        paused, workScheduled,
    ]

    private static let timesAdjusted = AuditRule(
        "times-adjusted", .time, .red,
        "Patroni uses the times that are stored: `loop_wait` + 2 x `retry_timeout` <= `ttl`, and each at least its minimum",
        why:
            "Patroni puts other values in their place, and tells that in its log alone: a failover takes another time than the configuration says.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let stored = try facts.config.get().times
        guard stored != stored.used else { return }
        let used = stored.used
        say.find(
            "stored: \(stored.text); used: \(used.text)",
            should: "values that Patroni uses as they are, such as ttl 30, loop_wait 10, retry_timeout 10",
            AuditStep(
                "any node",
                "patronictl edit-config --set ttl=\(used.ttl) --set loop_wait=\(used.loopWait) --set retry_timeout=\(used.retryTimeout)"
            ))
    }

    /// The keys of `bootstrap.dcs` that are compared: what decides about a failover.
    private static let compared = [
        "failsafe_mode", "loop_wait", "maximum_lag_on_failover", "maximum_lag_on_syncnode", "primary_start_timeout",
        "retry_timeout",
        "synchronous_mode", "synchronous_mode_strict", "synchronous_node_count", "ttl",
    ]

    private static let bootstrapDiffers = AuditRule(
        "bootstrap-differs", .time, .amber, "`bootstrap.dcs` in Patroni's file says what is in effect",
        why:
            "Patroni reads that section once, when the cluster is made. Whoever changes it, or reads it at night, is misled.",
        source: "Patroni documentation, FAQ"
    ) { facts, say throws(Unlooked) in
        let (bootstrap, stored) = (try facts.file.get().bootstrap, try facts.config.get().scalars)
        let differing = compared.filter { bootstrap[$0] != nil && bootstrap[$0] != stored[$0] }
        guard !differing.isEmpty else { return }
        let list = differing.map {
            "\($0) (file \(bootstrap[$0] ?? ""), in effect \(stored[$0] ?? "Patroni's default"))"
        }
        say.find(
            "\(facts.member): bootstrap.dcs differs: \(list.joined(separator: ", "))",
            should: "the same, or no such keys in the file",
            AuditStep("any node", "patronictl show-config"))
    }

    private static let ttlShort = AuditRule(
        "ttl-short", .time, .note, "`ttl` is at least 30, and `retry_timeout` at least 5",
        why:
            "A primary that cannot reach etcd for retry_timeout stops: every hiccup of etcd or of the network ends sessions.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let used = try facts.config.get().times.used
        let step = AuditStep("any node", "patronictl edit-config --set ttl=30 --set retry_timeout=10")
        if used.retryTimeout < 5 {
            say.find("retry_timeout is \(used.retryTimeout) s", should: "10 s (at least 5)", step, as: .amber)
        } else if used.ttl < 30 {
            say.find("ttl is \(used.ttl) s", should: "30 s, unless etcd and the network are known to be quick", step)
        }
    }

    private static let ttlLong = AuditRule(
        "ttl-long", .time, .amber, "`ttl` is at most 60",
        why: "Nobody takes over from a dead leader before its key has ended: so long nobody can write.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let used = try facts.config.get().times.used
        guard used.ttl > 60 else { return }
        say.find("ttl is \(used.ttl) s: a failover takes as long, and then some", should: "30 s", .set("ttl=30"))
    }

    private static let failsafeOff = AuditRule(
        "failsafe-off", .time, .amber, "`failsafe_mode` is on",
        why:
            "Without it an outage of etcd that is longer than retry_timeout makes the primary read-only, though all nodes are well.",
        source: Source.failsafe
    ) { facts, say throws(Unlooked) in
        let config = try facts.config.get()
        guard !config.flag("failsafe_mode") else { return }
        say.find(
            "failsafe_mode is off: \(Quantity.seconds(Double(config.times.used.retryTimeout))) without etcd, and nobody can write",
            should: "on, if every member's REST API can be reached from every other", .set("failsafe_mode=true"))
    }

    private static let failsafeUnreachable = AuditRule(
        "failsafe-member-unreachable", .time, .red,
        "with `failsafe_mode`, every member that the key `failsafe` lists answers from here",
        why:
            "A primary stays one without etcd only while every listed member answers it: one that does not makes failsafe mode worthless.",
        source: Source.failsafe
    ) { facts, say throws(Unlooked) in
        guard try facts.config.get().flag("failsafe_mode") else { return }
        let keys = try facts.keys.get()
        for name in (keys.failsafe ?? [:]).keys.sorted() {
            if keys.member(name) == nil {
                say.find(
                    "\(name) is listed in the key failsafe, and is no member any more",
                    should: "only members that live",
                    AuditStep(name, "systemctl start patroni"), AuditStep("any node", "patronictl list \(facts.scope)"))
            } else if let why = facts.rest[name]?.why {
                say.find(
                    "Patroni of \(name) does not answer \(facts.member): \(why)",
                    should: "an answer from every member to every other",
                    AuditStep(name, "systemctl status patroni"))
            } else if facts.rest[name] == nil {
                say.unseen("Patroni of \(name): \(AuditFacts.notAsked)")
            }
        }
    }

    private static let startTimeout = AuditRule(
        "start-timeout-long", .time, .amber, "`primary_start_timeout` is at most 60",
        why: "A server that crashes and does not come up again is waited for so long before another member takes over.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let config = try facts.config.get()
        let seconds = config.number("primary_start_timeout") ?? config.number("master_start_timeout") ?? 300
        guard seconds > 60 else { return }
        say.find(
            "primary_start_timeout is \(seconds) s: a server that cannot start again is waited for \(Quantity.seconds(Double(seconds + 2 * config.times.used.loopWait)))",
            should: "60 s or less, if recovery after a crash is shorter; 0: fail over at once",
            .set("primary_start_timeout=60"))
    }

    private static let stopTimeout = AuditRule(
        "stop-timeout-none", .time, .note, "`primary_stop_timeout` is set",
        why:
            "A primary whose shutdown hangs (a session that does not end, a dead archive) holds up its own demotion without an end.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let config = try facts.config.get()
        guard (config.number("primary_stop_timeout") ?? config.number("master_stop_timeout") ?? 0) == 0 else { return }
        say.find(
            "primary_stop_timeout is 0: no limit", should: "60, with synchronous replication (else Patroni ignores it)",
            .set("primary_stop_timeout=60"))
    }

    private static let paused = AuditRule(
        "paused", .time, .red, "Patroni is not in maintenance mode",
        why: "In maintenance mode Patroni lets no member take over, and starts no server again.",
        source: Source.pause
    ) { facts, say throws(Unlooked) in
        guard try facts.config.get().isPaused else { return }
        say.find(
            "Patroni is in maintenance mode: nobody takes over, whatever fails",
            should: "off, as soon as the work is done",
            AuditStep("any node", "patronictl resume \(facts.scope)"))
    }

    private static let workScheduled = AuditRule(
        "work-scheduled", .time, .note, "no switchover and no restart is planned",
        why: "It comes by itself, also when nobody remembers it.",
        source: Source.rest
    ) { facts, say throws(Unlooked) in
        if let at = try facts.keys.get().scheduled {
            say.find(
                "a switchover is planned for \(at)", should: "known to whoever is on duty",
                AuditStep("any node", "patronictl flush \(facts.scope) switchover"))
        }
        for (name, answer) in facts.rest.sorted(by: { $0.key < $1.key }) {
            switch answer {
            case .unlooked(let why): say.unseen("Patroni of \(name): \(why)")
            case .known(let answer, _):
                guard let at = answer.scheduledRestart else { continue }
                say.find(
                    "\(name): a restart is planned for \(at)", should: "known to whoever is on duty",
                    AuditStep("any node", "patronictl flush \(facts.scope) restart"))
            }
        }
    }
}
