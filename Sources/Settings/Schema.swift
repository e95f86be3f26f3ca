// SPDX-License-Identifier: Apache-2.0

/// What pharos.yml may say: the one table behind the walk, its advice, and the order of `check-config`.
enum Schema {
    /// A mapping and the keys that it may have.
    struct Section {
        /// As messages name it; empty for the file's top level.
        var name: String
        var keys: [String]
        /// Keys that are understood only to be refused, with the advice that goes with them.
        var refused: [String: String] = [:]
    }

    static let top = Section(
        name: "",
        keys: [
            "patroni_config", "patroni_environment", "scope", "member", "namespace", "group", "etcd", "patroni",
            "postgres", "addresses",
            "lease", "citus", "detector", "alert", "status",
        ]
    )
    static let etcd = Section(
        name: "etcd",
        keys: ["endpoints", "members", "username", "password_file", "ca_file", "cert_file", "key_file"],
        refused: ["password": passwordAdvice]
    )
    static let patroni = Section(
        name: "patroni",
        keys: ["url", "username", "password_file", "ca_file", "cert_file", "key_file"],
        refused: ["password": passwordAdvice]
    )
    static let postgres = Section(
        name: "postgres",
        keys: ["conninfo"],
        refused: [
            "password": "a password does not belong in this file; name a password file with 'passfile=' in 'conninfo'"
        ]
    )
    static let address = Section(name: "addresses", keys: ["address", "interface", "acquire", "port", "label"])
    static let lease = Section(name: "lease", keys: ["ttl", "margin", "clock_drift", "root"])
    static let citus = Section(
        name: "citus",
        keys: [
            "databases", "mode", "settle", "groups", "secondaries", "add_groups", "poolinfo", "node_conninfo",
        ],
        refused: [
            "password":
                "a password does not belong in this file; name a password file with 'passfile=' in 'node_conninfo'"
        ]
    )
    static let detector = Section(
        name: "detector",
        keys: [
            "profile", "interval", "timeout", "threshold", "leak", "rise", "agreement", "minimum_sources", "lag_limit",
            "on_gray_failure", "node_conninfo",
        ],
        refused: [
            "password":
                "a password does not belong in this file; name a password file with 'passfile=' in 'node_conninfo'"
        ]
    )
    static let alert = Section(name: "alert", keys: ["command", "timeout", "priority"])
    static let status = Section(name: "status", keys: ["socket", "listen"])

    static let sections = [top, etcd, patroni, postgres, address, lease, citus, detector, alert, status]

    private static let passwordAdvice =
        "a password does not belong in this file; put it in a file of its own and name that with 'password_file'"

    /// What to say about a key that `section` does not have.
    static func complaint(unknown key: String, in section: Section, of sections: [Section] = sections) -> String {
        if let advice = section.refused[key] { return "key \(quoted(key)) in '\(section.name)': \(advice)" }
        let subject = "unknown key \(quoted(key))" + (section.name.isEmpty ? "" : " in '\(section.name)'")
        if let near = nearest(to: key, in: section.keys) { return "\(subject); did you mean '\(near)'?" }
        if let home = sections.first(where: { $0.keys.contains(key) }) {
            let place = home.name.isEmpty ? "at the top level" : "in '\(home.name)'"
            return "\(subject); it belongs \(place)"
        }
        return "\(subject); expected one of \(section.keys.joined(separator: ", "))"
    }
}
