// SPDX-License-Identifier: Apache-2.0
import EventLoop

extension HTTPClient {
    /// Finds the addresses of a name. It may take as long as it wants: the request's time limit counts.
    public typealias Resolve = @EventLoop (_ name: String) async -> NameAnswer

    /// Names are told at whose addresses no connection could be made.
    func noteName(_ outcome: Result<Int, HTTPError>, of transfer: Transfer) {
        guard case .failure(let error) = outcome, !error.mayHaveBeenSent, error.kind != .cancelled,
            !transfer.addresses.isEmpty, let host = transfer.request.nameToResolve
        else { return }
        self.nameFailed(host.name)
    }
}
