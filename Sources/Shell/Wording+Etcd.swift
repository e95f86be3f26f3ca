// SPDX-License-Identifier: Apache-2.0

extension Wording {
    /// What to type or to mend where etcd cannot be read for this reason.
    static func remedy(etcd reason: String) -> String {
        func says(_ words: String...) -> Bool { words.contains { reason.contains($0) } }
        if says("user name is empty") {
            return
                "etcd asks for a user now: say etcd.username and etcd.password_file in pharos.yml, or etcd3.username and password in Patroni's file; then systemctl restart pharos (addresses stay)"
        }
        if says("authentication failed", "invalid auth token") {
            return
                "Look at the user and the password: etcd.username and etcd.password_file in pharos.yml, or those of Patroni's file"
        }
        if says("permission denied") {
            return "etcd's user lacks a right: see \"An etcd with authentication\" in docs/operations.md"
        }
        if says("certificate", "SSL") {
            return
                "Look at the certificates on both sides, and at https or http: openssl s_client -connect HOST:PORT -CAfile FILE; etcd.ca_file, cert_file and key_file"
        }
        return "Check from this node: etcdctl endpoint health --cluster"
    }
}
