// SPDX-License-Identifier: Apache-2.0

/// Why something could not be carried out, in words for the person who started it.
public struct BedError: Error, CustomStringConvertible {
    public let message: String
    public var description: String { self.message }

    public init(_ message: String) { self.message = message }
}
