// SPDX-License-Identifier: Apache-2.0
public import EventLoop

/// An answer's body as it arrives, for one reader. A reader that does not ask lets at most 256 KB wait, then the peer is
/// not read any more. Dropping the stream ends the exchange.
@EventLoop
public final class HTTPStream {
    private let client: HTTPClient
    private let transfer: Transfer

    init(_ client: HTTPClient, _ transfer: Transfer) {
        self.client = client
        self.transfer = transfer
    }

    isolated deinit { self.client.end(self.transfer, as: .cancelled, "stream dropped") }

    /// The answer's status; 0 until the first bytes of a body, or the end, have arrived.
    public var status: Int {
        switch self.transfer.outcome {
        case .success(let status): status
        case .failure: 0
        case nil: self.transfer.easy?.status ?? 0
        }
    }

    /// The next bytes (never empty), or nil at the end of the body.
    public func next() async throws(HTTPError) -> [UInt8]? {
        await self.client.wait(for: self.transfer)
        let bytes = self.transfer.takeReceived()
        if !bytes.isEmpty {
            if self.transfer.isPaused { self.client.resume(self.transfer) }
            return bytes
        }
        guard let outcome = self.transfer.outcome else { return [] }
        _ = try outcome.get()
        return nil
    }

    /// Ends the exchange; a waiting ``next()`` throws `.cancelled` with this reason.
    public func cancel(_ reason: String = "cancelled") {
        self.client.end(self.transfer, as: .cancelled, reason)
    }
}
