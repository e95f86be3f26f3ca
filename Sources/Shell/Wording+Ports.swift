// SPDX-License-Identifier: Apache-2.0
import Decision
import LenientJSON

/// Whether clients find somebody at an address that is here, as it is said to people and to programs.
extension Wording {
    /// `10.0.0.3:5432` or `[fd00::3]:5432`.
    static func place(_ address: AddressID, _ port: UInt16) -> String {
        address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }

    static func code(_ answer: PortAnswer?) -> String {
        switch answer {
        case .accepted: "open"
        case .refused: "refused"
        case .silent: "silent"
        case .unknown: "unknown"
        case nil: "untried"
        }
    }

    static func text(_ answer: PortAnswer?) -> String {
        switch answer {
        case .accepted: "accepts connections"
        case .refused: "refuses connections: nobody listens there"
        case .silent: "neither accepts nor refuses connections: a packet filter, or a server that takes no more"
        case .unknown(let reason): "could not be tried: \(reason)"
        case nil: "has not been tried yet"
        }
    }
}

extension PortStatus {
    /// Whether it is believed that clients are turned away.
    var isClosed: Bool {
        switch self.answer {
        case .refused, .silent: self.isBelieved
        case .accepted, .unknown, nil: false
        }
    }

    func document(at now: Instant) -> JSONDocument {
        [
            "number": .number(Int(self.port)), "state": .string(Wording.code(self.answer)),
            "is_believed": .bool(self.isBelieved), "explanation": .string(Wording.text(self.answer)),
            "for_seconds": .seconds(self.since.map { max(.zero, now - $0) }),
        ]
    }
}
