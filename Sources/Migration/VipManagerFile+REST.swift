// SPDX-License-Identifier: Apache-2.0
import Settings

/// vip-manager with `dcs-type: patroni`: it asked Patroni's REST API at one path (`trigger-key`), and had the address here while the
/// answer was one code (`trigger-value`, 200 unless said otherwise). Source: vip-manager's checker/patroni_leader_checker.go and
/// vipconfig/config.go.
extension VipManagerFile {
    /// The paths at which Patroni answers 200 on the leader's node alone.
    private static let pathsOfLeader: Set<String> = ["", "leader", "primary", "master", "read-write"]

    mutating func readQuestion(_ key: Former.Said<String>) {
        let path = key.value.split(separator: "/").joined(separator: "/").lowercased()
        guard Self.pathsOfLeader.contains(path) else {
            return self.refuse(
                "\(key.place): \(key.name) is \(quoted(key.value)): an address for other nodes than the leader's. Pharos keeps addresses on the "
                    + "leader's node only; keep vip-manager for this one")
        }
        let code = self.value(.triggerValue)
        if let code, code.value != "200" {
            return self.refuse(
                "\(code.place): \(code.name) is \(quoted(code.value)): the address was where \(quoted(key.value)) is answered so, and on the "
                    + "leader's node the answer is 200. Pharos keeps addresses on the leader's node only; keep vip-manager for this one"
            )
        }
        self.lose(
            .triggerKey,
            "it asked Patroni's REST API, and left the address where it was while nothing answered. Pharos follows the leader key "
                + "itself, in etcd; while etcd does not answer, the address stays until its lifetime ends")
        self.lose(.triggerValue, "the answer of the REST API that it waited for; see \(key.name)")
    }

    mutating func readRESTAccess() {
        let endpoints = self.endpoints
        // What it asks where none is said.
        let asked = endpoints.first?.value ?? "http://127.0.0.1:8008/"
        let saying = self.value(.dcsEndpoints) ?? self.value(.triggerKey)
        if let saying { self.asked(Former.Said(asked, saying.name, at: saying.place)) }
        let others = endpoints.count > 1 ? " (of several endpoints it asked the first alone)" : ""
        self.lose(.dcsEndpoints, "how it reached Patroni; Pharos takes that from Patroni's file\(others)")
        for name in [.etcdUser, .etcdPassword, .etcdCAFile, .etcdCertFile, .etcdKeyFile] as [VipManagerName] {
            self.lose(name, "it asked no etcd, and did not use it. Pharos takes its way to etcd from Patroni's file")
        }
    }
}
