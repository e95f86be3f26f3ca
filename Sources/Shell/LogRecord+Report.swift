// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal

extension LogRecord {
    /// What the core reports, as an operator reads it.
    init(_ report: Report) {
        switch report {
        case .contactMade(let clusterID, let revision, let leader):
            self.init(
                .contactMade,
                "etcd cluster \(String(clusterID, radix: 16)) answers at revision \(revision); Patroni's leader is \(Wording.text(leader))",
                ["CLUSTER_ID": "\(clusterID)", "REVISION": "\(revision)", "LEADER": leader ?? ""])
        case .contactLost(let reason, let age):
            let last = age.map { "Its last answer is from \(Wording.text($0)) ago" } ?? "It has not answered yet"
            self.init(
                .contactLost,
                "etcd cannot be read: \(reason). \(last). An address that is here stays until its lifetime ends; nothing is acquired. \(Wording.remedy(etcd: reason))",
                ["REASON": reason, "LAST_READ": age.map { Wording.text($0) } ?? ""])
        case .contactRestored(let span):
            self.init(
                .contactRestored, "etcd can be read again, after \(Wording.text(span))", ["AFTER": Wording.text(span)])
        case .unanswered(let asked, let span): self.init(unanswered: asked, span)
        case .clusterReplaced(let old, let new):
            self.init(
                .clusterReplaced,
                "another etcd cluster answers: \(String(new, radix: 16)) instead of \(String(old, radix: 16)). Leases of the old one count no more",
                ["OLD_CLUSTER_ID": "\(old)", "CLUSTER_ID": "\(new)"])
        case .quarantined(let clusterID):
            self.init(
                .clusterQuarantined,
                "etcd cluster \(String(clusterID, radix: 16)) is new to Pharos: no address is acquired until every lifetime that an older cluster may have granted is over",
                ["CLUSTER_ID": "\(clusterID)"])
        case .historyContradicted(let id):
            self.init(
                .historyContradicted,
                "etcd does not know the newest lease under which \(id) was acquired: it was restored, or an earlier cluster came back. No address is acquired until every lifetime that it has forgotten is over",
                ["ADDRESS": id])
        case .historyUnknown(let id, let wait):
            self.init(
                .historyUnknown,
                "this node cannot tell whether etcd has forgotten who acquired \(id) last: it acquires the address in \(Wording.text(wait)) at the earliest",
                ["ADDRESS": id, "AFTER": Wording.text(wait)])
        case .renewalUncounted(let id, let lease, let term, let known):
            self.init(
                .renewalUncounted,
                "a keep-alive for \(id) does not count and is sent again: it was answered in term \(term) of etcd, which is in term \(known) now",
                ["ADDRESS": id, "LEASE": String(lease, radix: 16)])
        case .watchStale(let revision):
            self.init(
                .watchStale,
                "the watch did not show what a read showed at revision \(revision); it is started again at another endpoint",
                ["REVISION": "\(revision)"])
        case .leaderChanged(let from, let to, let revision):
            self.init(
                .leaderChanged,
                "Patroni's leader is \(Wording.text(to)), was \(Wording.text(from)) (revision \(revision))",
                ["LEADER": to ?? "", "OLD_LEADER": from ?? "", "REVISION": "\(revision)"])
        case .pauseChanged(let isPaused):
            let effect =
                isPaused
                ? ": PostgreSQL stays as it is also without etcd, but an address does not: it leaves when its lease can no longer be renewed"
                : ""
            self.init(
                .pauseChanged, "Patroni's maintenance mode has \(isPaused ? "begun" : "ended")\(effect)",
                ["PAUSED": isPaused ? "1" : "0"])
        case .postgresChanged(let state):
            self.init(.postgresChanged, "PostgreSQL here \(Wording.text(state))", ["POSTGRES": Wording.code(state)])
        case .clockBeyondDrift(let rate):
            let effect =
                rate < 0
                ? "leases are reckoned with that, so addresses last shorter here when etcd is lost"
                : "if this node has etcd's leader, leases end sooner than the other nodes reckon with"
            let drift = Wording.percent(rate)
            self.init(
                .clockBeyondDrift,
                "this node's clock is \(rate < 0 ? "slowed down" : "sped up") by \(drift), more than lease.clock_drift allows for: \(effect). Who corrects it: chronyc tracking, timedatectl timesync-status",
                ["DRIFT_PPM": "\(rate)"])
        case .clockWithinDrift:
            self.init(.clockWithinDrift, "this node's clock runs at its usual rate again", [:])
        case .inspectionFailed(let reason):
            self.init(
                .inspectionFailed,
                "the kernel's addresses could not be listed: \(reason). It is tried again after a second",
                ["REASON": reason])
        case .stopping: self.init(.stopping, "stopping: addresses are released first")
        case .handedOver(let held):
            let list = held.joined(separator: " ")
            let what = held.isEmpty ? "nothing is held here" : "\(list) stays for the next process"
            self.init(.handedOver, "restarting: \(what)", ["ADDRESS": list])
        case .stopped(let unreleased):
            if unreleased.isEmpty {
                self.init(.stopped, "stopped; no address is left here")
            } else {
                let list = unreleased.joined(separator: " ")
                self.init(
                    .stopped, "stopped without confirmed release of \(list): their leases end by themselves",
                    ["ADDRESS": list], priority: .warning)
            }
        case .stanceChanged, .leaseAdopted, .leaseShortened, .leaseLost, .leaseRefused, .acquired,
            .heldByAnotherCluster,
            .acquireRefused,
            .released,
            .memberClash:
            self.init(leaseReport: report)
        case .assigned, .assignFailed, .removed, .removeFailed, .lapsed, .removedByOthers, .addedByOthers,
            .lifetimeChangedByOthers, .foughtOver, .duplicateSeen, .failsafeHolds:
            self.init(kernelReport: report)
        case .portClosed, .portOpen, .portUntried: self.init(portReport: report)
        case .linkLost, .linkBack: self.init(linkReport: report)
        case .logLost(let record): self.init(lost: record)
        case .citus(let report): self.init(report)
        case .detector(let report): self.init(report)
        }
    }

