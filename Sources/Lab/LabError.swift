// SPDX-License-Identifier: Apache-2.0

/// Why the lab could not do what was asked.
public struct LabError: Error, CustomStringConvertible, Sendable {
    /// What kind of thing went wrong.
    public enum Kind: Sendable, Equatable {
        /// The request itself is wrong: an unknown node, an impossible number.
        case usage
        /// The host lacks something: a program, root rights, cgroup2.
        case host
        /// Another lab runs, or none does.
        case state
        /// A program that the lab ran failed.
        case command
        /// Something awaited did not happen in time.
        case timeout
    }
    public let kind: Kind
    public let message: String
    public var description: String { self.message }

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}
