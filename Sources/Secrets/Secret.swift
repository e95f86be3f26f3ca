// SPDX-License-Identifier: Apache-2.0

/// A password or token that prints as `[redacted]` wherever it is interpolated, dumped or reflected.
///
/// It guards against carelessness, not against a reader of this process's memory.
public struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let text: String

    public init(_ text: String) { self.text = text }

    /// The secret itself, for the one place that sends it to the peer it belongs to.
    public func reveal() -> String { self.text }

    /// What stands in a secret's place in every text.
    public static let replacement = "[redacted]"
    public var description: String { Self.replacement }
    public var debugDescription: String { Self.replacement }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
