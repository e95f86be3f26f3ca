// SPDX-License-Identifier: Apache-2.0

/// How many connections an ``HTTPClient`` may have. A request that finds none free waits for one, within its time limit.
public struct ConnectionLimits: Sendable, Equatable {
    /// At once, in all and to one host; nil: as many as there are requests.
    public var total: Int?
    public var perHost: Int?
    /// How many are kept while nothing uses them.
    public var kept: Int
    /// Bytes that the answers which are arriving may be together; a stream's are not counted.
    public var buffered = 16 << 20

    public init(total: Int?, perHost: Int?, kept: Int) {
        self.total = total
        self.perHost = perHost
        self.kept = kept
    }

    /// For whoever asks a few servers now and then.
    public static let few = ConnectionLimits(total: 64, perHost: 16, kept: 16)
    /// For what nothing else may hold up: no request waits for another's connection.
    public static let unlimited = ConnectionLimits(total: nil, perHost: nil, kept: 64)
}

/// What is known of a host's name.
public enum NameAnswer: Sendable, Equatable {
    /// In the order in which they are tried; not empty.
    case addresses([String])
    /// Why there are none.
    case failed(String)
}
