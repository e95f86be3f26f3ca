// SPDX-License-Identifier: Apache-2.0

/// What the daemon judges, too, without asking anybody for it.
extension AuditRule {
    /// Rules that look at nothing but what the daemon knows anyway: etcd's keys and members, what the daemons publish, its own
    /// configuration. All others are for `pharos audit` alone; what of them is not looked at, the daemon does not call fine.
    static let codesOfDaemon: Set<String> = [
        "times-adjusted", "ttl-short", "ttl-long", "failsafe-off", "start-timeout-long", "stop-timeout-none", "paused",
        "no-candidate", "one-candidate", "one-synchronous-standby", "synchronous-count-high",
        "synchronous-lag-unlimited", "timeline-unchecked", "standby-cluster", "standby-on-old-timeline",
        "slots-off", "rest-address-wrong", "patroni-versions-differ", "quorum-unsupported",
        "etcd-members-few", "etcd-member-down", "etcd-members-even", "etcd-members-on-one-host", "etcd-alarm",
        "etcd-open",
        "citus-several-databases", "group-of-one",
        "lease-longer-than-ttl", "detection-long", "daemon-missing", "pharos-versions-differ",
    ]

    /// Those rules, in the order of all.
    public static let ofDaemon: [AuditRule] = all.filter { codesOfDaemon.contains($0.code) }
}

extension AuditFacts {
    /// What stands where only the command looks.
    public static let notByDaemon = "the daemon does not look at it, pharos audit does"
}
