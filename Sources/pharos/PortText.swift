// SPDX-License-Identifier: Apache-2.0
import LenientJSON

/// What is known of an address's port, while the address is here and its port is tried.
struct PortText {
    private let port: JSON

    /// - Parameter address: one of the status's; nil where its port is not tried.
    init?(_ address: JSON) {
        guard let port = address["port"], port["number"]?.int64 != nil else { return nil }
        self.port = port
    }

    /// Clients who are turned away, and a port of which that is not known, ask for attention; one try that failed does not yet.
    var isInOrder: Bool {
        let state = self.port["state"]?.string
        return state == "open" || state == "untried" || self.port["is_believed"]?.bool != true
    }

    var mark: String { self.isInOrder ? " " : "!" }

    var text: String {
        let span = self.port["for_seconds"]?.int64.map { ", for \($0) s" } ?? ""
        let isDoubtful = self.port["state"]?.string != "untried" && self.port["is_believed"]?.bool != true
        let doubt = isDoubtful ? " (once; it is tried again)" : ""
        return "port \(self.port["number"]?.int64 ?? 0) \(self.port["explanation"]?.string ?? "?")\(span)\(doubt)"
    }
}
