// SPDX-License-Identifier: Apache-2.0
import Decision
import Settings

extension Core {
    /// Whether everything that the leases hang on is in reach, and what is asked for their sake comes back. That another member is
    /// silent is no fault of this node's.
    var isHealthy: Bool { self.hasContact && self.unansweredForLeases.isEmpty }

    /// One line for `systemctl status`.
    func summary(of settings: Settings) -> String {
        var parts: [String] = []
        if self.hasContact, let view = self.believedSnapshot {
            parts.append(view.leader == settings.member ? "leader" : "leader is \(Wording.text(view.leader))")
            if view.patroni?.isPaused == true { parts.append("maintenance mode") }
        } else {
            parts.append("no contact with etcd")
        }
        for status in self.addressStatuses {
            let port = status.port.flatMap {
                $0.isClosed ? ", but its port \($0.port) \(Wording.text($0.answer))" : nil
            }
            parts.append("\(status.id) \(status.isHere ? "is here\(port ?? "")" : Wording.text(status.stance))")
        }
        return parts.joined(separator: "; ")
    }
}
