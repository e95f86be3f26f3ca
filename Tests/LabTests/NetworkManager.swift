// SPDX-License-Identifier: Apache-2.0
import Lab

/// A program that gives a node's interface its addresses, as an administrator has configured it: what it needs to be told,
/// in a shell of the node.
enum NetworkManager: String, CaseIterable, CustomStringConvertible {
    case ifupdown
    case networkd = "systemd-networkd"
    case networkManager = "NetworkManager"

    var description: String { self.rawValue }

    /// Where the node's addresses come from.
    enum Source {
        /// What the lab has given the node.
        case fixed(node: String)
        /// By DHCP; its IPv6 address is what the lab has given it.
        case lease(node: String)
    }

    /// Takes the interface over: from now on it has what `source` gives, and what was there is gone. (What is there already
    /// is an error to ifupdown, and systemd-networkd 252 cannot change its broadcast address.)
    func takeOver(_ source: Source) -> String {
        let start =
            switch self {
            case .ifupdown: "ifup eth0"
            case .networkd: "systemctl start systemd-networkd"
            case .networkManager:
                "systemctl start NetworkManager && nmcli connection load \(self.path) && nmcli connection up eth0"
            }
        return self.write(source) + Self.flush + start
    }

    private static let flush = "ip -4 address flush dev eth0\nip -6 address flush dev eth0 scope global\n"

    /// Applies once more what it was told: takes the addresses away and puts them back.
    var reapply: String {
        switch self {
        case .ifupdown: "ifdown eth0 && ifup eth0"
        case .networkd: "networkctl reconfigure eth0"
        case .networkManager: "nmcli connection down eth0 && nmcli connection up eth0"
        }
    }

    /// Leaves the interface to others.
    var letGo: String {
        switch self {
        case .ifupdown: "ifdown eth0; ip link set eth0 up; rm \(self.path)"
        case .networkd: "rm \(self.path); systemctl stop systemd-networkd.socket systemd-networkd"
        case .networkManager: "systemctl stop NetworkManager; rm \(self.path)"
        }
    }

    private var path: String {
        switch self {
        case .ifupdown: "/etc/network/interfaces.d/eth0"
        case .networkd: "/etc/systemd/network/eth0.network"
        case .networkManager: "/etc/NetworkManager/system-connections/eth0.nmconnection"
        }
    }

    /// `umask`: NetworkManager refuses a file that others may read.
    private func write(_ source: Source) -> String {
        """
        set -e
        umask 077
        mkdir -p $(dirname \(self.path))
        cat >\(self.path) <<'END'
        \(self.text(source))
        END
        chmod \(self == .networkManager ? "600" : "644") \(self.path)

        """
    }

    private func text(_ source: Source) -> String {
        let address6: String
        let address: String?
        switch source {
        case .fixed(let node): (address6, address) = (LabLayout.address6(node), LabLayout.address(node))
        case .lease(let node): (address6, address) = (LabLayout.address6(node), nil)
        }
        switch self {
        case .ifupdown:
            return """
                iface eth0 inet \(address.map { "static\n    address \($0)/24" } ?? "dhcp")
                iface eth0 inet6 static
                    address \(address6)/64
                    dad-attempts 0
                """
        case .networkd:
            return """
                [Match]
                Name=eth0
                [Network]
                \(address.map { "Address=\($0)/24" } ?? "DHCP=ipv4")
                IPv6AcceptRA=no
                [Address]
                Address=\(address6)/64
                DuplicateAddressDetection=none
                """
        case .networkManager:
            return """
                [connection]
                id=eth0
                type=ethernet
                interface-name=eth0
                autoconnect=false
                [ipv4]
                \(address.map { "method=manual\naddress1=\($0)/24" } ?? "method=auto")
                [ipv6]
                method=manual
                address1=\(address6)/64
                """
        }
    }

    /// Which addresses are leased to it, one after the other. None is ever leased to another: its neighbors would look for it
    /// where it was for some time.
    var leases: (first: Int, second: Int) {
        switch self {
        case .ifupdown: (50, 60)
        case .networkd: (51, 61)
        case .networkManager: (52, 62)
        }
    }

    /// Makes systemd-networkd of a node give away one address of the lab's network by DHCP, and no other from then on.
    static func serveLease(on node: String, number: Int) -> String {
        """
        set -e
        mkdir -p /etc/systemd/network
        cat >/etc/systemd/network/eth0.network <<'END'
        \(self.networkd.text(.fixed(node: node)))
        [Network]
        DHCPServer=yes
        [DHCPServer]
        PoolOffset=\(number)
        PoolSize=1
        DefaultLeaseTimeSec=60
        EmitDNS=no
        EmitNTP=no
        EmitRouter=no
        END
        systemctl stop systemd-networkd.socket systemd-networkd
        \(self.flush)
        systemctl start systemd-networkd
        """
    }

    /// Ends that.
    static let endLeases = "\(networkd.letGo); rm -rf /var/lib/systemd/network"
}