    /// What was asked for does not come back.
    init(unanswered asked: Asked, _ span: Duration) {
        let (what, address) = Wording.text(asked)
        self.init(
            .unanswered,
            "\(what) has had no answer for \(Wording.text(span)), not even that it failed: \(Wording.consequence(of: asked))",
            ["REQUEST": what, "AFTER": Wording.text(span), "ADDRESS": address])
    }

    /// What concerns an address's key and lease.
    private init(leaseReport report: Report) {
        switch report {
        case .stanceChanged(let id, let stance):
            self.init(
                .stanceChanged, "\(id) \(Wording.text(stance))",
                [
                    "ADDRESS": id, "STANCE": Wording.code(stance),
                    "REASON": stance.reason.map { Wording.code($0) } ?? "",
                ])
        case .leaseAdopted(let id, let lease):
            self.init(
                .leaseAdopted, "an earlier process of this node holds \(id): its lease is taken over",
                ["ADDRESS": id, "LEASE": String(lease, radix: 16)])
        case .leaseShortened(let id, let lease, let old, let new):
            self.init(
                .leaseShortened,
                "the key of \(id) moves to a lease of \(Wording.text(new)): the TTL is no longer \(Wording.text(old))",
                [
                    "ADDRESS": id, "LEASE": String(lease, radix: 16), "TTL": Wording.text(new),
                    "OLD_TTL": Wording.text(old),
                ])
        case .leaseLost(let id, let lease, let reason):
            self.init(
                .leaseLost, "the lease of \(id) is lost: \(reason). The address is taken off this node",
                ["ADDRESS": id, "LEASE": String(lease, radix: 16), "REASON": reason])
        case .leaseRefused(let id, let reason):
            self.init(
                .leaseRefused,
                "etcd granted no lease for \(id): \(reason). It is tried again after a second; without a lease the address cannot come here",
                ["ADDRESS": id, "REASON": reason])
        case .acquired(let id, let lease, let revision):
            self.init(
                .addressAcquired, "the key of \(id) is ours at revision \(revision)",
                ["ADDRESS": id, "LEASE": String(lease, radix: 16), "REVISION": "\(revision)"])
        case .heldByAnotherCluster(let id, let cluster):
            self.init(
                .heldByAnotherCluster,
                "the Patroni cluster \(cluster) of this etcd holds \(id): one address in two configurations. It does not come here as long as that lasts. Look at pharos.yml on the nodes of both",
                ["ADDRESS": id, "CLUSTER": cluster])
        case .acquireRefused(let id, let holder, let leader):
            self.init(
                .acquireRefused,
                "the key of \(id) was not acquired: holder \(Wording.text(holder)), leader \(Wording.text(leader))",
                ["ADDRESS": id, "HOLDER": holder ?? "", "LEADER": leader ?? ""])
        case .released(let id, let lease):
            self.init(
                .addressReleased, "the key of \(id) was given back",
                ["ADDRESS": id, "LEASE": String(lease, radix: 16)])
        case .memberClash(let id, let node):
            self.init(
                .memberClash,
                "the key of \(id) names this member but another boot of a node (\(node)): a reboot whose lease still runs, or two nodes with one member name",
                ["ADDRESS": id, "NODE": node])
        default: self.init(.stanceChanged, "\(report)")  // The caller sends nothing else.
        }
    }

