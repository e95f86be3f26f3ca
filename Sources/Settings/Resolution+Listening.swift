// SPDX-License-Identifier: Apache-2.0
import NetworkAddress

extension Resolution {
    /// Clients come to the virtual addresses: a PostgreSQL that listens somewhere else refuses them, while all else looks well.
    mutating func checkListening(_ listen: Sourced<[String]>?, _ addresses: [Settings.Address]) {
        guard let listen else { return }
        let deaf = addresses.filter { address in
            // Another port is another program's, which listens for itself; the daemon tries it.
            let isOfPostgres = address.port == nil || address.port == self.patroni?.port?.value
            return isOfPostgres && Self.isHeard(address.prefix.address, by: listen.value) == false
        }
        guard let first = deaf.first else { return }
        let list = deaf.map { "\($0.prefix.address)" }.joined(separator: ", ")
        let place = listen.value.isEmpty ? "no address" : listen.value.joined(separator: ", ")
        self.problems.warning(
            listen.position,
            "'postgresql.listen': PostgreSQL listens on \(place), so clients of \(list) are refused; the daemon says so once the address is here and its port refuses. Let it listen on '*'; or name \(first.prefix.address) too, with sysctl net.ipv4.ip_nonlocal_bind=1 (net.ipv6.ip_nonlocal_bind=1), without which PostgreSQL does not start where the address is not. If clients come to a pooler, say its port as 'port' of the address"
        )
    }

    /// Nil where that depends on what a name stands for.
    private static func isHeard(_ address: IPAddress, by hosts: [String]) -> Bool? {
        var isCertain = true
        for host in hosts {
            // PostgreSQL's `::` does not take IPv4.
            if host == "*" || host == (address.isIPv6 ? "::" : "0.0.0.0") { return true }
            if let own = IPAddress(host) {
                if own == address { return true }
            } else if host != "localhost" {
                isCertain = false
            }
        }
        return isCertain ? false : nil
    }
}
