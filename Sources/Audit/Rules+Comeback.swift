// SPDX-License-Identifier: Apache-2.0

/// Whether an old primary, or a standby that was away, can come back by itself.
extension AuditRule {
    static let comeback: [AuditRule] = [
        rewindImpossible, divergenceDeleted, slotsOff, standbyAwayShort, slotsUnlimited, slotLost,
        restoreCommandMissing, applyDelay,
    ]

    private static let rewindImpossible = AuditRule(
        "rewind-impossible", .comeback, .amber,
        "`use_pg_rewind` is on, with data checksums or `wal_log_hints`, and `full_page_writes`",
        why:
            "An old primary that was ahead cannot follow the new one without pg_rewind: it has to be copied anew, and until then one candidate is missing.",
        source: Source.rewind
    ) { facts, say throws(Unlooked) in
        guard try facts.config.get().postgresFlag("use_pg_rewind") ?? false else {
            return say.find(
                "use_pg_rewind is off: an old primary has to be copied anew", should: "on",
                AuditStep("any node", "patronictl edit-config --set postgresql.use_pg_rewind=true"))
        }
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            let (sums, logged) = (try server.isOn("data_checksums"), try server.isOn("wal_log_hints"))
            let hints = sums == true || logged == true
            let pages = try server.isOn("full_page_writes") != false
            guard !hints || !pages else { return }
            say.find(
                "\(name): \(hints ? "full_page_writes is off" : "neither data checksums nor wal_log_hints are on"): pg_rewind refuses",
                should: "on", .postgres(hints ? "full_page_writes=on" : "wal_log_hints=on"), .restart(facts.scope))
        }
    }

    private static let divergenceDeleted = AuditRule(
        "divergence-deleted", .comeback, .amber,
        "`remove_data_directory_on_rewind_failure` and `…_on_diverged_timelines` are off",
        why:
            "Patroni then deletes the old primary's data, and with it the only copy of commits that the failover has lost.",
        source: Source.patroniFile
    ) { facts, say throws(Unlooked) in
        let (file, config) = (try facts.file.get(), try facts.config.get())
        var names: [String] = []
        if config.postgresFlag("remove_data_directory_on_rewind_failure") ?? file.removesDataOnRewindFailure {
            names.append("remove_data_directory_on_rewind_failure")
        }
        if config.postgresFlag("remove_data_directory_on_diverged_timelines") ?? file.removesDataOnDivergence {
            names.append("remove_data_directory_on_diverged_timelines")
        }
        guard !names.isEmpty else { return }
        say.find(
            "\(names.joined(separator: " and ")) \(names.count == 1 ? "is" : "are") on",
            should: "off, unless lost commits may be deleted without a look",
            AuditStep(
                "each node", "in Patroni's file, section postgresql: \(names[0]): false; then systemctl reload patroni")
        )
    }

    private static let slotsOff = AuditRule(
        "slots-off", .comeback, .amber, "`use_slots` is on",
        why: "Without slots the primary keeps only wal_keep_size for a standby that is away or slow.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        guard try facts.config.get().postgresFlag("use_slots") == false else { return }
        say.find(
            "use_slots is off", should: "on",
            AuditStep("any node", "patronictl edit-config --set postgresql.use_slots=true"))
    }

    private static let standbyAwayShort = AuditRule(
        "standby-away-short", .comeback, .amber,
        "a standby may be away for an hour: by its slot, by `wal_keep_size`, or by the archive",
        why: "After a longer absence it has to be copied anew, and until then one candidate is missing.",
        source: Source.dynamic
    ) { facts, say throws(Unlooked) in
        let config = try facts.config.get()
        let (name, server) = try facts.leaderServer()
        if try server.text("restore_command").map({ !$0.isEmpty }) ?? false { return }
        let version = facts.rest[name]?.value?.version.flatMap { PatroniVersion($0) }
        // Patroni keeps a slot of a member that is away from 4.0 on.
        let keepsSlots = config.postgresFlag("use_slots") != false && (version?.major ?? 3) >= 4
        let slot = keepsSlots ? Self.seconds(config.text("member_slots_ttl") ?? "30min") : 0
        let kept = Double(try server.bytes("wal_keep_size") ?? 128 << 20)
        let rate = max(try server.walRate.get(), 1)
        let away = max(slot, kept / rate)
        guard away < 3600 else { return }
        say.find(
            "a standby may be away for \(Quantity.seconds(away)) (slots of absent members: \(keepsSlots ? Quantity.seconds(slot) : "not kept by this Patroni"); wal_keep_size \(Quantity.bytes(Int64(kept))) at \(Quantity.bytes(Int64(min(rate, 1e15))))/s)",
            should: "an hour at least",
            keepsSlots
                ? .set("member_slots_ttl=2h")
                : .postgres("wal_keep_size=\(Int64(min(rate * 3600 / 1_048_576, 1e9)) + 1)MB"))
    }

    /// `30min`, `1h`, `3600`: in seconds.
    private static func seconds(_ text: String) -> Double {
        let digits = text.prefix { $0.isNumber || $0 == "." }
        let unit = text[digits.endIndex...].drop { $0 == " " }
        let factor: Double =
            switch unit {
            case "ms": 0.001
            case "min": 60
            case "h": 3600
            case "d": 86_400
            default: 1  // Text: seconds.
            }
        return (Double(digits) ?? 0) * factor
    }

    private static let slotsUnlimited = AuditRule(
        "slots-unlimited", .comeback, .amber, "`max_slot_wal_keep_size` is set",
        why: "A slot that nobody reads keeps the log until the leader's disk is full, and then nobody can write.",
        source: Source.slots
    ) { facts, say throws(Unlooked) in
        let (name, server) = try facts.leaderServer()
        guard let limit = try server.bytes("max_slot_wal_keep_size"), limit < 0 else { return }
        var until = ""
        if name == facts.member, let disk = facts.node.walDisk.value, let rate = server.walRate.value, rate > 1 {
            until = ": a dead slot fills \(disk.path) in \(Quantity.seconds(Double(disk.free) / rate))"
        }
        say.find(
            "\(name): max_slot_wal_keep_size is -1\(until)",
            should: "a part of the disk, such as a third; a standby that needs more is copied anew",
            .postgres("max_slot_wal_keep_size=50GB"))
    }

    private static let slotLost = AuditRule(
        "slot-lost", .comeback, .amber, "no slot has lost its log, and none that nobody reads keeps much",
        why: "Whoever uses a lost slot cannot come back; one that nobody reads fills the disk.",
        source: Source.slots
    ) { facts, say throws(Unlooked) in
        let (name, server) = try facts.leaderServer()
        for slot in try server.slots.get() {
            let retained = slot.retained ?? 0
            if let status = slot.walStatus, ["lost", "unreserved"].contains(status) {
                say.find(
                    "\(name): the slot \(slot.name) is \(status)", should: "reserved",
                    AuditStep(
                        name,
                        "psql -c \"select pg_drop_replication_slot('\(slot.name)')\"; then patronictl reinit its member"
                    ))
            } else if !slot.isActive, retained > 10 << 30 {
                say.find(
                    "\(name): nobody reads the slot \(slot.name), and it keeps \(Quantity.bytes(retained))",
                    should: "read, or dropped",
                    AuditStep(name, "psql -c \"select pg_drop_replication_slot('\(slot.name)')\""))
            }
        }
    }

    private static let restoreCommandMissing = AuditRule(
        "restore-command-missing", .comeback, .amber, "`restore_command` is set where there is an archive",
        why:
            "A standby that has been away for too long could take what it lacks from the archive, and is not told how.",
        source: "PostgreSQL documentation, Log-Shipping Standby Servers"
    ) { facts, say throws(Unlooked) in
        try say.eachServer(of: facts) { name, server, say throws(Unlooked) in
            guard let mode = try server.text("archive_mode"), mode != "off" else { return }
            guard try server.text("restore_command")?.isEmpty ?? false else { return }
            say.find(
                "\(name): archive_mode is \(mode), and restore_command is empty",
                should: "the counterpart of archive_command",
                AuditStep("any node", "patronictl edit-config --pg 'restore_command=…'"))
        }
    }

    private static let applyDelay = AuditRule(
        "apply-delay-on-candidate", .comeback, .red, "no candidate replays with a delay (`recovery_min_apply_delay`)",
        why: "Before it can take over it has to replay all that it holds back.",
        source: Source.postgres
    ) { facts, say throws(Unlooked) in
        let keys = try facts.keys.get()
        for (name, server) in try facts.knownServers(&say) where keys.member(name)?.mayLead ?? true {
            say.part(name) { say throws(Unlooked) in
                guard let delay = try server.milliseconds("recovery_min_apply_delay"), delay > 0 else { return }
                say.find(
                    "\(name) replays \(Quantity.seconds(Double(delay) / 1000)) late, and may lead",
                    should: "no delay, or the tag nofailover",
                    AuditStep(name, "in Patroni's file: tags: { nofailover: true }; then systemctl reload patroni"))
            }
        }
    }
}