    /// What concerns an address in the kernel.
    private init(kernelReport report: Report) {
        switch report {
        case .assigned(let id, let interface, let lifetime):
            self.init(
                .addressAssigned, "\(id) is on \(interface), for \(Wording.text(lifetime)) unless renewed",
                ["ADDRESS": id, "INTERFACE": interface, "LIFETIME": Wording.text(lifetime)])
        case .assignFailed(let id, let reason):
            self.init(
                .assignFailed, "\(id) could not be put on the interface: \(reason). It is tried again",
                ["ADDRESS": id, "REASON": reason])
        case .removed(let id, let interface, let reason):
            self.init(
                .addressRemoved, "\(id) was taken off \(interface): \(Wording.text(reason))",
                ["ADDRESS": id, "INTERFACE": interface, "REASON": Wording.code(reason)])
        case .removeFailed(let id, let interface, let reason):
            self.init(
                .removeFailed,
                "\(id) could not be taken off \(interface): \(reason). It is tried again, and lapses by itself",
                ["ADDRESS": id, "INTERFACE": interface, "REASON": reason])
        case .lapsed(let id, let interface):
            self.init(
                .addressLapsed,
                "the kernel ended the lifetime of \(id) on \(interface): its lease was not renewed in time",
                ["ADDRESS": id, "INTERFACE": interface])
        case .removedByOthers(let id, let interface):
            self.init(
                .addressRemovedByOthers, "somebody removed \(id) from \(interface)",
                ["ADDRESS": id, "INTERFACE": interface])
        case .addedByOthers(let id, let interface, let length):
            self.init(
                .addressAddedByOthers, "somebody added \(id)/\(length) to \(interface)",
                ["ADDRESS": id, "INTERFACE": interface])
        case .lifetimeChangedByOthers(let id, let interface, let lifetime):
            let given = lifetime.map { "\(Wording.text($0)), which is beyond its lease" } ?? "for ever"
            self.init(
                .addressLifetimeChanged,
                "somebody set the lifetime of \(id) on \(interface): \(given). It is set right, or the address removed",
                ["ADDRESS": id, "INTERFACE": interface, "LIFETIME": lifetime.map(Wording.text) ?? "forever"])
        case .foughtOver(let id, let interface, let times, let span):
            self.init(
                .addressFoughtOver,
                "somebody has removed \(id) on \(interface), added it or changed its lifetime \(times) times within \(Wording.text(span)): another program here takes it for its own. What Pharos puts right each time is no longer told. Look for it: systemctl --type=service | grep -Ei 'vip-manager|keepalived|ucarp|networking|networkd|NetworkManager', and take the address out of its configuration",
                ["ADDRESS": id, "INTERFACE": interface, "CHANGES": "\(times)", "AFTER": Wording.text(span)])
        case .duplicateSeen(let id, let linkAddress):
            self.init(
                .duplicateHolder,
                "another node answers for \(id): \(linkAddress). Find that station, and take the address off there; a router that answers for others (proxy ARP, proxy NDP) must not do so for this one",
                ["ADDRESS": id, "LINK_ADDRESS": linkAddress])
        case .failsafeHolds(let id, let span):
            self.init(
                .failsafeHolds, "\(id) stays for another \(Wording.text(span)): Patroni's failsafe mode is active",
                ["ADDRESS": id, "LIFETIME": Wording.text(span)])
        default: self.init(.stanceChanged, "\(report)")  // The caller sends nothing else.
        }
    }
}

extension LogRecord {
    /// What an earlier process remembered of etcd cannot be used.
    static func memoryUnusable(_ problem: String) -> LogRecord {
        LogRecord(
            .memoryUnwritable,
            "what this node remembered of etcd cannot be used: \(problem). It waits for one TTL before it acquires an address that others have acquired",
            ["REASON": problem])
    }

    /// `stale`: the first name that cannot be looked up; nil: each can be again.
    static func names(_ stale: HostResolver.StaleName?) -> LogRecord {
        guard let stale else { return LogRecord(.namesFresh, "each name can be looked up again") }
        let age = Wording.text(.now - stale.at)
        let addresses = stale.addresses.joined(separator: " ")
        return LogRecord(
            .namesStale,
            "the name \(stale.name) cannot be looked up: \(stale.reason). Its addresses of \(age) ago are used: \(addresses)",
            ["NAME": stale.name, "REASON": stale.reason, "ADDRESSES": addresses, "AGE": age])
    }

    /// What is known of etcd cannot be kept for the next process.
    static func memoryUnwritable(_ problem: String) -> LogRecord {
        LogRecord(
            .memoryUnwritable,
            "what is known of etcd cannot be kept for the next start: \(problem). This daemon goes on as before; after its next start it waits for one TTL before it acquires an address",
            ["REASON": problem])
    }

    static func fencesForbidden(_ prefix: String) -> LogRecord {
        LogRecord(
            .fencesForbidden,
            "etcd's user may not read and write \(prefix): Pharos cannot see whether another Patroni cluster has one of these addresses in its configuration. Grant it: etcdctl role grant-permission ROLE --prefix=true readwrite \(prefix)",
            ["REQUEST": prefix])
    }

    static func etcdOutdated(_ version: String, _ endpoint: String) -> LogRecord {
        LogRecord(
            .etcdOutdated,
            "etcd at \(endpoint) is of version \(version): before 3.4.31 and 3.5.13 a member that was frozen may end leases that others kept alive, and addresses vanish for some seconds. Upgrade it when you can",
            ["ENDPOINT": endpoint, "VERSION": version])
    }
}
