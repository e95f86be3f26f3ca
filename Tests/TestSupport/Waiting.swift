// SPDX-License-Identifier: Apache-2.0
import EventLoop

/// Waits until `condition` holds, looking every 10 ms; answers whether it did within `limit`.
@EventLoop
public func eventually(
    within limit: Duration, _ condition: @EventLoop () async throws -> Bool
) async throws -> Bool {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { return false }
        try await EventLoop.sleep(for: .milliseconds(10))
    }
    return true
}
