// SPDX-License-Identifier: Apache-2.0
import Decision
import Journal

/// Whether the interface of an address that belongs here lets anybody find it.
extension LogRecord {
    init(linkReport report: Report) {
        switch report {
        case .linkLost(let id, let interface, let trouble):
            self.init(
                .linkLost,
                "\(id) belongs here, and \(Wording.text(trouble, interface)): clients on other hosts do not find it there. It is not given up for that, since Patroni decides who leads. \(Self.way(out: trouble, interface)); or let another node lead: patronictl switchover",
                ["ADDRESS": id, "INTERFACE": interface, "REASON": Wording.text(trouble, interface)])
        case .linkBack(let id, let interface):
            self.init(
                .linkBack, "interface \(interface), on which \(id) belongs, can be used again",
                ["ADDRESS": id, "INTERFACE": interface])
        default: self.init(.stanceChanged, "\(report)")  // The caller sends nothing else.
        }
    }

    private static func way(out trouble: LinkTrouble, _ interface: String) -> String {
        switch trouble {
        case .missing: "Look for it under another name (ip -br link), and mend the name or 'interface' in pharos.yml"
        case .down: "Switch it on: ip link set \(interface) up"
        case .severed:
            "Look at its cable, at the switch's port, and at what it is made of: ip -details link show dev \(interface)"
        }
    }
}

extension Wording {
    static func text(_ trouble: LinkTrouble, _ interface: String) -> String {
        switch trouble {
        case .missing: "interface \(interface) does not exist"
        case .down: "interface \(interface) is down"
        case .severed: "interface \(interface) has no carrier"
        }
    }

    static func code(_ state: InterfaceState) -> String {
        switch state {
        case .usable: "usable"
        case .severed: "no_carrier"
        case .down: "down"
        case .missing: "missing"
        case .unlisted: "unlisted"
        }
    }

    /// What is thought of an address, and what keeps clients from it all the same.
    static func explanation(_ status: AddressStatus) -> String {
        let stance = self.text(status.stance)
        switch status.stance {
        case .hold, .keep:
            return status.interfaceState.trouble.map { "\(stance); \(self.text($0, status.interface))" } ?? stance
        case .wait, .leave: return stance
        }
    }
}
