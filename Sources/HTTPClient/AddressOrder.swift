// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// Which of a name's addresses is tried first: not the one that an exchange did not reach.
///
/// libcurl tries all of them, but gives the first one half of the time for a connection, and where that was silent it looks at
/// the second one's answer only at its next timer, which may be after the request's end.
struct AddressOrder {
    /// By name, where the first of the list has failed.
    private var first: [String: String] = [:]
    /// Names that are remembered; beyond that all begin anew.
    private static let limit = 1024

    func ordered(_ addresses: [String], of name: String) -> [String] {
        guard let first = self.first[name], let index = addresses.firstIndex(of: first) else { return addresses }
        return Array(addresses[index...] + addresses[..<index])
    }

    /// An exchange has failed for which the addresses were tried in this order. Of several that fail side by side one counts.
    mutating func failed(_ addresses: [String], of name: String) {
        guard addresses.count > 1, self.first[name].map({ $0 == addresses[0] }) ?? true else { return }
        if self.first.count >= Self.limit { self.first = [:] }
        self.first[name] = addresses[1]
    }

    @EventLoop mutating func note(_ outcome: Result<Int, HTTPError>, of transfer: Transfer) {
        guard case .failure(let error) = outcome, let host = transfer.request.nameToResolve else { return }
        switch error.kind {
        case .connect, .timeout, .tls: self.failed(transfer.addresses, of: host.name)
        // A kept connection that breaks says nothing of where the next one should lead to.
        case .disconnected, .bodyTooLarge, .crowded, .cancelled, .other: break
        }
    }
}
