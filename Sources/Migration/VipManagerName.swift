// SPDX-License-Identifier: Apache-2.0

/// What vip-manager's settings are called: the present name first, then those of versions before 5.0, in files and, in capitals, with
/// low lines and `VIP_` before it, in the environment. Sources: vip-manager's config.go before and after its change 376, and
/// /etc/default/vip-manager of Debian's package 1.0.2.
enum VipManagerName: String, CaseIterable {
    case ip
    case netmask
    case interface
    case triggerKey = "trigger-key"
    case triggerValue = "trigger-value"
    case managerType = "manager-type"
    case dcsType = "dcs-type"
    case dcsEndpoints = "dcs-endpoints"
    case etcdUser = "etcd-user"
    case etcdPassword = "etcd-password"
    case etcdCAFile = "etcd-ca-file"
    case etcdCertFile = "etcd-cert-file"
    case etcdKeyFile = "etcd-key-file"
    case consulToken = "consul-token"
    case interval
    case retryNum = "retry-num"
    case retryAfter = "retry-after"
    case verbose

    private var formerNames: [String] {
        switch self {
        case .netmask: ["mask"]
        case .interface: ["iface"]
        case .triggerKey: ["key"]
        case .triggerValue: ["nodename", "host"]
        case .managerType: ["hosting-type", "hostingtype"]
        case .dcsType: ["endpoint-type", "type"]
        case .dcsEndpoints: ["endpoints", "endpoint"]
        case .ip, .etcdUser, .etcdPassword, .etcdCAFile, .etcdCertFile, .etcdKeyFile, .consulToken, .interval,
            .retryNum, .retryAfter, .verbose:
            []
        }
    }

    /// Nil where vip-manager has no such setting. Its reader takes capitals for small letters.
    init?(_ text: String) {
        let name = text.lowercased().replacing("_", with: "-")
        let found = Self.allCases.first { $0.rawValue == name } ?? Self.allCases.first { $0.formerNames.contains(name) }
        guard let found else { return nil }
        self = found
    }

    /// Whether `text` is the name of today, with dashes.
    func isPresent(_ text: String) -> Bool { text.lowercased() == self.rawValue }

    /// What becomes of a setting that is not carried over; nil: it is, or it is judged by its value.
    var loss: String? {
        switch self {
        case .interval:
            "how often it asked. Pharos is told by etcd's watch, at once, and reads every sixth of the TTL besides"
        case .retryNum, .retryAfter:
            "how it repeated a failed request. Pharos asks the next endpoint at once and goes on asking; while none answers, the "
                + "address stays until its lifetime ends (lease.ttl, lease.margin)"
        case .verbose: "Pharos records every decision: journalctl -u pharos -x, and pharos why"
        case .consulToken: "Pharos asks no Consul"
        case .ip, .netmask, .interface, .triggerKey, .triggerValue, .managerType, .dcsType, .dcsEndpoints, .etcdUser,
            .etcdPassword, .etcdCAFile, .etcdCertFile, .etcdKeyFile:
            nil
        }
    }
}
