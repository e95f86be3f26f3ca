// SPDX-License-Identifier: Apache-2.0

/// What becomes of keepalived's settings (keepalived.conf(5) of 2.2.7) beside Patroni: the words of each group share a reason.
enum KeepalivedName {
    /// Nil where keepalived, as far as is known here, has no such word in a `vrrp_instance`.
    static func loss(ofInstance word: String) -> String? {
        if word.hasPrefix("garp_") || word.hasPrefix("vrrp_garp_") { return self.announcements }
        if word.hasPrefix("notify") { return self.scripts }
        return self.instance.first { $0.words.contains(word) }?.reason
    }

    private static let announcements =
        "Pharos announces the address at 0, 50, 200 and 1000 ms, at 5 s and then every 60 s, by ARP and neighbor discovery"
    private static let scripts =
        "Pharos runs no script when an address moves. It records each move (journalctl -u pharos), and runs alert.command for grave records"
    private static let election =
        "Pharos elects nobody: the address follows Patroni's leader key. Which node may lead is Patroni's: tags nofailover and "
        + "failover_priority"
    private static let peers = "nodes of Pharos do not speak to each other: they meet in etcd"

    private static let instance: [(words: Set<String>, reason: String)] = [
        (
            [
                "state", "priority", "nopreempt", "preempt", "preempt_delay", "higher_prio_send_advert",
                "down_timer_adverts",
            ], election
        ),
        (
            [
                "virtual_router_id", "advert_int", "version", "native_ipv6", "accept", "no_accept",
                "linkbeat_use_polling",
            ],
            "there is no VRRP any more, and so no id that could meet another's on the network"
        ),
        (
            ["authentication", "auth_type", "auth_pass"],
            "there is nothing on the network to be forged. Who may write into etcd is etcd's to say"
        ),
        (
            [
                "unicast_peer", "unicast_src_ip", "unicast_ttl", "unicast_fault_no_peer", "mcast_src_ip",
                "mcast_dst_ip",
                "check_unicast_src", "strict_mode", "skip_check_adv_addr",
            ], peers
        ),
        (
            ["track_interface", "dont_track_primary", "track_src_ip"],
            "Pharos acquires no address on an interface that is down, and tells when one loses its carrier"
        ),
        (
            ["track_file", "track_process", "track_bfd"],
            "only Patroni's leader key, and whether PostgreSQL accepts writes, decide where the address is"
        ),
        (
            ["use_vmac", "vmac_xmit_base", "use_ipvlan", "vmac_addr_mode"],
            "the address has the interface's own MAC address; other hosts hear of a move by ARP and neighbor discovery"
        ),
        (
            ["virtual_routes", "virtual_rules", "virtual_iptables"],
            "Pharos sets no routes and rules. What must follow the address, a service of your own has to do"
        ),
        (["smtp_alert", "smtp_alerts"], "alert.command is run for grave records; it may send mail"),
        (["debug", "log_all_faults"], "Pharos records every decision: journalctl -u pharos -x, and pharos why"),
        (["promote_secondaries"], "Pharos sees to that itself, on each interface where it is needed"),
    ]

    /// Of a script that only watches; `nil` where there is no such word.
    static func isScript(_ word: String) -> Bool {
        ["script", "interval", "timeout", "weight", "rise", "fall", "user", "init_fail"].contains(word)
    }

    static let scriptLoss =
        "Pharos asks PostgreSQL itself before it takes the address, and follows Patroni's leader key: no script, no weight, no rise and fall"
    static let globalLoss = "settings of keepalived as a whole"
    static let syncLoss = "each address follows the leader by itself, and so all of one cluster are on one node"
    static let labelLoss = "the kernel's label of the address; 'label' in pharos.yml is a name for people"
}
