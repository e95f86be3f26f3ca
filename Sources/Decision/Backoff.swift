// SPDX-License-Identifier: Apache-2.0

/// Pauses between attempts that fail one after another: each is twice as long as the one before, up to the longest.
public struct Backoff: Hashable, Sendable {
    /// After the first failure.
    public let first: Duration
    public let longest: Duration

    public init(first: Duration, longest: Duration) {
        self.first = first
        self.longest = longest
    }

    /// How long to wait after so many failures in a row; after none, as after the first.
    public func pause(after failures: Int) -> Duration {
        // Beyond 40 doublings there is no pause that anybody would want.
        min(self.first * (1 << min(max(failures - 1, 0), 40)), self.longest)
    }
}
