// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Names and places of everything that a lab owns. All begin with its name, so that a lab can be found and removed even if
/// the process that made it died half way.
public enum LabLayout {
    /// `pharos-lab`; where the environment's `PHAROS_LAB` is a number, another lab beside that one: `pharos-lab2`.
    static let prefix = "pharos-lab\(number.map { "\($0)" } ?? "")"
    private static let text = getenv("PHAROS_LAB").map { String(cString: $0) }
    private static let number = text.flatMap { UInt8($0) }

    /// Throws where it is named by something else: that must not pass for the first lab, which may be in use.
    static func check() throws(LabError) {
        guard let text, self.number == nil else { return }
        throw LabError(.usage, "PHAROS_LAB is '\(text)'; expected a number from 0 to 255, or leave it unset")
    }

    /// Everything of the running lab lives below this folder.
    public static let runFolder = "/run/\(prefix)"
    static let stateFile = "\(runFolder)/state.json"
    /// Beside the folder, so that it outlives `down`.
    static let lockFile = "/run/\(prefix).lock"
    /// What the observer records: one JSON object a line.
    public static let eventFile = "\(runFolder)/events.jsonl"
    static let observerLog = "\(runFolder)/observer.log"
    /// The nodes' image, the same for all labs.
    static let cacheFolder = "/var/cache/pharos-lab"

    static let switchNamespace = "\(prefix)-switch"
    static let clientNamespace = "\(prefix)-client"
    static let bridge = "br0"
    /// The client's host number on the bridge.
    static let clientNumber = 200

    /// The network namespace of a node, and the name of its machine.
    static func namespace(_ node: String) -> String { "\(self.prefix)-\(node)" }
    static func folder(_ node: String) -> String { "\(self.runFolder)/\(node)" }
    /// The node's whole file system, as the host sees it.
    public static func root(_ node: String) -> String { "\(self.folder(node))/root" }
    /// The bridge's port that leads to a node or to the client.
    static func port(_ node: String) -> String { "port-\(node)" }

    /// The number in a node's name, which is also its host number on the bridge.
    static func number(of node: String) -> Int { Int(node.dropFirst()) ?? 0 }
    /// A node's own IPv4 address.
    public static func address(_ node: String) -> String { "10.77.0.\(self.number(of: node))" }
    /// A node's own IPv6 address.
    public static func address6(_ node: String) -> String { "fd77::\(self.number(of: node))" }
    /// The link address of the interface of a host number: locally administered.
    static func linkAddress(_ number: Int) -> String {
        "02:00:00:00:00:\(number < 16 ? "0" : "")\(String(number, radix: 16))"
    }
    /// The link address of a node's interface, as its neighbors learn it.
    public static func linkAddress(_ node: String) -> String { self.linkAddress(self.number(of: node)) }
    static let clientAddress = "10.77.0.\(clientNumber)"
    static let clientAddress6 = "fd77::\(clientNumber)"
    /// The id under which the observer knows a node's network namespace.
    static func namespaceID(_ node: String) -> Int32 { 100 + Int32(self.number(of: node)) }
}
